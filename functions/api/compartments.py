"""Searches in a compartment: GET /Patient/{id}/Observation?…, and Patient/{id}/$everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from functions.api.search import Scope, answer
from functions.search import compartments
from functions.search.clauses import Clause, any_of, invalid, unsupported
from functions.search.includes import Include
from functions.search.intervals import date_bounds
from functions.shared import access, headers, store
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response, resource_of
from functions.shared.identity import Identity
from functions.shared.resources import RESOURCE_TYPES

_ALL = "*"

_PERIOD = {"start": "gte", "end": "lte"}
_EVERYTHING = frozenset({*_PERIOD, "_since", "_type", "_count", "_cursor", "_format", "_pretty"})

# What a resource in the compartment refers to belongs to the patient's record as well.
_REFERRED = Include(reverse=False, iterate=False, source="", code="", target="")


def search(
    request: Request,
    identity: Identity,
    compartment: tuple[str, str],
    member: str,
    given: Sequence[tuple[str, str]],
) -> Response:
    """The page of a search among what is in the compartment (its type and id) and of a type.

    `*` is every type that the user may search. 404 for what is no compartment.
    """
    name, resource_id = compartment
    if name not in compartments.COMPARTMENTS:
        raise FhirError(404, "not-supported", f"There is no compartment of {quote(name)}.")
    path = f"/{name}/{resource_id}/{member}"
    rest = list(given)
    if member == _ALL:
        types, rest = _types(identity, name, given)
    elif member not in RESOURCE_TYPES:
        raise FhirError(404, "not-found", "There is nothing at this path.")
    else:
        access.require(identity, "search", member)
        types = frozenset({member})
    if not types & compartments.types_of(name):
        raise FhirError(404, "not-found", f"A compartment of {name} has no {member}.")
    clause = compartments.members(name, resource_id, types, request.base_url)
    return answer(request, identity, Scope(path, types, [clause]), given, rest)


def everything(
    request: Request, identity: Identity, patient: str, given: Sequence[tuple[str, str]]
) -> Response:
    """The patient's compartment, and what is referred to from it.

    https://hl7.org/fhir/R4/patient-operation-everything.html. `start` and `end` are for what has a
    clinical date (parameter `date`); the rest is there in any case. 404, 410 as for the patient.
    """
    last = store.latest(f"Patient/{patient}", body=False)
    if last is None:
        raise FhirError(404, "not-found", f"There is no Patient {quote(patient)}.")
    headers.require_alive(last)
    asked = [*given, *parameters_of(request)]
    for name, _ in asked:
        if name not in _EVERYTHING and headers.preference(request, "handling") == "strict":
            raise unsupported(f"The parameter {quote(name)} isn't supported here.")
    known = [pair for pair in asked if pair[0] in _EVERYTHING]
    types, rest = _types(identity, "Patient", known)
    filters = [pair for pair in rest if pair[0] in ("start", "end", "_since")]
    clauses = [compartments.members("Patient", patient, types, request.base_url)]
    clauses += [_filter(name, value) for name, value in filters if value]
    path = f"/Patient/{patient}/$everything"
    scope = Scope(path, types, clauses, [_REFERRED], filters)
    return answer(request, identity, scope, known, [p for p in rest if p not in filters])


def _types(
    identity: Identity, compartment: str, given: Iterable[tuple[str, str]]
) -> tuple[frozenset[str], list[tuple[str, str]]]:
    """(types that are asked for and may be searched, the other parameters)."""
    rest = [pair for pair in given if pair[0] != "_type"]
    asked = {t.strip() for name, value in given if name == "_type" for t in value.split(",")}
    for name in sorted(asked):
        if name not in RESOURCE_TYPES:
            raise invalid(f"{quote(name)} isn't a resource type.")
        access.require(identity, "search", name)
    types = compartments.types_of(compartment) & access.readable_types(identity)
    return (types & asked if asked else types), rest


def _filter(name: str, value: str) -> Clause:
    try:
        bounds = date_bounds(value)
    except ValueError:
        raise invalid(f"{quote(value)} isn't a date.") from None
    if name == "_since":
        return {"range": {"updated": {"gte": bounds.low}}}
    limit = bounds.low if name == "start" else bounds.high
    within: Clause = {"range": {"date.date": {_PERIOD[name]: limit, "relation": "intersects"}}}
    return any_of([{"bool": {"must_not": [{"term": {"present": "date"}}]}}, within])


def parameters_of(request: Request) -> list[tuple[str, str]]:
    """What a POST has in its body, a resource Parameters."""
    if request.method != "POST" or not request.body:
        return []
    resource = resource_of(request)
    parameters: Any = resource.get("parameter", [])
    if resource.get("resourceType") != "Parameters" or not isinstance(parameters, list):
        raise FhirError(400, "structure", "The body must be a resource Parameters.")
    return [
        (str(parameter.get("name")), str(value))
        for parameter in parameters
        if isinstance(parameter, dict)
        for member, value in parameter.items()
        if member.startswith("value")
    ]
