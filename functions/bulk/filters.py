"""`_typeFilter`: which versions of a type match one of several searches, as the index says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.bulk.jobs import Export, Job
from functions.search import parameters, plan
from functions.search.chains import Chains
from functions.search.clauses import Clause, all_of, any_of
from functions.search.view import View
from functions.shared.http import Request
from functions.shared.items import Version


class Filters:
    """The searches of a job in one type, for one step."""

    def __init__(self, job: Job, type_: str) -> None:
        """400, 403 or 422 for a search that can't be done."""
        assert isinstance(job.work, Export)
        self._types = frozenset({type_})
        # The engine's queries are of a user's request; here, of the one that started the job.
        request = Request("GET", "/", (), {}, b"", job.base_url, job.id)
        self._view = View(job.identity, request)
        searches = job.work.filters[type_]
        self._clause = any_of([self._clause_of(search, job.base_url) for search in searches])

    def sort(self, versions: Sequence[Version]) -> tuple[list[Version], list[Version]]:
        """(those that match, those that the index doesn't show: of them it can't be said)"""
        if not versions:
            return [], []
        shown = self._find(versions, [])
        matching = self._find(versions, [self._clause])
        return (
            [v for v in versions if matching.get(v.pk) == v.version == shown.get(v.pk)],
            [v for v in versions if shown.get(v.pk) != v.version],
        )

    def _clause_of(self, search: Sequence[tuple[str, str]], base_url: str) -> Clause:
        (type_,) = self._types
        known = parameters.for_type(type_)
        asked = plan.read(search, known, self._types, base_url=base_url, strict=True)
        chains = Chains(self._view, base_url)
        links = [chains.clause(self._types, name, value) for name, value in asked.links]
        return all_of([*asked.clauses, *links])

    def _find(self, versions: Sequence[Version], clauses: list[Clause]) -> dict[str, int]:
        """pk -> version, of those that match as the index has them."""
        named: Clause = {"terms": {"pk": [version.pk for version in versions]}}
        body: dict[str, Any] = {
            "query": self._view.query(self._types, [named, *clauses]),
            "size": len(versions),
            "track_total_hits": False,
            "_source": False,
            "version": True,
        }
        return {hit["_id"]: hit["_version"] for hit in self._view.search(body)["hits"]["hits"]}
