"""The control table's part for uploads: their records, and the bytes that each owner keeps.

Items (contract of the control table; all writes that touch two of them are one transaction):

    upload#{binary id}   0000000001                          the upload of version 1
    parts#{binary id}    0000000001                          SHA-256 of its parts, one after another
    quota#{owner}        bytes                               used: sum of their `counted`
    quota#{owner}        pending#{deadline}#{id}#{version}   an upload whose bytes are still awaited

The last kind finds abandoned uploads by owner, oldest first, without an index.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from botocore.exceptions import ClientError

from functions.shared import metrics
from functions.shared.clients import dynamodb, queried
from functions.shared.resources import instant
from functions.uploads.state import Received, Status, Upload

_ATTEMPTS = 12
_RECEIVED = "received_"


class QuotaExceeded(Exception):
    """The owner's quota has no room for the bytes."""


def get(binary_id: str, version: int) -> Upload | None:
    """The record of one version's upload, consistently read."""
    key = {"pk": {"S": f"upload#{binary_id}"}, "sk": {"S": _sort_key(version)}}
    answer = dynamodb().get_item(TableName=_table(), Key=key, ConsistentRead=True)
    return _upload(answer["Item"]) if "Item" in answer else None


def newest_first(binary_id: str) -> Iterator[Upload]:
    """All uploads of a Binary, newest version first, consistently read."""
    found = queried(
        TableName=_table(),
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"upload#{binary_id}"}},
        ScanIndexForward=False,
        ConsistentRead=True,
        PaginationConfig={"PageSize": 25},
    )
    yield from map(_upload, found)


def promise(upload: Upload) -> list[dict[str, Any]]:
    """TransactWriteItems actions: record a pending upload, take its size from the quota.

    They belong into the transaction that writes the Binary's version. The quota must have room for
    the declared size, or for one byte if none was declared.
    """
    return [
        {
            "Put": {
                "TableName": _table(),
                "Item": _item(upload),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        },
        {"Put": {"TableName": _table(), "Item": _waiting_key(upload)}},
        _count(upload, upload.counted, room_for=max(upload.counted, 1)),
    ]


def entered(upload: Upload) -> None:
    """Counts an upload that has come to its state; not who, nor what."""
    metrics.count("Uploads", 1, BucketName=os.environ["BUCKET_NAME"], Status=upload.status)


def keep_digests(upload: Upload, digests: bytes) -> None:
    """Notes the SHA-256 of every part, 32 bytes each: with 10,000 parts too many for the record."""
    item = _parts_key(upload) | {"digests": {"B": digests}}
    dynamodb().put_item(TableName=_table(), Item=item)


def digests(upload: Upload) -> bytes | None:
    """What `keep_digests` noted, consistently read."""
    answer = dynamodb().get_item(TableName=_table(), Key=_parts_key(upload), ConsistentRead=True)
    return answer["Item"]["digests"]["B"] if "Item" in answer else None


def used(owner: str) -> int:
    """Bytes that count against a user's quota now."""
    key = {"pk": {"S": f"quota#{owner}"}, "sk": {"S": "bytes"}}
    answer = dynamodb().get_item(TableName=_table(), Key=key, ConsistentRead=True)
    return int(answer.get("Item", {}).get("used", {"N": "0"})["N"])


def overdue(owner: str) -> Iterator[Upload]:
    """A user's uploads whose deadline has passed without bytes."""
    found = queried(
        TableName=_table(),
        KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
        ExpressionAttributeValues={
            ":pk": {"S": f"quota#{owner}"},
            ":first": {"S": "pending#"},
            ":last": {"S": f"pending#{int(time.time()):012d}"},
        },
        ConsistentRead=True,
    )
    for item in found:
        _, _, binary_id, version = item["sk"]["S"].split("#")
        upload = get(binary_id, int(version))
        if upload is not None:
            yield upload


def change(
    upload: Upload,
    status: Status,
    *,
    s3_version: str | None = None,
    received: Received | None = None,
    reason: str | None = None,
) -> Upload | None:
    """Moves an upload on from the status it was read in, with its quota, in one transaction.

    Available bytes count with their real size, bytes that are gone don't count.
    Returns the new record, or None when the upload has left that status meanwhile.
    Raises QuotaExceeded when available bytes of undeclared size don't fit.
    """
    changed = replace(
        upload,
        status=status,
        updated=instant(),
        s3_version=s3_version or upload.s3_version,
        received=received or upload.received,
        reason=reason or upload.reason,
        counted=_counted(upload, status, received),
    )
    actions: list[dict[str, Any]] = [
        {
            "Put": {
                "TableName": _table(),
                "Item": _item(changed),
                "ConditionExpression": "#status = :left",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":left": {"S": upload.status}},
            }
        }
    ]
    growth = changed.counted - upload.counted
    if growth:
        actions.append(_count(changed, growth, room_for=growth))
    if status != "verifying":
        actions.append({"Delete": {"TableName": _table(), "Key": _waiting_key(upload)}})
    failed = _transact(actions)
    if failed is None:
        entered(changed)
        return changed
    if failed[0] == "ConditionalCheckFailed":
        return None
    raise QuotaExceeded


