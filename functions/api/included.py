"""Gathers what _include and _revinclude add to a page, in what the user may see."""

from __future__ import annotations

from collections.abc import Sequence

from functions.search import includes
from functions.search.clauses import Clause
from functions.search.includes import Include
from functions.search.view import View
from functions.shared.items import Version
from functions.shared.resources import parse

MAX_INCLUDED = 1_000
"""Resources that are added to a page."""

MAX_ROUNDS = 10
"""Steps from a match that `:iterate` follows; each is a query to the engine."""


class TooManyIncludedError(Exception):
    """More belong to these matches than a page takes."""


def included(
    view: View, rules: Sequence[Include], matches: Sequence[Version], base_url: str
) -> list[Version]:
    """What belongs to the matches, each resource once, none of the matches."""
    known = {match.pk for match in matches}
    found: list[Version] = []
    fresh = matches
    for _ in range(MAX_ROUNDS):
        keys = _following(view, rules, fresh, known, base_url)
        known |= {pk for pk, _ in keys}
        read = list(view.read(keys))
        found += read
        fresh = [version for version in read if not version.damaged]
        rules = [rule for rule in rules if rule.iterate]
        if len(found) > MAX_INCLUDED:
            raise TooManyIncludedError
        if not fresh or not rules:
            return found
    raise TooManyIncludedError


def _following(
    view: View, rules: Sequence[Include], fresh: Sequence[Version], known: set[str], base_url: str
) -> list[tuple[str, int]]:
    """(key, version) of what the rules lead to from here, and isn't known yet."""
    resources = [parse(version.body) for version in fresh]
    types, clause = includes.wanted(rules, resources, base_url)
    if clause is None or not types & view.types:
        return []
    new: Clause = {"bool": {"must_not": [{"terms": {"pk": sorted(known)}}]}}
    answer = view.search(
        {
            "query": view.query(types & view.types, [clause, new]),
            "size": MAX_INCLUDED + 1,
            "track_total_hits": False,
            "_source": False,
            "version": True,
            "sort": [{"pk": {"order": "asc"}}],
        }
    )
    hits = answer["hits"]["hits"]
    if len(hits) > MAX_INCLUDED:
        raise TooManyIncludedError
    return [(hit["_id"], hit["_version"]) for hit in hits]
