"""Interactions on the resource that matches criteria: conditional create, update, patch, delete.

https://hl7.org/fhir/R4/http.html#ccreate. The index says what matches; the table says whether that
is still so. Parallel conditional creates with the same criteria make one resource: see `guards`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl

from functions.api import guards, idempotency, interactions, json_patch, writes
from functions.api.decisions import decided
from functions.search import parameters, plan
from functions.search.view import View
from functions.shared import access, consistency, evidence, grants, headers, items, store
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.resources import new_id
from functions.shared.store import Action, ActionRefused, Stale

_TRIES = 5

# Parameters that say how a result looks, not what matches.
_RESULT = frozenset(
    {"_sort", "_count", "_total", "_summary", "_elements", "_contained", "_containedType"}
    | {"_include", "_revinclude", "_cursor"}
)
_FORM = frozenset({"_format", "_pretty"})

Criteria = list[tuple[str, str]]


def create(request: Request, identity: Identity, resource_type: str) -> Response:
    """201; 200 with the resource that matches already; 412 when several do."""
    before = idempotency.made_before(request, identity)
    if before is not None:
        return interactions.answered_before(request, before)
    criteria = criteria_of(request.headers["if-none-exist"])
    resource = interactions.body_of(request, resource_type)
    found = match(request, identity, resource_type, criteria)
    if found is None:
        version = writes.draft(resource, new_id(), 1, identity.subject)
        keyed = idempotency.actions(request, identity, [interactions.record(version)])
        found = claim(request, identity, version, criteria, keyed)
        if found is None:
            return interactions.written(request, version, created=True)
    answer = interactions.written(request, found)
    location = interactions.location(request, found)
    return replace(answer, headers={**answer.headers, "Location": location})


def update(request: Request, identity: Identity, resource_type: str) -> Response:
    """200 with the matching resource's new version; 201 when none matched; 412 for several."""
    criteria = criteria_in(request)
    matched = headers.if_match(request)
    resource = interactions.body_of(request, resource_type)

    def following(last: Version) -> Version:
        if "id" in resource:
            writes.require_id(resource, last.pk.partition("/")[2])
        writes.require_match(last, matched)
        return writes.successor(resource, last)

    if found := match(request, identity, resource_type, criteria):
        return _change(request, identity, criteria, found, following)
    if matched is not None:
        raise Stale
    if "id" in resource:
        resource_id = writes.given_id(resource)
        return interactions.update(request, identity, resource_type, resource_id)
    version = writes.draft(resource, new_id(), 1, identity.subject)
    if found := claim(request, identity, version, criteria):
        return _change(request, identity, criteria, found, following)
    return interactions.written(request, version, created=True)


def patch(request: Request, identity: Identity, resource_type: str) -> Response:
    """200 with what a JSON Patch makes of the matching resource; 404 for none, 412 for several."""
    criteria = criteria_in(request)
    matched = headers.if_match(request)
    operations = json_patch.operations_of(request)
    found = match(request, identity, resource_type, criteria)
    if found is None:
        raise FhirError(404, "not-found", f"No {resource_type} matches.")
    return _change(
        request,
        identity,
        criteria,
        found,
        lambda last: json_patch.patched(operations, last, matched),
    )


def delete(request: Request, identity: Identity, resource_type: str) -> Response:
    """204, also when nothing matches; 412 when several resources do."""
    criteria = criteria_in(request)
    matched = headers.if_match(request)
    for _ in range(_TRIES):
        found = match(request, identity, resource_type, criteria)
        if found is None:
            return interactions.removed(request, None)
        writes.require_match(found, matched)
        version, also, events = decided(request, identity, found, items.tombstone(found))
        try:
            evidence.recorded(events, partial(_append, version, also))
        except Stale:
            continue
        return interactions.removed(request, version, consistency.header([version]))
    raise _busy()


