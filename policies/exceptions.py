"""Exceptions from the rules: each with its reason and its end, all in `exceptions.yaml`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("exceptions.yaml")


@dataclass(frozen=True)
class RuleException:
    """A rule that some resources needn't keep for some time."""

    rule: str
    """The rule's name; `*` stands for any characters, as scanners have families of checks."""
    stack: str
    """Stack, or `*`."""
    resource: str
    """The resource's name; `*` stands for any characters."""
    reason: str
    expires: date
    """The last day."""

    def covers(self, rule: str, urn: str, today: date) -> bool:
        """Whether the resource of the URN may break the rule today."""
        stack, name = urn.split(":")[2], urn.rpartition("::")[2]
        return (
            fnmatchcase(rule, self.rule)
            and fnmatchcase(stack, self.stack)
            and fnmatchcase(name, self.resource)
            and today <= self.expires
        )


def parse(text: str) -> tuple[RuleException, ...]:
    """The exceptions of a YAML text; ValueError for one that lacks something."""
    entries: list[dict[str, Any]] = yaml.safe_load(text) or []
    for entry in entries:
        if not all(entry.get(key) for key in RuleException.__annotations__):
            raise ValueError(f"{FILE.name}: rule, stack, resource, reason, expires; not {entry}")
    return tuple(RuleException(**entry) for entry in entries)


EXCEPTIONS = parse(FILE.read_text("utf-8"))


def excepted(
    rule: str,
    urn: str,
    exceptions: Iterable[RuleException] = EXCEPTIONS,
    today: date | None = None,
) -> bool:
    """Whether the resource of the URN may break the rule today."""
    now = today or datetime.now(UTC).date()
    return any(exception.covers(rule, urn, now) for exception in exceptions)
