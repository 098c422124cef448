"""Parser for the part of FHIRPath that FHIR's own search parameters use.

The result is a list of alternatives, each a tuple of steps. Whatever isn't understood raises
`UnsupportedExpressionError`, since a search parameter compiled wrongly gives wrong answers
silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"\s*(?:(?P<name>%?[A-Za-z_][A-Za-z0-9_]*)|(?P<text>'[^']*')|(?P<number>\d+)"
    r"|(?P<mark>!=|[().|=\[\]]))"
)


class UnsupportedExpressionError(Exception):
    """The expression is outside the subset; the message holds it."""


@dataclass(frozen=True)
class Member:
    """`.name`: the element of that name (or the root's type, in first place)."""

    name: str


@dataclass(frozen=True)
class OfType:
    """`as T`, `.as(T)`, `is T`: the values of one type of a choice element."""

    name: str


@dataclass(frozen=True)
class Where:
    """`.where(member='value')`."""

    member: str
    value: str


@dataclass(frozen=True)
class Resolves:
    """`.where(resolve() is T)`: references to resources of one type."""

    name: str


@dataclass(frozen=True)
class Item:
    """`[n]`: the n-th value."""

    number: int


@dataclass(frozen=True)
class Holds:
    """`x.exists() and x != false`: one boolean for the whole path before it."""


Step = Member | OfType | Where | Resolves | Item | Holds
Path = tuple[Step, ...]


def parse(expression: str) -> list[Path]:
    """The alternatives of a union, each as its steps."""
    return _Parser(expression).union()


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens: list[str] = []
        position, text = 0, expression.strip()
        while position < len(text):
            match = TOKEN.match(text, position)
            if not match:
                raise UnsupportedExpressionError(expression)
            self.tokens.append(match.group().strip())
            position = match.end()
        self.position = 0

    def union(self) -> list[Path]:
        alternatives = self.alternative()
        while self.accept("|"):
            alternatives += self.alternative()
        if self.position < len(self.tokens):
            self.fail()
        return alternatives

    def alternative(self) -> list[Path]:
        if self.accept("("):
            paths = [self.term()]
            while self.accept("|"):
                paths.append(self.term())
            self.expect(")")
            rest = self.steps()
            return [path + rest for path in paths]
        return [self.term()]

    def term(self) -> Path:
        if self.accept("("):
            path = self.term()
            self.expect(")")
        else:
            path = (Member(self.name()),)
        path += self.steps()
        if self.accept("as"):
            path += (OfType(self.name()),)
        return path

    def steps(self) -> Path:
        steps: list[Step] = []
        while True:
            if self.accept("["):
                steps.append(Item(int(self.next())))
                self.expect("]")
            elif self.accept("."):
                steps.append(self.function_or_member(steps))
            else:
                return tuple(steps)

    def function_or_member(self, before: list[Step]) -> Step:
        name = self.name()
        if not self.accept("("):
            return Member(name)
        if name == "as":
            step: Step = OfType(self.name())
            self.expect(")")
            return step
        if name == "where":
            return self.where()
        if name == "exists":
            self.expect(")")
            return self.holds(before)
        return self.fail()

    def where(self) -> Step:
        member = self.name()
        if member == "resolve":
            for mark in ("(", ")", "is"):
                self.expect(mark)
            step: Step = Resolves(self.name())
        else:
            self.expect("=")
            step = Where(member, self.next().strip("'"))
        self.expect(")")
        return step

    def holds(self, before: list[Step]) -> Step:
        """`X.exists() and X != false`, X the same path twice; the root's name comes first."""
        self.expect("and")
        self.name()
        if list(self.steps()) != before:
            self.fail()
        self.expect("!=")
        self.expect("false")
        return Holds()

    def next(self) -> str:
        if self.position >= len(self.tokens):
            self.fail()
        self.position += 1
        return self.tokens[self.position - 1]

    def name(self) -> str:
        token = self.next()
        if not (token[0].isalpha() or token[0] in "_%"):
            self.fail()
        return token

    def accept(self, token: str) -> bool:
        if self.position < len(self.tokens) and self.tokens[self.position] == token:
            self.position += 1
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.accept(token):
            self.fail()

    def fail(self) -> Step:
        raise UnsupportedExpressionError(self.expression)
