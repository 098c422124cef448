"""FHIR search parameters to clauses of an OpenSearch query: one value, one parameter.

Semantics: https://hl7.org/fhir/R4/search.html, sections 3.1.1.4.1 to 3.1.1.4.12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from functions.search import terms
from functions.search.intervals import Bounds, date_bounds, now, number
from functions.search.parameters import Parameter
from functions.search.text import exact, fold
from functions.shared.errors import FhirError, quote
from functions.shared.resources import ID, RESOURCE_TYPES

Clause = dict[str, Any]

NOTHING: Clause = {"match_none": {}}

MAX_VALUE_LENGTH = 2_000
"""Characters of one value."""

# The engine refuses larger automata.
MAX_BEGINNING_BYTES = 1_000
MAX_CONTAINED = 250

_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)

MODIFIERS = {
    "string": {"exact", "contains"},
    "token": {"not", "text"},
    "reference": {"identifier"} | RESOURCE_TYPES,
    "uri": {"above", "below"},
}
"""Modifiers by kind; `:missing` goes with every kind."""


class Target(NamedTuple):
    """Where a clause looks: the parameter, and its fields' names by kind of field.

    `base_url` is the API's own address, which a reference may or may not carry.
    """

    parameter: Parameter
    field: Callable[[str], str]
    base_url: str


def parameter_clause(
    parameter: Parameter, modifier: str, values: Sequence[str], base_url: str
) -> Clause:
    """The clause of one parameter; `values` are its alternatives (OR). 400 when invalid."""
    code = parameter.code
    allowed = MODIFIERS.get(parameter.kind, set())
    if modifier == "missing":
        if list(values) not in (["true"], ["false"]):
            raise invalid(f"{code}:missing is true or false.")
        missing = values[0] == "true"
        present = {"term": {"present": code}}
        return {"bool": {"must_not": [present]}} if missing else present
    if modifier and (modifier not in allowed or code == "_id"):
        raise unsupported(f"The modifier {quote(':' + modifier)} isn't supported on {quote(code)}.")
    for value in values:
        if len(value) > MAX_VALUE_LENGTH:
            raise _too_long(f"A value has at most {MAX_VALUE_LENGTH} characters.")
    if modifier == "not":
        return {"bool": {"must_not": [parameter_clause(parameter, "", values, base_url)]}}
    target = Target(parameter, lambda name: f"{name}.{code}", base_url)
    return any_of([_value_clause(target, modifier, value) for value in values])


def any_of(clauses: Sequence[Clause]) -> Clause:
    """Alternatives; those that look up terms in the same field become one lookup."""
    lookups: dict[str, list[str]] = {}
    others: list[Clause] = []
    for clause in clauses:
        if "terms" in clause:
            ((field, found),) = clause["terms"].items()
            lookups.setdefault(field, []).extend(found)
        else:
            others.append(clause)
    merged = [{"terms": {f: list(dict.fromkeys(found))}} for f, found in lookups.items()] + others
    return merged[0] if len(merged) == 1 else {"bool": {"should": merged}}


def all_of(clauses: Sequence[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"filter": list(clauses)}}


def split(text: str, separator: str, limit: int = -1) -> list[str]:
    r"""The parts between separators that no `\` escapes; escapes stay for the next level."""
    parts, part, position = [], "", 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            part += text[position : position + 2]
            position += 2
            continue
        if character == separator and len(parts) != limit:
            parts.append(part)
            part = ""
        else:
            part += character
        position += 1
    return [*parts, part]


def unescape(text: str) -> str:
    return re.sub(r"\\([,$|\\])", r"\1", text)


def invalid(diagnostics: str) -> FhirError:
    return FhirError(400, "invalid", diagnostics)


def unsupported(diagnostics: str) -> FhirError:
    return FhirError(400, "not-supported", diagnostics)


def _too_long(diagnostics: str) -> FhirError:
    return FhirError(400, "too-long", diagnostics)


def _value_clause(target: Target, modifier: str, value: str) -> Clause:
    return _KINDS[target.parameter.kind](target, modifier, value)


def _string(target: Target, modifier: str, value: str) -> Clause:
    text = unescape(value)
    if modifier == "exact":
        return {"terms": {target.field("exact"): [exact(text)]}}
    folded = fold(text)
    if not folded:
        return NOTHING
    if modifier == "contains":
        if len(folded) > MAX_CONTAINED:
            raise _too_long(f"A value of :contains has at most {MAX_CONTAINED} characters.")
        pattern = re.sub(r"([*?\\])", r"\\\1", folded)
        return {"wildcard": {target.field("string"): {"value": f"*{pattern}*"}}}
    return _begins(target.field("string"), folded)


def _begins(field: str, text: str) -> Clause:
    if len(text.encode()) > MAX_BEGINNING_BYTES:
        raise _too_long(f"At most {MAX_BEGINNING_BYTES} bytes are compared with beginnings.")
    return {"prefix": {field: {"value": text}}}


def _token(target: Target, modifier: str, value: str) -> Clause:
    if modifier == "text":
        folded = fold(unescape(value))
        return _begins(target.field("text"), folded) if folded else NOTHING
    parts = [unescape(part) for part in split(value, "|", 1)]
    if target.parameter.code == "_id":
        if not ID.fullmatch(parts[-1]) or len(parts) > 1:
            return NOTHING
        return {"terms": {"id": parts}}
    return {"terms": {target.field("token"): [_token_term(parts)]}}


def _token_term(parts: list[str]) -> str:
    if len(parts) == 1:
        return terms.code(parts[0])
    system, code = parts
    if not system and not code:
        raise invalid("A token is code, system|code, |code or system|.")
    return terms.coding(system, code) if code else terms.system(system)


def _uri(target: Target, modifier: str, value: str) -> Clause:
    address, field = unescape(value), target.field("uri")
    if modifier == "above":
        return {"terms": {field: terms.ancestors(address)}}
    if modifier == "below":
        base = address.rstrip("/")
        return any_of([{"terms": {field: [exact(base)]}}, _begins(field, base + "/")])
    return {"terms": {field: [exact(address)]}}


def _reference(target: Target, modifier: str, value: str) -> Clause:
    if modifier == "identifier":
        term = _token_term([unescape(part) for part in split(value, "|", 1)])
        return {"terms": {target.field("identifier"): [term]}}
    base, literal = target.base_url, unescape(value).removeprefix(target.base_url + "/")
    types = target.parameter.targets or sorted(RESOURCE_TYPES)
    if modifier and modifier not in types:
        raise invalid(f"{quote(target.parameter.code)} doesn't refer to {modifier}.")
    if ID.fullmatch(literal):
        if modifier:
            found = [f"{modifier}/{literal}", f"{base}/{modifier}/{literal}"]
        else:
            found = [terms.any_type(literal), *(f"{base}/{type_}/{literal}" for type_ in types)]
    elif (match := terms.LOCAL.fullmatch(literal)) and match.group(1) in RESOURCE_TYPES:
        if modifier not in ("", match.group(1)):
            raise invalid(f"The value {quote(literal)} isn't a {modifier}.")
        found = [literal, f"{base}/{literal}"]
    elif modifier or not terms.ABSOLUTE.match(literal):
        raise invalid(f"{quote(value)} isn't an id, Type/id or a URL.")
    else:
        found = [exact(literal)]
    return {"terms": {target.field("reference"): found}}


def _date(target: Target, modifier: str, value: str) -> Clause:
    prefix, text = _prefix(value)
    try:
        covered = date_bounds(text)
    except ValueError:
        raise invalid(f"{quote(text)} isn't a date.") from None
    if prefix == "ap":
        middle = (covered.low + covered.high) // 2
        margin = int(abs(now() - middle) // 10)
        covered = Bounds(covered.low - margin, covered.high + margin)
    return _compare(target.field("date"), prefix, covered, covered)


def _number(target: Target, modifier: str, value: str) -> Clause:
    return _amount(target.field("number"), value)


def _amount(field: str, value: str) -> Clause:
    prefix, text = _prefix(value)
    try:
        exactly, covered = number(text)
    except (ValueError, ArithmeticError):
        raise invalid(f"{quote(text)} isn't a number.") from None
    if prefix == "ap":
        margin = abs(exactly) / 10
        low = min(covered.low, exactly - margin)
        covered = Bounds(low, max(covered.high, exactly + margin))
    return _compare(field, prefix, covered, Bounds(exactly, exactly))


def _quantity(target: Target, modifier: str, value: str) -> Clause:
    code = target.parameter.code
    clause = _measured(lambda name: f"quantity.{name}", value)
    query = all_of([{"term": {"quantity.parameter": code}}, clause])
    return {"nested": {"path": "quantity", "query": query}}


def _measured(field: Callable[[str], str], value: str) -> Clause:
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) not in (1, 3):
        raise invalid("A quantity is number, or number|system|code, or number||code.")
    clauses = [_amount(field("number"), parts[0])]
    if len(parts) == 3 and parts[2]:
        system, unit = parts[1:]
        term = terms.unit_coding(system, unit) if system else terms.unit(unit)
        clauses.append({"terms": {field("unit"): [term]}})
    elif len(parts) == 3 and parts[1]:
        raise invalid("A quantity's system needs a code.")
    return all_of(clauses)


def _composite(target: Target, modifier: str, value: str) -> Clause:
    components = target.parameter.components
    parts = split(value, "$")
    if len(parts) != len(components) or not all(parts):
        names = "$".join(component.code for component in components)
        raise invalid(f"{quote(target.parameter.code)} is written {names}.")
    clauses: list[Clause] = [{"term": {"composite.parameter": target.parameter.code}}]
    for position, (component, part) in enumerate(zip(components, parts, strict=True), 1):
        clauses.append(_component(component, f"composite.c{position}", part, target.base_url))
    return {"nested": {"path": "composite", "query": all_of(clauses)}}


def _component(component: Parameter, path: str, value: str, base_url: str) -> Clause:
    def field(name: str) -> str:
        return f"{path}.{name}"

    if component.kind == "quantity":
        return _measured(field, value)
    return _value_clause(Target(component, field, base_url), "", value)


def _prefix(value: str) -> tuple[str, str]:
    match = _PREFIXED.fullmatch(unescape(value).strip())
    prefix, text = match.groups() if match else ("", value)
    return prefix or "eq", text


def _compare(field: str, prefix: str, covered: Bounds, exactly: Bounds) -> Clause:
    """A range against ranges. eq and ne go by the value's precision, the others by `exactly`."""

    def ranged(relation: str, **limits: float) -> Clause:
        return {"range": {field: {**limits, "relation": relation}}}

    def inside(bounds: Bounds) -> Clause:
        upper = {"lt" if bounds.open else "lte": bounds.high}
        return ranged("within", gte=bounds.low, **upper)

    above = ranged("intersects", gt=exactly.high)
    below = ranged("intersects", lt=exactly.low)
    match prefix:
        case "gt":
            return above
        case "lt":
            return below
        case "ge":
            return any_of([above, inside(exactly)])
        case "le":
            return any_of([below, inside(exactly)])
        case "sa":
            return ranged("within", gt=exactly.high)
        case "eb":
            return ranged("within", lt=exactly.low)
        case "ap":
            return ranged("intersects", gte=covered.low, lte=covered.high)
        case "ne":
            beyond = {"gte" if covered.open else "gt": covered.high}
            return any_of([ranged("intersects", lt=covered.low), ranged("intersects", **beyond)])
    return inside(covered)


_KINDS: dict[str, Callable[[Target, str, str], Clause]] = {
    "string": _string,
    "token": _token,
    "uri": _uri,
    "reference": _reference,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "composite": _composite,
}
