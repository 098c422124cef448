"""Fills, compares and repairs the index from the table, part by part.

Documents have external versions, so that what is written twice, late or in any order does no harm.
A call works until its time is nearly up, and says where the next one goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypedDict

from functions.indexer import quarantine
from functions.indexer.documents import entries
from functions.indexer.writer import Entry, write
from functions.search.engine import engine
from functions.search.index import ALIAS, NEXT
from functions.shared import items
from functions.shared.clients import dynamodb
from functions.shared.log import configure, logger

configure()

PAGE = 200
"""Versions at a time."""

_SPARE_MILLISECONDS = 30_000

Item = dict[str, Any]


class Asked(TypedDict):
    """`operation` is copy, reconcile or redrive. `after` is what the call before told, or None."""

    operation: str
    segment: int
    segments: int
    after: Any


class Part(NamedTuple):
    """Versions looked at, written, and refused (in quarantine); where the next part begins."""

    seen: int
    written: int
    refused: int
    after: Any


def handler(event: Asked, context: Any) -> dict[str, Any]:
    """A `Part` as JSON; `after` is None at the end. Raises when the call should be repeated."""
    operation = _OPERATIONS[event["operation"]]
    done = Part(0, 0, 0, event["after"])
    while True:
        part = operation(event, done.after)
        done = Part(
            done.seen + part.seen,
            done.written + part.written,
            done.refused + part.refused,
            part.after,
        )
        if done.after is None or context.get_remaining_time_in_millis() < _SPARE_MILLISECONDS:
            logger.info(event["operation"], extra={"fields": done._asdict()})
            return done._asdict()


def _copy(event: Asked, after: Any) -> Part:
    """All that the table has, to the index that is being built."""
    found, following = _page(event, after)
    return Part(len(found), *_index(found, NEXT), following)


def _reconcile(event: Asked, after: Any) -> Part:
    """What the table has and the index lacks, or shows an older version of."""
    found, following = _page(event, after)
    newest = {item["pk"]["S"]: item for item in sorted(found, key=_version)}
    shown = _shown(list(newest))
    stale = [item for pk, item in newest.items() if shown.get(pk, 0) < _version(item)]
    return Part(len(found), *_index(stale, ALIAS), following)


def _redrive(event: Asked, after: Any) -> Part:
    """What is in quarantine, in case it can be indexed by now."""
    names = quarantine.listed(after or "", PAGE)
    written = sum(map(_redriven, names))
    following = "#".join(map(str, names[-1])) if len(names) == PAGE else None
    return Part(len(names), written, len(names) - written, following)


def _redriven(name: tuple[str, int]) -> bool:
    key = items.key_of(*name)
    table = os.environ["TABLE_NAME"]
    found = dynamodb().get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    if found is not None and _index([found], ALIAS) != (1, 0):
        return False
    quarantine.remove(*name)
    return True


_OPERATIONS: Mapping[str, Callable[[Asked, Any], Part]] = {
    "copy": _copy,
    "reconcile": _reconcile,
    "redrive": _redrive,
}


def _index(found: list[Item], alias: str) -> tuple[int, int]:
    """(written, refused)"""
    taken = 0

    def counted(made: Iterable[Entry]) -> Iterator[Entry]:
        nonlocal taken
        for entry in made:
            taken += 1
            yield entry

    refused = write(counted(entries(found)), [alias])
    for entry, reason in refused:
        quarantine.add(items.key_of(entry.pk, entry.version), reason)
    written = taken - len(refused)
    return written, len(found) - written


def _version(item: Item) -> int:
    return int(item["version"]["N"])


def _shown(pks: list[str]) -> dict[str, int]:
    """pk -> version, as the index has them."""
    if not pks:
        return {}
    body = {
        "query": {"bool": {"filter": [{"terms": {"pk": pks}}]}},
        "size": len(pks),
        "track_total_hits": False,
        "_source": False,
        "version": True,
    }
    hits = engine().search(ALIAS, body)["hits"]["hits"]
    return {hit["_id"]: hit["_version"] for hit in hits}


def _page(event: Asked, after: Any) -> tuple[list[Item], Any]:
    answer = dynamodb().scan(
        TableName=os.environ["TABLE_NAME"],
        Segment=event["segment"],
        TotalSegments=event["segments"],
        ConsistentRead=True,
        Limit=PAGE,
        **({"ExclusiveStartKey": items.key_of(*after)} if after else {}),
    )
    last = answer.get("LastEvaluatedKey")
    return answer["Items"], [last["pk"]["S"], _version(last)] if last else None
