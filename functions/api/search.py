"""Search: GET /{Type}?…, POST /{Type}/_search and GET /?_type=… to a Bundle of type searchset.

The index says which versions match, in which order; their bodies come from the table. What a user
may not see is excluded by the query itself, so that totals and pages don't tell of it either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from functions.api import elements
from functions.api.pages import Gather, Page
from functions.search import cursor, parameters, plan
from functions.search.clauses import Clause, invalid
from functions.search.includes import Include
from functions.search.plan import Plan
from functions.search.view import View
from functions.shared import access, evidence
from functions.shared.errors import FhirError, quote
from functions.shared.headers import preference
from functions.shared.http import Request, Response, fhir
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.resources import RESOURCE_TYPES

ESTIMATED_TO = 100_000
"""`_total=estimate` counts up to this; more are reported as this many."""

_FEW = 10
"""Types whose shared parameters are looked for."""

_TOTALS: dict[str, bool | int] = {"none": False, "estimate": ESTIMATED_TO, "accurate": True}


class Scope(NamedTuple):
    """Where is searched: at which path, on which types, with what besides the parameters.

    `filters` are parameters that became clauses already.
    """

    path: str
    types: frozenset[str]
    clauses: Sequence[Clause] = ()
    includes: Sequence[Include] = ()
    filters: Sequence[tuple[str, str]] = ()


def search(
    request: Request,
    identity: Identity,
    resource_type: str | None,
    given: Sequence[tuple[str, str]],
) -> Response:
    """The page that the parameters ask for, of one type or (None) of all that the user may search.

    403 for types that aren't allowed; else as `answer`.
    """
    if resource_type is not None:
        access.require(identity, "search", resource_type)
        scope = Scope(f"/{resource_type}", frozenset({resource_type}))
        return answer(request, identity, scope, given, given)
    names = [t.strip() for name, value in given if name == "_type" for t in value.split(",")]
    for name in names:
        if name not in RESOURCE_TYPES:
            raise invalid(f"{quote(name)} isn't a resource type.")
        access.require(identity, "search", name)
    types = frozenset(names) or access.readable_types(identity)
    if not types:
        raise FhirError(403, "forbidden", "Your groups don't allow search.")
    rest = [pair for pair in given if pair[0] != "_type"]
    return answer(request, identity, Scope("/", types), given, rest)


def answer(
    request: Request,
    identity: Identity,
    scope: Scope,
    given: Sequence[tuple[str, str]],
    rest: Sequence[tuple[str, str]],
) -> Response:
    """The page that the parameters ask for; `rest` are those that the scope hasn't taken.

    400 for what's wrong, 403 for types in chains that aren't allowed, 422 when it is too costly,
    503 while the engine is away, or later than a consistency token allows.
    """
    asked = plan.read(
        rest,
        _known(scope.types),
        scope.types,
        base_url=request.base_url,
        strict=preference(request, "handling") == "strict",
    )
    asked.clauses += scope.clauses
    asked.includes += scope.includes
    asked.used = [*scope.filters, *asked.used]
    subset = elements.read(asked.used)
    if subset and subset.summary == "text" and asked.includes:
        raise invalid("_summary=text can't be combined with includes.")
    view = View(identity, request)
    found = _find(asked, view, request.base_url)
    gather = _gather(asked, view, request.base_url)
    page = Page(request.base_url, scope.path, view, gather, subset)
    bundle = page.bundle(given, asked, found)
    evidence.note_reads(identity, page.shown, view.grounds)
    request.log["shown"] = [version.pk for version in page.shown]
    return fhir(200, bundle)


def _known(types: frozenset[str]) -> Any:
    """The parameters that may be used: of the type, or those that a few types share."""
    return parameters.shared_by(types) if len(types) <= _FEW else parameters.for_type("Resource")


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


def _gather(asked: Plan, view: View, base_url: str) -> Gather | None:
    if not asked.includes:
        return None
    from functions.api.included import TooManyIncludedError, included  # here, as chains

    def gather(matches: Sequence[Version]) -> list[Version] | None:
        try:
            return included(view, asked.includes, matches, base_url)
        except TooManyIncludedError:
            return None

    return gather
