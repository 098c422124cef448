"""The store: an append-only log of versions in DynamoDB, large bodies in S3.

An item is one version and never changes. Writers don't lock: a write of version n+1 has the
condition that nobody wrote it yet. It carries a nonce, so that a retry whose first answer was lost
knows its own item.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from functions.shared import changes
from functions.shared.clients import dynamodb
from functions.shared.errors import FhirError
from functions.shared.items import (
    OVERFLOW_BYTES,
    Version,
    discard,
    item_of,
    key_of,
    salvaged,
    version_of,
)
from functions.shared.transactions import Refused, is_own, transact

_TRANSACTION_BYTES = 3_000_000  # of bodies: with all else, AWS's limit is 4 MB
_BATCH = 100  # keys of a BatchGetItem: AWS's limit

Action = dict[str, Any]
"""One of a transaction, as DynamoDB's API has it."""


class Stale(FhirError):
    """Version n+1 can't be appended, since n isn't the latest version (412)."""

    def __init__(self) -> None:
        super().__init__(412, "conflict", "The resource has another version meanwhile.")


class Taken(FhirError):
    """The id of a new resource is in use (409)."""

    def __init__(self) -> None:
        super().__init__(409, "duplicate", "A resource with this id exists.")


class ActionRefused(FhirError):
    """The condition of `also[index]` failed; `item` is what it found (empty unless asked for)."""

    def __init__(self, index: int, item: dict[str, Any]) -> None:
        super().__init__(409, "conflict", "The request conflicts with the state of another record.")
        self.index = index
        self.item = item


def latest(pk: str, *, body: bool = True) -> Version | None:
    """The newest version, tombstones included; strongly consistent. `body=False` leaves it out."""
    items = dynamodb().query(
        TableName=os.environ["TABLE_NAME"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
        ConsistentRead=True,
        ScanIndexForward=False,
        Limit=1,
    )["Items"]
    return version_of(items[0], body=body) if items else None


def read(pk: str, version: int) -> Version | None:
    """One version, strongly consistent."""
    item = (
        dynamodb()
        .get_item(TableName=os.environ["TABLE_NAME"], Key=key_of(pk, version), ConsistentRead=True)
        .get("Item")
    )
    return version_of(item) if item else None


def read_many(keys: Sequence[tuple[str, int]]) -> Iterator[Version]:
    """Many versions in the order of their keys; what doesn't exist is left out.

    One that is damaged is marked so, and keeps nobody from the others.
    Read as they are asked for: whoever has enough of them just stops.
    """
    wanted = list(dict.fromkeys(keys))
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        items = _items(batch)
        for key in batch:
            if key in items:
                yield salvaged(items[key])


def instants(keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """When those of the versions that exist were written; strongly consistent."""
    return {
        key: item["updated"]["S"]
        for start in range(0, len(keys), _BATCH)
        for key, item in _items(keys[start : start + _BATCH], "pk, version, updated").items()
    }


def _items(
    keys: Sequence[tuple[str, int]], attributes: str = ""
) -> dict[tuple[str, int], dict[str, Any]]:
    table = os.environ["TABLE_NAME"]
    found: dict[tuple[str, int], dict[str, Any]] = {}
    request: dict[str, Any] = {
        table: {
            "Keys": [key_of(pk, version) for pk, version in keys],
            "ConsistentRead": True,
            **({"ProjectionExpression": attributes} if attributes else {}),
        }
    }
    while request:
        answer = dynamodb().batch_get_item(RequestItems=request)
        for item in answer["Responses"].get(table, []):
            found[item["pk"]["S"], int(item["version"]["N"])] = item
        # Bytes beyond 16 MB or the capacity: DynamoDB answers in part and names the rest.
        request = answer.get("UnprocessedKeys") or {}
    return found


def create(version: Version, also: Sequence[Action] = ()) -> None:
    """Writes version 1; 409 when the id is taken. `also`: more actions of the same transaction."""
    version = _with_nonce(version)
    changes.register([version])
    item = item_of(version)
    put = _put(item)
    try:
        if also:
            transact(dynamodb(), [{"Put": put}, *also], version.nonce)
        else:
            dynamodb().put_item(**put)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        if not is_own(error.response.get("Item"), version.nonce):
            discard(item)
            raise Taken from None
    except Refused as refused:
        discard(item)
        if refused.index == 0:
            raise Taken from None
        raise ActionRefused(refused.index - 1, refused.item) from None
    except FhirError:
        discard(item)
        raise


def append(version: Version, also: Sequence[Action] = (), *, revive: bool = False) -> None:
    """Writes version n+1 on version n, in one transaction.

    412 (`Stale`) when n isn't the latest version; 410 when n is a tombstone, unless `revive`; 409
    when other transactions kept it busy.
    """
    version = _with_nonce(version)
    item = item_of(version)
    alive = "attribute_exists(pk) AND attribute_not_exists(erased)"
    check = {
        "TableName": os.environ["TABLE_NAME"],
        "Key": key_of(version.pk, version.version - 1),
        "ConditionExpression": alive if revive else f"{alive} AND attribute_not_exists(deleted)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    put = _put(item)
    try:
        transact(dynamodb(), [{"Put": put}, {"ConditionCheck": check}, *also], version.nonce)
    except Refused as refused:
        discard(item)
        if refused.index >= 2:
            raise ActionRefused(refused.index - 2, refused.item) from None
        if refused.index == 1 and refused.item:
            raise FhirError(410, "deleted", "The resource was deleted.") from None
        raise Stale from None
    except FhirError:
        discard(item)
        raise


def write_all(versions: Sequence[Version], also: Sequence[Action] = ()) -> None:
    """Writes versions of several resources, and does `also`, in one transaction: all or nothing.

    The latest version of each must have been read, and be one that may have a successor: it can't
    change, so that nothing but the successor's absence is asked for. `Stale` when there is one.
    """
    versions = [_with_nonce(version) for version in versions]
    changes.register(versions)
    limit = _inline_limit(versions)
    items = [item_of(version, limit) for version in versions]
    puts = [{"Put": _put(item)} for item in items]
    try:
        if puts or also:
            transact(dynamodb(), [*puts, *also], versions[0].nonce if versions else "")
    except (Refused, FhirError) as error:
        for item in items:
            discard(item)
        if not isinstance(error, Refused):
            raise
        if error.index < len(items):
            raise Stale from None
        raise ActionRefused(error.index - len(items), error.item) from None


def unchanged(pk: str, version: int) -> Action:
    """The condition that a resource has no later version than this one."""
    return {
        "ConditionCheck": {
            "TableName": os.environ["TABLE_NAME"],
            "Key": key_of(pk, version + 1),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def _inline_limit(versions: Sequence[Version]) -> int:
    """Compressed bodies above it go to S3, so that the others fit into one transaction together."""
    if sum(len(version.body) for version in versions) <= _TRANSACTION_BYTES:
        return OVERFLOW_BYTES
    room = _TRANSACTION_BYTES
    for size in sorted(len(zlib.compress(version.body)) for version in versions):
        room -= size
        if room < 0:
            return min(size - 1, OVERFLOW_BYTES)
    return OVERFLOW_BYTES


def _put(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "TableName": os.environ["TABLE_NAME"],
        "Item": item,
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _with_nonce(version: Version) -> Version:
    return version if version.nonce else replace(version, nonce=secrets.token_hex(12))