def forget_names(binary_id: str) -> None:
    """Takes the files' names, which may be people's, out of the records of a Binary's uploads.

    The records stay: they have bytes removed that arrive late.
    """
    for upload in newest_first(binary_id):
        dynamodb().update_item(
            TableName=_table(),
            Key={"pk": {"S": f"upload#{binary_id}"}, "sk": {"S": _sort_key(upload.version)}},
            UpdateExpression="REMOVE file_name",
        )


def _counted(upload: Upload, status: Status, received: Received | None) -> int:
    if status == "available" and received is not None:
        return received.size
    return upload.counted if status in ("pending", "verifying") else 0


def _count(upload: Upload, growth: int, *, room_for: int) -> dict[str, Any]:
    """Changes the owner's sum by `growth` bytes; more bytes only if the quota has room for them."""
    update: dict[str, Any] = {
        "TableName": _table(),
        "Key": {"pk": {"S": f"quota#{upload.owner}"}, "sk": {"S": "bytes"}},
        "UpdateExpression": "ADD #used :growth",
        "ExpressionAttributeNames": {"#used": "used"},
        "ExpressionAttributeValues": {":growth": {"N": str(growth)}},
    }
    if room_for > 0:
        room = upload.quota - room_for
        # No sum yet means zero: there is room unless the bytes exceed the quota alone.
        absent = "attribute_not_exists(#used) OR " if room >= 0 else ""
        update["ConditionExpression"] = f"{absent}#used <= :room"
        update["ExpressionAttributeValues"][":room"] = {"N": str(room)}
    return {"Update": update}


def _transact(actions: Sequence[dict[str, Any]]) -> list[str] | None:
    """Runs a transaction; None when done, or a reason code per action if a condition failed.

    A user's parallel uploads meet on the quota item: such conflicts are retried.
    """
    for attempt in range(_ATTEMPTS):
        try:
            dynamodb().transact_write_items(TransactItems=list(actions))
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            codes = [reason["Code"] for reason in error.response.get("CancellationReasons", ())]
            if "ConditionalCheckFailed" in codes:
                return codes
            if "TransactionConflict" not in codes or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))  # noqa: S311 (jitter)
        else:
            return None
    raise AssertionError("unreachable")


def _table() -> str:
    return os.environ["CONTROL_TABLE_NAME"]


def _sort_key(version: int) -> str:
    return f"{version:010d}"


def _parts_key(upload: Upload) -> dict[str, Any]:
    return {"pk": {"S": f"parts#{upload.binary_id}"}, "sk": {"S": _sort_key(upload.version)}}


def _waiting_key(upload: Upload) -> dict[str, Any]:
    name = f"pending#{upload.deadline:012d}#{upload.binary_id}#{upload.version}"
    return {"pk": {"S": f"quota#{upload.owner}"}, "sk": {"S": name}}


def _item(upload: Upload) -> dict[str, Any]:
    """The record as an item: fields that are None are left out, `received` is laid flat."""
    fields = asdict(upload)
    received: Mapping[str, Any] = fields.pop("received") or {}
    del fields["binary_id"]
    fields |= {f"{_RECEIVED}{name}": value for name, value in received.items()}
    fields |= {"pk": f"upload#{upload.binary_id}", "sk": _sort_key(upload.version)}
    return {name: _encode(value) for name, value in fields.items() if value is not None}


def _upload(item: Mapping[str, Any]) -> Upload:
    fields = {name: _decode(value) for name, value in item.items()}
    del fields["sk"]
    received = {
        name.removeprefix(_RECEIVED): fields.pop(name)
        for name in list(fields)
        if name.startswith(_RECEIVED)
    }
    return Upload(
        binary_id=fields.pop("pk").removeprefix("upload#"),
        received=Received(**received) if received else None,
        **fields,
    )


def _encode(value: str | int | bool) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def _decode(value: Mapping[str, Any]) -> Any:
    [(kind, content)] = value.items()
    return int(content) if kind == "N" else content
