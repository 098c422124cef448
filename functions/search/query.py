"""FHIR search parameters to clauses of an OpenSearch query: one value, one parameter.

Semantics: https://hl7.org/fhir/R4/search.html, sections 3.1.1.4.1 to 3.1.1.4.12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from functions.search import ordered, terms
from functions.search.clauses import (
    NOTHING,
    Clause,
    all_of,
    any_of,
    invalid,
    split,
    unescape,
    unsupported,
)
from functions.search.parameters import Parameter
from functions.search.text import exact, fold
from functions.shared.errors import FhirError, quote
from functions.shared.resources import ID, RESOURCE_TYPES

MAX_VALUE_LENGTH = 2_000
"""Characters of one value."""

# The engine refuses larger automata.
MAX_BEGINNING_BYTES = 1_000
MAX_CONTAINED = 250

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
    return ordered.date(target.field("date"), value)


def _number(target: Target, modifier: str, value: str) -> Clause:
    return ordered.amount(target.field("number"), value)


def _quantity(target: Target, modifier: str, value: str) -> Clause:
    def field(name: str) -> str:
        return f"quantity.{name}"

    code = target.parameter.code
    query = all_of([{"term": {"quantity.parameter": code}}, ordered.measured(field, value)])
    if unit := ordered.unit_of(value):
        parameter = {"term": {"quantity.parameter": terms.comparable(code)}}
        query = any_of([query, all_of([parameter, ordered.compared(field, value, unit)])])
    return {"nested": {"path": "quantity", "query": query}}


def _composite(target: Target, modifier: str, value: str) -> Clause:
    components = target.parameter.components
    parts = split(value, "$")
    if len(parts) != len(components) or not all(parts):
        names = "$".join(component.code for component in components)
        raise invalid(f"{quote(target.parameter.code)} is written {names}.")
    code, base_url = target.parameter.code, target.base_url
    query = _combination(code, components, parts, base_url, comparable=False)
    if any(
        c.kind == "quantity" and ordered.unit_of(p) for c, p in zip(components, parts, strict=True)
    ):
        further = _combination(terms.comparable(code), components, parts, base_url, comparable=True)
        query = any_of([query, further])
    return {"nested": {"path": "composite", "query": query}}


def _combination(
    name: str,
    components: Sequence[Parameter],
    parts: Sequence[str],
    base_url: str,
    *,
    comparable: bool,
) -> Clause:
    clauses: list[Clause] = [{"term": {"composite.parameter": name}}]
    for position, (component, part) in enumerate(zip(components, parts, strict=True), 1):
        path = f"composite.c{position}"
        clauses.append(_component(component, path, part, base_url, comparable=comparable))
    return all_of(clauses)


def _component(
    component: Parameter, path: str, value: str, base_url: str, *, comparable: bool
) -> Clause:
    def field(name: str) -> str:
        return f"{path}.{name}"

    if component.kind == "quantity":
        unit = ordered.unit_of(value) if comparable else None
        return ordered.compared(field, value, unit) if unit else ordered.measured(field, value)
    return _value_clause(Target(component, field, base_url), "", value)


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
