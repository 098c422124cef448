"""The log of versions in the order of time: what changed of some types, newest first.

Read from the table's change index, which follows a write by a moment. It has no bodies. Each type
has partitions of its own, and of most types a system has none: the control table knows which.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from functions.shared.clients import dynamodb
from functions.shared.items import SHARDS, Version, key_of

INDEX = "changes"

_PARALLEL = 16  # connections that the client keeps
_placed, _instant = attrgetter("place"), attrgetter("updated")

REGISTER = "changes"
"""Partition of the control table with the types of which there are versions."""

_TYPES = {"pk": {"S": REGISTER}, "sk": {"S": "types"}}
_registered: set[str] = set()
"""Those that this process has noted or found there: they stay."""

Place = tuple[str, str, int]
"""(instant, digest of the resource, version): a total order that tells of no resource."""


class Change(NamedTuple):
    """A version without its body."""

    pk: str
    version: int
    updated: str
    owner: str
    dataset: str

    @property
    def place(self) -> Place:
        return place(self.pk, self.version, self.updated)


def place(pk: str, version: int, updated: str) -> Place:
    """Where a version is in the order of time."""
    return updated, hashlib.sha256(pk.encode()).hexdigest()[:16], version


def register(versions: Iterable[Version]) -> None:
    """Notes the types of versions that are going to be the first of a resource.

    Before they are written, so that a reader who finds one missing may rely on it.
    """
    types = {version.pk.partition("/")[0] for version in versions if version.version == 1}
    if fresh := types - _registered:
        dynamodb().update_item(
            TableName=os.environ["CONTROL_TABLE_NAME"],
            Key=_TYPES,
            UpdateExpression="ADD #types :fresh",
            ExpressionAttributeNames={"#types": "types"},
            ExpressionAttributeValues={":fresh": {"SS": sorted(fresh)}},
        )
        _registered.update(fresh)


def registered() -> frozenset[str]:
    """The types of which there may be versions; the change index needn't be asked for others."""
    table = os.environ["CONTROL_TABLE_NAME"]
    found = dynamodb().get_item(TableName=table, Key=_TYPES, ConsistentRead=True)
    return frozenset(found.get("Item", {}).get("types", {}).get("SS", ()))


def newest_first(types: frozenset[str], *, until: str, page: int) -> Iterator[Change]:
    """The changes of the types at `until` or before it, as far as they are asked for.

    `page`: how many are read at a time of each shard; the first pages of all are read at once.
    """
    shards = [f"{name}#{number}" for name in sorted(types) for number in range(SHARDS)]

    def first(shard: str) -> dict[str, Any]:
        return _page(shard, until, page)

    with ThreadPoolExecutor(min(_PARALLEL, max(1, len(shards)))) as pool:
        pages = list(pool.map(first, shards))
    return heapq.merge(
        *(_shard(answer, shard, until, page) for shard, answer in zip(shards, pages, strict=True)),
        key=_placed,
        reverse=True,
    )


def of_shard(
    shard: str, since: str, until: str, after: Change | None, page: int
) -> tuple[list[Change], bool]:
    """(changes of a shard from `since` to `until`, oldest first; whether there are more)

    `after` is the change that came last in the page before.
    """
    answer = dynamodb().query(
        TableName=os.environ["TABLE_NAME"],
        IndexName=INDEX,
        KeyConditionExpression="#shard = :shard AND updated BETWEEN :since AND :until",
        ExpressionAttributeNames={"#shard": "shard"},
        ExpressionAttributeValues={
            ":shard": {"S": shard},
            ":since": {"S": since},
            ":until": {"S": until},
        },
        Limit=page,
        **({"ExclusiveStartKey": _start(shard, after)} if after else {}),
    )
    return [_change(item) for item in answer["Items"]], "LastEvaluatedKey" in answer


def _start(shard: str, after: Change) -> dict[str, Any]:
    return {
        **key_of(after.pk, after.version),
        "shard": {"S": shard},
        "updated": {"S": after.updated},
    }


def _shard(answer: dict[str, Any], shard: str, until: str, page: int) -> Iterator[Change]:
    """A shard's changes. The index leaves open in which order those of one instant come."""

    def read() -> Iterator[Change]:
        found = answer
        yield from map(_change, found["Items"])
        while after := found.get("LastEvaluatedKey"):
            found = _page(shard, until, page, after)
            yield from map(_change, found["Items"])

    for _, tied in groupby(read(), key=_instant):
        yield from sorted(tied, key=_placed, reverse=True)


def _page(shard: str, until: str, page: int, after: dict[str, Any] | None = None) -> dict[str, Any]:
    return dynamodb().query(
        TableName=os.environ["TABLE_NAME"],
        IndexName=INDEX,
        KeyConditionExpression="#shard = :shard AND updated <= :until",
        ExpressionAttributeNames={"#shard": "shard"},  # a reserved word
        ExpressionAttributeValues={":shard": {"S": shard}, ":until": {"S": until}},
        ScanIndexForward=False,
        Limit=page,
        **({"ExclusiveStartKey": after} if after else {}),
    )


def _change(item: dict[str, Any]) -> Change:
    return Change(
        item["pk"]["S"],
        int(item["version"]["N"]),
        item["updated"]["S"],
        item.get("owner", {}).get("S", ""),
        item.get("dataset", {}).get("S", ""),
    )
