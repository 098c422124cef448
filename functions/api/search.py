"""Search: GET /{Type}?…, POST /{Type}/_search and GET /?_type=… to a Bundle of type searchset.

The index says which versions match, in which order; their bodies come from the table. What a user
may not see is excluded by the query itself, so that totals and pages don't tell of it either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote as percent
from urllib.parse import urlencode

from functions.search import cursor, parameters, plan
from functions.search.plan import Plan
from functions.search.query import invalid
from functions.search.view import View
from functions.shared import access, store
from functions.shared.errors import FhirError, quote
from functions.shared.headers import preference
from functions.shared.http import MAX_ANSWER_BYTES, Request, Response, fhir, size_in_answer
from functions.shared.identity import Identity
from functions.shared.resources import RESOURCE_TYPES, serialise
from functions.shared.store import Version

ESTIMATED_TO = 100_000
"""`_total=estimate` counts up to this; more are reported as this many."""

_TOTALS: dict[str, bool | int] = {"none": False, "estimate": ESTIMATED_TO, "accurate": True}


def search(
    request: Request,
    identity: Identity,
    resource_type: str | None,
    given: Sequence[tuple[str, str]],
) -> Response:
    """The page that the parameters ask for, of one type or (None) of all that the user may search.

    400 for what's wrong, 403 for types that aren't allowed, 422 when it is too costly, 503 while
    the engine is away, or later than a consistency token allows.
    """
    path, types, rest = _scope(identity, resource_type, given)
    asked = plan.read(
        rest,
        _known(types, path),
        types,
        base_url=request.base_url,
        strict=preference(request, "handling") == "strict",
    )
    answer = _find(asked, View(identity, request), request.base_url)
    request.log["found"] = len(answer["hits"]["hits"])
    return fhir(200, _bundle(request.base_url + path, given, asked, answer))


def _scope(
    identity: Identity, resource_type: str | None, asked: Sequence[tuple[str, str]]
) -> tuple[str, frozenset[str], list[tuple[str, str]]]:
    """(path, types, the other parameters)."""
    if resource_type is not None:
        access.require(identity, "search", resource_type)
        return f"/{resource_type}", frozenset({resource_type}), list(asked)
    names = [t.strip() for name, value in asked if name == "_type" for t in value.split(",")]
    for name in names:
        if name not in RESOURCE_TYPES:
            raise invalid(f"{quote(name)} isn't a resource type.")
        access.require(identity, "search", name)
    types = frozenset(names) or access.readable_types(identity)
    if not types:
        raise FhirError(403, "forbidden", "Your groups don't allow search.")
    return "/", types, [pair for pair in asked if pair[0] != "_type"]


def _known(types: frozenset[str], path: str) -> Any:
    """The parameters that may be used: of the type, or those that all named types share."""
    if path == "/" and len(types) > 10:
        return parameters.for_type("Resource")
    return parameters.shared_by(types)


def _find(asked: Plan, view: View, base_url: str) -> dict[str, Any]:
    clauses = list(asked.clauses)
    if asked.links:
        from functions.search.chains import Chains  # here, since most searches have none

        chains = Chains(view, base_url)
        clauses += [chains.clause(asked.types, name, value) for name, value in asked.links]
    body: dict[str, Any] = {
        "query": view.query(asked.types, clauses),
        "size": 0 if asked.count_only else asked.count + 1,
        "track_total_hits": True if asked.count_only else _TOTALS[asked.total],
        "_source": False,
        "version": True,
        "sort": asked.order(),
    }
    if asked.cursor and not asked.count_only:
        body["search_after"] = cursor.decode(asked)
    return view.search(body)


def _bundle(
    url: str, given: Sequence[tuple[str, str]], asked: Plan, answer: dict[str, Any]
) -> bytes:
    """The Bundle's JSON. Stored bodies are copied as they are, byte for byte."""
    used = [pair for pair in given if pair[0] == "_type"] + asked.used
    own = f"&_cursor={percent(asked.cursor)}" if asked.cursor else ""
    links = [{"relation": "self", "url": _link(url, used, own)}]
    hits = answer["hits"]["hits"]
    entries: list[bytes] = []
    if hits and not asked.count_only:
        entries, last = _entries(url, hits[: asked.count])
        if last is not hits[-1]:
            after = percent(cursor.encode(asked, last["sort"]))
            links.append({"relation": "next", "url": _link(url, used, f"&_cursor={after}")})
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if asked.count_only or asked.total != "none":
        head["total"] = answer["hits"]["total"]["value"]
    head["link"] = links
    if not entries:
        return serialise(head)
    return serialise(head)[:-1] + b',"entry":[' + b",".join(entries) + b"]}"


def _entries(url: str, hits: list[dict[str, Any]]) -> tuple[list[bytes], dict[str, Any]]:
    """The entries of as many hits as fit into an answer, and the last hit that is among them."""
    place = {(hit["_id"], hit["_version"]): number for number, hit in enumerate(hits)}
    entries: list[bytes] = []
    size = 0
    for version in store.read_many(list(place)):
        if not version.body:
            continue  # erased since it was indexed
        entry = _entry(url, version)
        size += size_in_answer(entry)
        if entries and size > MAX_ANSWER_BYTES:
            return entries, hits[place[version.pk, version.version] - 1]
        entries.append(entry)
    return entries, hits[-1]


def _entry(url: str, version: Version) -> bytes:
    full = serialise(f"{url.rpartition('/')[0]}/{version.pk}")
    return b'{"fullUrl":' + full + b',"resource":' + version.body + b',"search":{"mode":"match"}}'


def _link(url: str, used: Sequence[tuple[str, str]], cursor_part: str) -> str:
    query = urlencode(used, quote_via=percent, safe=":,/$") + cursor_part
    return f"{url}?{query.removeprefix('&')}" if query else url
