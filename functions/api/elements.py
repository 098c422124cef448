"""_summary and _elements: a part of a resource, marked as such (SUBSETTED).

https://hl7.org/fhir/R4/search.html#summary. Which elements a summary has comes from the table that
tools/compile_elements.py makes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from functions.search.clauses import invalid
from functions.shared.resources import parse, serialise

SUMMARIES = ("true", "false", "text", "data", "count")

_TABLE = Path(__file__).with_name("elements.json.gz")
_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}

# Without them a resource can't be understood, whatever was asked for.
_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})


class Subset(NamedTuple):
    """What is wanted of resources: a kind of summary, or (`summary` is empty) these elements."""

    summary: str
    elements: frozenset[str]

    def of(self, body: bytes, *, included: bool = False) -> bytes:
        """The subset of a resource's JSON. R4: the list of elements isn't for included ones."""
        if included and not self.summary:
            return body
        resource = parse(body)
        name = resource["resourceType"]
        match self.summary:
            case "true":
                part = _summary(resource, name)
            case "text":
                part = _listed(resource, {"text", *_mandatory(name)})
            case "data":
                part = {member: v for member, v in resource.items() if member != "text"}
            case _:
                part = _listed(resource, {*self.elements, *_mandatory(name)})
        return serialise(_marked(part))


def read(pairs: Iterable[tuple[str, str]]) -> Subset | None:
    """The subset that a request's parameters ask for; None for whole resources. 400."""
    summary, elements = "", frozenset[str]()
    for name, value in pairs:
        if name == "_summary" and value:
            if value not in SUMMARIES:
                raise invalid("_summary is true, false, text, data or count.")
            summary = value
        elif name == "_elements":
            elements |= {part.strip() for part in value.split(",") if part.strip()}
    if summary in ("", "false", "count"):
        return Subset("", elements) if elements else None
    if elements:
        raise invalid("Ask for _summary or for _elements, not for both.")
    return Subset(summary, frozenset())


def of_request(pairs: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """What a read returns of a resource's JSON. 400."""
    asked = list(pairs)
    if ("_summary", "count") in asked:
        raise invalid("Only searches have _summary=count.")
    subset = read(asked)
    return subset.of(body) if subset else body


@cache
def _table() -> dict[str, Any]:
    return json.loads(gzip.decompress(_TABLE.read_bytes()))


def _mandatory(resource_type: str) -> list[str]:
    return _table()["mandatory"][resource_type]


def _summary(node: dict[str, Any], place: str) -> dict[str, Any]:
    """What a summary has of an object whose members are listed at the place."""
    members = _table()["summary"][place]
    kept: dict[str, Any] = {}
    for name, value in node.items():
        inner = members.get(name.removeprefix("_"))
        if name == "resourceType" or (inner is not None and (not inner or name[0] == "_")):
            kept[name] = value
        elif inner:
            kept[name] = _inside(value, inner)
    return kept


def _inside(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_inside(item, place) for item in value]
    return _summary(value, place) if isinstance(value, dict) else value


def _listed(resource: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The members of these names, and of choices the one that there is: `value`, `valueString`."""
    return {
        member: value
        for member, value in resource.items()
        if member in _ALWAYS or _is_listed(member.removeprefix("_"), names)
    }


def _is_listed(member: str, names: set[str]) -> bool:
    return member in names or any(
        member.startswith(name) and member[len(name)].isupper() for name in names if name
    )


def _marked(part: dict[str, Any]) -> dict[str, Any]:
    meta = part["meta"]
    return {**part, "meta": {**meta, "tag": [*meta.get("tag", ()), _SUBSETTED]}}
