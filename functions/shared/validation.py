"""Validation of a resource's structure: elements, types, cardinalities, choices, bound codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from functions.shared.errors import FhirError, Issue, quote
from functions.shared.resources import RESOURCE_TYPES

_SCHEMAS = Path(__file__).with_name("fhir_r4_schema.jsonl")
"""Made by tools/compile_schema.py: a JSON array [type, definitions] per line, data types first."""

_MAX_ISSUES = 20
_MAX_VALUES = 20_000
"""In a larger resource only the first fault is named: finding all takes 70 µs for each of them."""

_MAX_DEPTH = 64
"""Containers within containers, where the deepest real resources have about 20."""

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_ZONED = re.compile(
    r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]\d\d:\d\d)"
)
_ZONE = re.compile(r"Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00")


def validate(resource: dict[str, Any]) -> None:
    """400 unless the resource is valid FHIR R4; the outcome's expressions point to the elements.

    Resources in it (contained, entries of a Bundle, parameters) are validated as their own type.
    """
    thorough = _values(resource) <= _MAX_VALUES
    found = islice(_issues(resource, "", thorough), _MAX_ISSUES if thorough else 1)
    issues = list(dict.fromkeys(found))
    if issues:
        first, *further = issues
        raise FhirError(
            400, first.code, first.diagnostics, expression=first.expression, further=further
        )


def _issues(resource: dict[str, Any], path: str, thorough: bool) -> Iterator[Issue]:
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
        yield Issue(
            "structure",
            f"{quote(kind)} isn't a resource type of FHIR R4.",
            (f"{path or 'Resource'}.resourceType",),
        )
        return
    root = path or kind
    validator, definitions = _compiled(kind)
    for error in _errors(validator, resource, thorough):
        yield _issue(error, root, definitions)
    for inner, inner_path in _inner(resource, kind, root):
        yield from _issues(inner, inner_path, thorough)


def _errors(validator: Any, resource: dict[str, Any], thorough: bool) -> Iterable[Any]:
    if thorough:
        return validator.iter_errors(resource)
    from jsonschema_rs import ValidationError

    try:
        validator.validate(resource)
    except ValidationError as error:
        return [error]
    return []


def _inner(resource: dict[str, Any], kind: str, path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The resources directly inside one, with their paths."""
    contained = resource.get("contained")
    if isinstance(contained, list):
        for index, inner in enumerate(contained):
            if isinstance(inner, dict):
                yield inner, f"{path}.contained[{index}]"
    nests = {"Bundle": "entry", "Parameters": "parameter"}.get(kind)
    if nests:
        yield from _nested(resource.get(nests), f"{path}.{nests}")


def _nested(entries: Any, path: str) -> Iterator[tuple[dict[str, Any], str]]:
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        if isinstance(inner := entry.get("resource"), dict):
            yield inner, f"{path}[{index}].resource"
        if isinstance(response := entry.get("response"), dict) and isinstance(
            inner := response.get("outcome"), dict
        ):
            yield inner, f"{path}[{index}].response.outcome"
        yield from _nested(entry.get("part"), f"{path}[{index}].part")


@cache
def _compiled(kind: str) -> tuple[Any, dict[str, Any]]:
    """The validator of a type, and its definitions."""
    import jsonschema_rs  # here, since reads and searches don't need it

    definitions = definitions_of(kind)
    validator = jsonschema_rs.Draft202012Validator(
        {"$defs": definitions, "$ref": f"#/$defs/{kind}"}, validate_formats=True, formats=_FORMATS
    )
    return validator, definitions


@cache
def definitions_of(kind: str) -> dict[str, Any]:
    """The JSON schemas of a resource type and of the data types, by name."""
    return {**_definitions(""), **_definitions(kind)}


@cache
def _definitions(kind: str) -> dict[str, Any]:
    """The definitions in the line of a type; the line without a name has the data types."""
    start = f'["{kind}",'.encode()
    with _SCHEMAS.open("rb") as lines:
        line = next(line for line in lines if line.startswith(start))
    return msgspec.json.decode(line)[1]


