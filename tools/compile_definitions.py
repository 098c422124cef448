"""Compiles FHIR R4's search parameters to the table `functions/search/parameters.json.gz`.

    python -m tools.compile_definitions hapi-fhir-validation-resources-r4-8.6.1.jar

tools/definitions.py says where the file comes from. The output is deterministic: the same
definitions give the same bytes. An expression that can't be compiled, or an element whose type
can't be indexed for the parameter's kind, stops the compiler.

The table is JSON: {resource type: {code: {"kind", "paths", "targets"?, "components"?}}}. Parameters
of every resource stand under `Resource`. A path is `step.step:type`; a step is a member's name,
`?member=value` (filter), `@Type` (references to that type), `#n` (n-th value) or `!` (true unless
missing or false; looks at all members `a|b` before it). A `code` with a required binding to one
code system carries it: `gender:code|http://hl7.org/fhir/administrative-gender`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.definitions import Definitions, Element
from tools.fhirpath_subset import (
    Holds,
    Item,
    Member,
    OfType,
    Resolves,
    Step,
    UnsupportedExpressionError,
    Where,
    parse,
)

OUTPUT = Path(__file__).parents[1] / "functions" / "search" / "parameters.json.gz"

INDEXABLE = {
    "string": {"string", "markdown", "HumanName", "Address"},
    "token": {
        "code", "Coding", "CodeableConcept", "Identifier", "ContactPoint", "boolean", "string",
        "id", "uri", "canonical", "oid", "uuid",
    },
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "number": {"integer", "positiveInt", "unsignedInt", "decimal", "Range"},
    "quantity": {"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range"},
    "reference": {"Reference", "canonical", "uri", "url", "Resource"},
    "uri": {"uri", "url", "canonical", "oid"},
}  # fmt: skip

# SampledData is a series of measurements: no single quantity of it can be compared.
NOT_INDEXED = {("quantity", "SampledData")}

# Mistakes in FHIR's definitions: a misspelt type, and a composite's components named crosswise.
TYPE_NAMES = {"DateTime": "dateTime"}
_RELATIONSHIP = "http://hl7.org/fhir/SearchParameter/DocumentReference-"
COMPONENTS = {
    (f"{_RELATIONSHIP}relationship", "code"): f"{_RELATIONSHIP}relation",
    (f"{_RELATIONSHIP}relationship", "target"): f"{_RELATIONSHIP}relatesto",
}


class Elements:
    """The elements of all types: what a member's types are, and its implied code system."""

    def __init__(self, definitions: Definitions) -> None:
        self.elements: dict[str, Element] = {}
        resources = definitions.resources()
        self.resources = {r.name for r in resources if not r.abstract}
        for structure in (*definitions.data_types(), *resources):
            for element in structure.elements:
                self.elements.setdefault(element.path, element)
        self.systems = definitions.systems()

    def member(self, parent: str, name: str) -> list[tuple[str, str, str]]:
        """(JSON name, type, where its children are defined) of each type the member may have."""
        for path in (f"{parent}.{name}", f"{parent}.{name}[x]"):
            if path in self.elements:
                element = self.elements[path]
                break
        else:
            return []
        if element.content_reference:
            return [(name, "BackboneElement", element.content_reference)]
        found = []
        for type_ in element.types:
            code = "id" if name == "id" else type_.removeprefix("http://hl7.org/fhirpath/System.")
            key = name + code[0].upper() + code[1:] if path.endswith("[x]") else name
            inline = code in ("BackboneElement", "Element")
            found.append((key, code, path if inline else code))
        return found

    def system(self, parent: str, name: str) -> str:
        element = self.elements.get(f"{parent}.{name}")
        return self.systems.get(element.value_set, "") if element else ""


