"""The index as one user sees it: no query, whatever it is for, shows more than the user may see.

What the engine finds nevertheless, since it is broken or somebody wrote to it, isn't shown, either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from functions.search import freshness
from functions.search.clauses import Clause, any_of, invalid
from functions.search.engine import EngineRefusedError, EngineUnavailableError, engine
from functions.search.index import ALIAS
from functions.shared import access, consistency, grants, store
from functions.shared.errors import FhirError, unavailable
from functions.shared.grants import Reach
from functions.shared.http import Request
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.log import logger

# query_shard_exception: a part of it is refused as too large, whatever the limits of the plan.
_TOO_COSTLY = frozenset(
    {
        "query_shard_exception",
        "too_many_buckets_exception",
        "too_many_clauses",
        "too_many_nested_clauses",
    }
)


class View:
    """For the queries of one request."""

    def __init__(self, identity: Identity, request: Request, reach: Reach | None = None) -> None:
        """`reach`: what it shows of the private types. Default: all that the user may see now."""
        self.identity = identity
        self._reach = reach
        self.types = access.readable_types(identity)
        """The types that the user may search."""
        self._log = request.log
        tokens = request.headers.get(consistency.HEADER.lower(), "")
        self._written = consistency.versions_of(tokens) if tokens else {}
        self._copies = freshness.copies(tokens)

    @property
    def grounds(self) -> Mapping[str, tuple[str, ...]]:
        """Dataset -> ids of the Consents by which the user sees it, as far as it was looked up."""
        return self._reach.grounds if self._reach else {}

    def query(self, types: Iterable[str], clauses: Sequence[Clause]) -> Clause:
        """What is of these types, isn't deleted, matches all clauses, and may be seen."""
        wanted = frozenset(types)
        live: Clause = {"term": {"deleted": False}}
        return {
            "bool": {
                "filter": [
                    live,
                    {"terms": {"type": sorted(wanted)}},
                    *clauses,
                    *self._restriction(wanted),
                ]
            }
        }

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """The engine's answer to a search with a query of this view.

        422 when it is too costly, 503 while the engine is away, or doesn't show yet what the
        request's consistency token names.
        """
        try:
            if self._written:
                freshness.await_versions(engine(), self._written, self._copies)
                self._written = {}
            return engine().search(ALIAS, body, preference=self._copies)
        except EngineUnavailableError as error:
            self._log["engine"] = str(error)
            raise unavailable() from None
        except EngineRefusedError as error:
            self._log["engine"] = error.kind
            if error.kind == "index_not_found_exception":  # being made
                raise unavailable() from None
            if error.kind in _TOO_COSTLY:
                raise FhirError(422, "too-costly", "The search is too large; split it.") from None
            if "search_after" in body and error.status == 400:
                raise invalid("The cursor isn't one of this search.") from None
            raise

    def read(self, keys: Sequence[tuple[str, int]]) -> Iterator[Version]:
        """The versions of these keys from the table, in their order; erased ones are left out."""
        for version in store.read_many(keys):
            if not (version.body or version.damaged):
                continue  # erased since it was indexed
            if self._shows(version):
                yield version
            else:
                # The query had excluded it: the index isn't what was written to it.
                logger.error("hidden", extra={"fields": {"key": version.pk}})

    def _shows(self, version: Version) -> bool:
        kind = version.pk.partition("/")[0]
        return kind in self.types and (
            kind not in access.PRIVATE_TYPES
            or self._reach_now().shows(version.pk, version.owner, version.dataset)
        )

    def _reach_now(self) -> Reach:
        if self._reach is None:
            self._reach = grants.reach(self.identity)
        return self._reach

    def _restriction(self, types: frozenset[str]) -> list[Clause]:
        """Private types: only what the user owns, or somebody shares with the user now."""
        private = types & access.PRIVATE_TYPES
        if not private or access.sees_all_owners(self.identity):
            return []
        seen = _seen(self._reach_now())
        if private == types:
            return [any_of(seen)]
        public: Clause = {"bool": {"must_not": [{"terms": {"type": sorted(private)}}]}}
        return [{"bool": {"should": [public, *seen]}}]


def _seen(reach: Reach) -> list[Clause]:
    """Alternatives, one of which is true of what a reach shows of the private types."""
    found: list[Clause] = [{"term": {"owner": reach.subject}}]
    keys = [f"DocumentReference/{dataset}" for dataset in reach.datasets]
    keys += [f"Consent/{consent}" for consent in reach.consents]
    if keys:
        found.append({"terms": {"pk": sorted(keys)}})
    if reach.datasets:
        files: Clause = {"term": {"type": "Binary"}}
        within: Clause = {"terms": {"dataset": sorted(reach.datasets)}}
        found.append({"bool": {"filter": [files, within]}})
    return found