def _issue(error: Any, root: str, definitions: dict[str, Any]) -> Issue:
    """An error of the JSON schema in FHIR's terms."""
    path = root + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.instance_path)
    keyword = error.kind.name
    if keyword == "required":
        return Issue("required", f"{path}.{error.kind.property} is required.", (path,))
    if keyword == "anyOf":
        name = _rule(error, definitions)["anyOf"][0]["required"][0]
        return Issue("required", f"{path}.{name} is required.", (path,))
    if keyword == "oneOf" and not isinstance(error.instance, dict):
        return Issue("structure", f"{path} must be of JSON type object.", (path,))
    if keyword == "oneOf":
        options = _rule(error, definitions)["oneOf"]
        present = [name for name in _option_names(options) if name in error.instance]
        name = f"{path}.{_stem(options)}[x]"
        if present:
            return Issue("structure", f"{name} can have one type only.", (path,))
        return Issue("required", f"{name} is required.", (path,))
    if keyword == "additionalProperties":
        names = ", ".join(quote(name) for name in error.kind.unexpected[:_MAX_ISSUES])
        return Issue("structure", f"{path} has no element {names}.", (path,))
    if keyword in ("minItems", "minProperties"):
        return Issue("structure", f"{path} is empty; leave it out.", (path,))
    if keyword == "enum":
        codes = [str(code) for code in error.kind.options if code is not None]
        return Issue("code-invalid", f"{path} must be one of: {', '.join(codes[:50])}.", (path,))
    if keyword == "type":
        wanted = error.kind.types if hasattr(error.kind, "types") else error.kind.type
        names = wanted if isinstance(wanted, list) else [wanted]
        wanted = " or ".join(name for name in names if name != "null")
        return Issue("structure", f"{path} must be of JSON type {wanted}.", (path,))
    if keyword in ("minimum", "maximum"):
        bound = "least" if keyword == "minimum" else "most"
        return Issue("value", f"{path} must be at {bound} {error.kind.limit}.", (path,))
    if keyword in ("pattern", "format"):
        kind = error.schema_path[error.schema_path.index("$defs") + 1].removesuffix("?")
        return Issue("value", f"{path} isn't a valid {kind}.", (path,))
    return Issue("value", f"{path} isn't valid ({keyword}).", (path,))


def _rule(error: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema that holds the failed keyword, found by the error's path in the definitions."""
    path = error.schema_path
    found: Any = definitions
    for step in path[len(path) - path[::-1].index("$defs") : -1]:
        found = found[step]
    return found


def _option_names(options: list[dict[str, Any]]) -> Iterator[str]:
    for option in options:
        for branch in option.get("anyOf", [option]):
            yield from branch.get("required", [])


def _stem(options: list[dict[str, Any]]) -> str:
    """`value` of valueQuantity, valueString …"""
    names = [name for name in _option_names(options) if not name.startswith("_")]
    shortest = min(names, key=len)
    same = (i for i in range(len(shortest), 0, -1) if all(n[:i] == shortest[:i] for n in names))
    stem = shortest[: next(same)]
    return re.split(r"(?=[A-Z][^A-Z]*$)", stem)[0] if len(names) == 1 else stem


def _values(resource: dict[str, Any]) -> int:
    """The number of values in it, at all levels. 400 when there are too many levels."""
    level: list[Any] = [resource]
    count = 0
    for _ in range(_MAX_DEPTH):
        count += sum(map(len, level))
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return count
    raise FhirError(400, "structure", f"The resource is nested deeper than {_MAX_DEPTH} levels.")


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(f"{text}-01-01"[:10])
    except ValueError:
        return False
    return True


def _is_instant(text: str) -> bool:
    found = _ZONED.fullmatch(text)
    return found is not None and _is_date(found[1]) and _ZONE.fullmatch(found[5]) is not None


_FORMATS: dict[str, Callable[[str], bool]] = {
    "fhir-date": _is_date,
    "fhir-dateTime": lambda text: _is_date(text) or _is_instant(text),
    "fhir-instant": _is_instant,
}