class Compiler:
    def __init__(self, elements: Elements) -> None:
        self.elements = elements

    def paths(self, expression: str, kind: str, base: str, context: str) -> list[str]:
        """The compiled alternatives that apply to `base`; `context` is where relative ones start.

        Raises UnsupportedExpressionError when an element can't be indexed as `kind`.
        """
        compiled: list[str] = []
        for path in parse(expression):
            start, steps, prefix = self.start(path, base, context)
            if start:
                before = len(compiled)
                compiled += self.walk(steps, prefix, start, kind, expression)
                if len(compiled) == before and not self.skipped(steps, kind):
                    raise UnsupportedExpressionError(f"{base}: {expression} as {kind}")
        return list(dict.fromkeys(compiled))

    def skipped(self, steps: tuple[Step, ...], kind: str) -> bool:
        last = steps[-1]
        return isinstance(last, OfType) and (kind, last.name) in NOT_INDEXED

    def start(
        self, path: tuple[Step, ...], base: str, context: str
    ) -> tuple[str, tuple[Step, ...], list[str]]:
        first = path[0]
        if not isinstance(first, Member):
            raise UnsupportedExpressionError(str(path))
        if first.name == "%resource":
            return base, path[1:], ["%resource"]
        if first.name == base or first.name in ("Resource", "DomainResource"):
            return first.name, path[1:], []
        if first.name[0].isupper():
            return "", (), []  # an alternative for another resource type
        return context, path, []

    def walk(
        self, steps: tuple[Step, ...], done: list[str], parent: str, kind: str, expression: str
    ) -> Iterator[str]:
        """Depth first through the types a path may take; yields compiled paths."""
        if not steps:
            if kind != "composite":
                raise UnsupportedExpressionError(expression)
            yield ".".join(done)
            return
        step, rest = steps[0], steps[1:]
        if not isinstance(step, Member):
            raise UnsupportedExpressionError(expression)
        options = self.elements.member(parent, step.name)
        if not options:
            raise UnsupportedExpressionError(f"{expression}: no element {parent}.{step.name}")
        if rest and isinstance(rest[0], OfType):
            wanted = TYPE_NAMES.get(rest[0].name, rest[0].name)
            options = [option for option in options if option[1] == wanted]
            rest = rest[1:]
        if rest and isinstance(rest[0], Holds):
            yield ".".join([*done, "|".join(key for key, _, _ in options), "!"]) + ":boolean"
            return
        filters = []
        while rest and isinstance(rest[0], Where | Resolves | Item):
            filters.append(self.filter(rest[0]))
            rest = rest[1:]
        for key, type_, children in options:
            here = [*done, key, *filters]
            if rest or kind == "composite":
                yield from self.walk(rest, here, children, kind, expression)
            elif type_ in INDEXABLE[kind]:
                system = self.elements.system(parent, step.name) if type_ == "code" else ""
                yield ".".join(here) + f":{type_}" + (f"|{system}" if system else "")

    def components(
        self, definition: dict[str, Any], by_url: dict[str, dict[str, Any]], base: str
    ) -> list[dict[str, Any]]:
        context = self.context(definition["expression"], base)
        compiled = []
        for component in definition["component"]:
            expression = component["expression"]
            url = COMPONENTS.get((definition["url"], expression)) or component["definition"]
            kind = by_url[url]["type"]
            paths = self.paths(expression, kind, base, context)
            compiled.append({"code": by_url[url]["code"], "kind": kind, "paths": paths})
        return compiled

    def context(self, expression: str, base: str) -> str:
        """Where a composite's components start: the last alternative has all their elements."""
        path = [path for path in parse(expression) if path[0] == Member(base)][-1]
        context = base
        for step in path[1:]:
            if not isinstance(step, Member):
                raise UnsupportedExpressionError(expression)
            context = self.elements.member(context, step.name)[0][2]
        return context

    def filter(self, step: Step) -> str:
        match step:
            case Where():
                text = f"?{step.member}={step.value}"
            case Resolves():
                text = f"@{step.name}"
            case Item():
                text = f"#{step.number}"
            case _:
                raise UnsupportedExpressionError(str(step))
        if "." in text or ":" in text:
            raise UnsupportedExpressionError(text)
        return text


def compile_parameters(source: Definitions) -> dict[str, dict[str, dict[str, Any]]]:
    """The table of all search parameters that have an expression, by resource type and code."""
    elements = Elements(source)
    compiler = Compiler(elements)
    definitions = source.search_parameters()
    by_url = {definition["url"]: definition for definition in definitions}
    table: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for definition in definitions:
        kind, expression = definition["type"], definition.get("expression")
        if not expression or kind == "special":
            continue  # _text, _content, _query and Location's near: no values to compare
        for base in definition["base"]:
            entry: dict[str, Any] = {"kind": kind}
            entry["paths"] = compiler.paths(expression, kind, base, base)
            targets = set(definition.get("target", ()))
            if targets and not targets >= elements.resources - {"Parameters"}:
                entry["targets"] = sorted(targets)
            if kind == "composite":
                entry["components"] = compiler.components(definition, by_url, base)
            if not entry["paths"]:
                raise UnsupportedExpressionError(f"{base}: {expression}")
            table[base][definition["code"]] = entry
    for resource in elements.resources:
        table.setdefault(resource, {})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("jar", type=Path, help="HL7's definitions: see tools/definitions.py")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    table = compile_parameters(Definitions(arguments.jar))
    data = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    arguments.output.write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{sum(map(len, table.values()))} parameters of {len(table)} types -> {arguments.output}")


if __name__ == "__main__":
    main()