def criteria_of(text: str) -> Criteria:
    """Search parameters, as If-None-Exist and conditional references have them."""
    try:
        found = parse_qsl(text.strip().removeprefix("?"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise FhirError(400, "value", "The criteria aren't valid search parameters.") from None
    return checked(found)


def criteria_in(request: Request) -> Criteria:
    """The search parameters of a request's URL."""
    return checked([pair for pair in request.query if pair[0] not in _FORM])


def match(
    request: Request, identity: Identity, resource_type: str, criteria: Criteria
) -> Version | None:
    """The latest version of the only resource that matches; None if none does; 412 for several.

    It matches as it is now: what the index doesn't show yet is waited for, 503 if that takes long.
    """
    access.require(identity, "search", resource_type)
    for _ in range(_TRIES):
        hits = _hits(request, identity, resource_type, criteria)
        if len(hits) > 1:
            raise FhirError(412, "multiple-matches", f"Several {resource_type} resources match.")
        if not hits:
            return None
        [(pk, number)] = hits
        last = store.latest(pk)
        if last is not None:
            # The query left others' private resources out, but the table has the last word.
            access.require_owner(identity, resource_type, last.owner)
        if last is None or last.version == number:
            return last
        request = _showing(request, last)
    raise _busy()


def claim(
    request: Request,
    identity: Identity,
    version: Version,
    criteria: Criteria,
    also: Sequence[Action] = (),
) -> Version | None:
    """Creates a resource that nothing matched a moment ago, and does `also` with it.

    Returns the one that came first, if any: then nothing was done.
    """
    resource_type = version.pk.partition("/")[0]
    guard = guards.key(identity, resource_type, criteria)
    former = ""
    version, decisions, events = decided(request, identity, None, version)
    for _ in range(_TRIES):
        actions = [guards.action(guard, version.pk, instead_of=former), *also, *decisions]
        try:
            evidence.recorded(events, partial(_create, version, actions))
        except ActionRefused as refused:
            if refused.index:
                break  # the same request, sent twice at once
            former = refused.item["made"]["S"]
            if found := holder(request, identity, former, criteria):
                return found
        else:
            return None
    raise _busy()


def holder(request: Request, identity: Identity, pk: str, criteria: Criteria) -> Version | None:
    """What matches now, given that a resource made with the same criteria holds their guard."""
    last = store.latest(pk)
    if last is None or last.deleted or last.erased:
        return None
    if last.version == 1:
        return last
    return match(_showing(request, last), identity, pk.partition("/")[0], criteria)


def _change(
    request: Request,
    identity: Identity,
    criteria: Criteria,
    found: Version,
    following: Callable[[Version], Version],
) -> Response:
    """Writes what `following` makes of the matching resource, if it still matches."""
    resource_type = found.pk.partition("/")[0]
    for _ in range(_TRIES):
        version, also, events = decided(request, identity, found, following(found))
        try:
            evidence.recorded(events, partial(_append, version, also))
        except Stale:
            again = match(request, identity, resource_type, criteria)
            if again is None:
                break
            found = again
        else:
            return interactions.written(request, version)
    raise _busy()


def _create(version: Version, also: Sequence[Action], records: Sequence[Action]) -> None:
    store.create(version, [*also, *records])


def _append(version: Version, also: Sequence[Action], records: Sequence[Action]) -> None:
    store.append(version, [*also, *records])


def _hits(
    request: Request, identity: Identity, resource_type: str, criteria: Criteria
) -> list[tuple[str, int]]:
    """(pk, version) of at most two that match."""
    types = frozenset({resource_type})
    asked = plan.read(
        criteria,
        parameters.for_type(resource_type),
        types,
        base_url=request.base_url,
        strict=True,
    )
    # What others share can be read, but isn't what a write means.
    view = View(identity, request, grants.own(identity))
    clauses = list(asked.clauses)
    if asked.links:
        from functions.search.chains import Chains  # here, as in search

        chains = Chains(view, request.base_url)
        clauses += [chains.clause(types, name, value) for name, value in asked.links]
    answer = view.search(
        {
            "query": view.query(types, clauses),
            "size": 2,
            "track_total_hits": False,
            "_source": False,
            "version": True,
        }
    )
    return [(hit["_id"], hit["_version"]) for hit in answer["hits"]["hits"]]


def _showing(request: Request, version: Version) -> Request:
    """The request, whose searches wait until the index shows the version."""
    name = consistency.HEADER.lower()
    tokens = [
        *filter(None, [request.headers.get(name)]),
        consistency.header([version])[consistency.HEADER],
    ]
    return replace(request, headers={**request.headers, name: ",".join(tokens)})


def checked(criteria: Sequence[tuple[str, str]]) -> Criteria:
    """400 for no criteria, and for those that wouldn't restrict anything."""
    if not criteria:
        raise FhirError(400, "required", "Say which resource is meant: criteria are missing.")
    for name, value in criteria:
        if name.partition(":")[0] in _RESULT or not value.strip():
            raise FhirError(400, "value", f"{quote(name)} is no criterion, or has no value.")
    return list(criteria)


def _busy() -> FhirError:
    return FhirError(409, "conflict", "Others are changing what matches; try again.")
