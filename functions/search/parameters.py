"""FHIR R4's search parameters: the table that tools/compile_definitions.py makes, read lazily."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_TABLE = Path(__file__).with_name("parameters.json.gz")

Step = tuple[str, str, str]
"""(operation, name, value): see `paths.values`."""


class Source(NamedTuple):
    """Where a parameter's values are: steps, their FHIR type, and a code's implied system."""

    steps: tuple[Step, ...]
    type: str
    system: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type.

    `kind` is string, token, date, number, quantity, reference, uri or composite. `targets` are the
    types that a reference may have; empty means any. A composite's `components` start at the values
    of its sources.
    """

    code: str
    kind: str
    sources: tuple[Source, ...]
    targets: tuple[str, ...] = ()
    components: tuple[Parameter, ...] = ()


@cache
def for_type(resource_type: str) -> Mapping[str, Parameter]:
    """The parameters of a type by code, those of every resource included."""
    table = _table()
    entries = {**table["Resource"], **table.get(resource_type, {})}
    return {code: _parameter(code, entry) for code, entry in entries.items()}


def shared_by(resource_types: frozenset[str]) -> Mapping[str, Parameter]:
    """The parameters that mean the same on all the types: same code and kind."""
    first, *rest = sorted(resource_types)
    shared = dict(for_type(first))
    for other in map(for_type, rest):
        shared = {
            code: parameter
            for code, parameter in shared.items()
            if code in other and other[code].kind == parameter.kind
        }
    return shared


@cache
def _table() -> dict[str, dict[str, Any]]:
    return json.loads(gzip.decompress(_TABLE.read_bytes()))


def _parameter(code: str, entry: dict[str, Any]) -> Parameter:
    return Parameter(
        code=code,
        kind=entry["kind"],
        sources=tuple(_source(path) for path in entry["paths"]),
        targets=tuple(entry.get("targets", ())),
        components=tuple(_parameter(c["code"], c) for c in entry.get("components", ())),
    )


def _source(path: str) -> Source:
    steps, _, leaf = path.partition(":")
    type_, _, system = leaf.partition("|")
    return Source(tuple(_step(step) for step in steps.split(".") if step), type_, system)


def _step(text: str) -> Step:
    match text[0]:
        case "?":
            name, _, value = text[1:].partition("=")
            return ("where", name, value)
        case "@":
            return ("resolves", text[1:], "")
        case "#":
            return ("item", text[1:], "")
        case "!":
            return ("holds", "", "")
        case "%":
            return ("root", "", "")
    return ("choice" if "|" in text else "member", text, "")
