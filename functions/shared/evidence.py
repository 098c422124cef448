"""Evidence: for each dataset a log of who asked for it, was granted it, read it, when and why.

Items of the control table; a record is never changed, the head only by what appends to it:

    evidence#{dataset}   0000000001   line: the record
    evidence#{dataset}   head         count: of records; hash: SHA-256 of the last record's line;
                                      recent: ids of the last reads, which the queue may bring again
    evidence#{dataset}   read#{id}    a read from CloudTrail that was appended: functions/evidence
    unsealed             {dataset}    count: when something was appended that nobody signed yet

A line is the record as JSON in its canonical form (RFC 8785: members in order, no blanks, UTF-8).
It holds its `number` and, as `previous`, the SHA-256 of the line before: nothing can be altered,
left out or put in without all that follows being another chain. functions/evidence signs its head.

Decisions are appended in the transaction that writes them. Reads are sent to a queue, which keeps
the order for each dataset, and appended a moment later: 503 when they can't be sent, so that
nobody reads unrecorded. An owner's own reads are no evidence.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from functions.shared import access
from functions.shared.clients import dynamodb, queried, sqs
from functions.shared.errors import FhirError, unavailable
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.log import logger
from functions.shared.resources import instant
from functions.shared.store import Action, ActionRefused

PREFIX = "evidence#"
UNSEALED = "unsealed"
"""Beginning of a log's partition, and the partition of the logs that wait for a signature."""

HEAD = "head"
FIRST = "0" * 64
"""`previous` of a log's first record."""

_TRIES = 10
_PARALLEL = 8
_RESOURCES = 500  # of a message, which has 256 kB
_RECENT = 50  # ids: what follows a message waits for it, so that it can't be further behind

Kind = Literal[
    "created", "changed", "withdrawn", "deleted",  # the dataset
    "asked", "granted", "declined", "revoked",  # a Consent on it
    "attached", "detached",  # to an evaluation
    "read",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody did with a dataset."""

    dataset: str
    kind: Kind
    subject: str
    user: str
    time: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """`resource` (a version; `resources` of a read; none of an attachment), and what is known of:
    consents, grantees, start, end, purposes, reason. Of a read that our functions didn't allow:
    `imported` from where, `events` there, `until` when."""
    id: str = ""
    """Of a read: the queue may bring it twice."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends."""

    count: int
    hash: str
    recent: tuple[str, ...] = field(default=(), compare=False)


def event(identity: Identity, dataset: str, kind: Kind, version: Version, **details: Any) -> Event:
    """What a user does by writing a version. Details without a value are left out."""
    resource = f"{version.pk}/_history/{version.version}"
    known = {name: value for name, value in details.items() if value}
    return Event(
        dataset,
        kind,
        identity.subject,
        identity.username,
        version.updated,
        {"resource": resource, **known},
    )


def canonical(record: Mapping[str, Any]) -> str:
    """A record's line: JSON as RFC 8785 has it. Records have texts, whole numbers and lists."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def digest(line: str) -> str:
    """SHA-256 of a line, in hexadecimal digits."""
    return hashlib.sha256(line.encode()).hexdigest()


def extended(head: Head, events: Iterable[Event]) -> Iterator[tuple[Head, str]]:
    """(the head with it, its line) for each event that follows a head."""
    for each in events:
        record = {
            **each.details,
            **({"id": each.id} if each.id else {}),
            "dataset": each.dataset,
            "event": each.kind,
            "number": head.count + 1,
            "previous": head.hash,
            "subject": each.subject,
            "time": each.time,
            "user": each.user,
        }
        line = canonical(record)
        recent = (*head.recent, each.id)[-_RECENT:] if each.id else head.recent
        head = Head(head.count + 1, digest(line), recent)
        yield head, line


def recorded(events: Sequence[Event], write: Callable[[list[Action]], None]) -> None:
    """Calls `write` with the actions that append the events; again when others were faster.

    The actions must come last in the transaction, and be done with what the events are about.
    409 when others append all the time.
    """
    if not events:
        write([])
        return
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, 5)))  # noqa: S311 (jitter)
        try:
            write(_appending(events))
        except ActionRefused as refused:
            if refused.item.get("sk") != {"S": HEAD}:
                raise
        else:
            return
    raise FhirError(409, "conflict", "Others are using the same dataset; try again.")


def _appending(events: Sequence[Event]) -> list[Action]:
    by_dataset: dict[str, list[Event]] = {}
    for each in events:
        by_dataset.setdefault(each.dataset, []).append(each)
    actions: list[Action] = []
    for dataset, own in by_dataset.items():
        # The id of a dataset that is just being made is new.
        before = None if own[0].kind == "created" else head(dataset)
        known = before.recent if before else ()
        if new := [each for each in own if not each.id or each.id not in known]:
            actions += _appended(before, dataset, new)
    return actions


def _appended(before: Head | None, dataset: str, events: Sequence[Event]) -> list[Action]:
    """Actions that append events to a dataset's log, provided that it still ends at that head."""
    records = list(extended(before or Head(0, FIRST), events))
    after = records[-1][0]
    condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    moved = condition
    if before is not None:
        moved = {
            "ConditionExpression": "#count = :count AND #hash = :hash",
            "ExpressionAttributeNames": {"#count": "count", "#hash": "hash"},
            "ExpressionAttributeValues": {
                ":count": {"N": str(before.count)},
                ":hash": {"S": before.hash},
            },
        }
    place = {
        "count": {"N": str(after.count)},
        "hash": {"S": after.hash},
        "recent": {"S": " ".join(after.recent)},
    }
    waiting = {"pk": {"S": UNSEALED}, "sk": {"S": dataset}, "count": place["count"]}
    return [
        _put(
            {**_key(dataset, HEAD), **place}, ReturnValuesOnConditionCheckFailure="ALL_OLD", **moved
        ),
        *(_put({**_key(dataset, _number(h.count)), "line": {"S": t}}, **condition)
          for h, t in records),
        _put(waiting),
    ]  # fmt: skip


def head(dataset: str) -> Head | None:
    """Where a dataset's log ends; None when there is none. Consistently read."""
    answer = dynamodb().get_item(TableName=_table(), Key=_key(dataset, HEAD), ConsistentRead=True)
    item = answer.get("Item")
    if item is None:
        return None
    recent = tuple(item["recent"]["S"].split())
    return Head(int(item["count"]["N"]), item["hash"]["S"], recent)


def lines(dataset: str, after: int = 0) -> Iterator[str]:
    """A log's lines behind the record of that number, in order; consistently read."""
    found = queried(
        TableName=_table(),
        KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
        ExpressionAttributeValues={
            ":pk": {"S": f"{PREFIX}{dataset}"},
            ":first": {"S": _number(after + 1)},
            ":last": {"S": "9" * 10},
        },
        ConsistentRead=True,
    )
    return (item["line"]["S"] for item in found)


def note_read(identity: Identity, version: Version, consents: tuple[str, ...] = ()) -> None:
    """As `note_reads`, of one version, by these Consents."""
    note_reads(identity, [version], {dataset_of(version): consents})


def note_reads(
    identity: Identity, versions: Iterable[Version], grounds: Mapping[str, tuple[str, ...]]
) -> None:
    """Sends to the queue that a user is about to see versions: a message for each dataset.

    `grounds`: dataset -> Consents that let the user see it. What isn't part of a dataset, or is the
    user's own, is passed over. 503 when something can't be sent: then nothing may be shown.
    """
    seen: dict[str, list[str]] = {}
    for version in versions:
        if version.owner != identity.subject and (dataset := dataset_of(version)):
            seen.setdefault(dataset, []).append(f"{version.pk}/_history/{version.version}")
    messages = [
        {
            "dataset": dataset,
            "details": {
                "resources": resources,
                **({"consents": sorted(known)} if (known := grounds.get(dataset)) else {}),
            },
            "id": secrets.token_hex(8),
            "subject": identity.subject,
            "time": instant(),
            "user": identity.username,
        }
        for dataset, all_of_it in seen.items()
        for resources in _parts(all_of_it)
    ]
    if len(messages) > 1:
        with ThreadPoolExecutor(min(_PARALLEL, len(messages))) as pool:
            list(pool.map(send, messages))
    elif messages:
        send(messages[0])


def _parts(resources: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(resources), _RESOURCES):
        yield resources[start : start + _RESOURCES]


def dataset_of(version: Version) -> str:
    """Id of the dataset that a version shows something of; "" for none."""
    kind, _, resource_id = version.pk.partition("/")
    if kind not in access.PRIVATE_TYPES or kind == "Consent":
        return ""
    return resource_id if kind == "DocumentReference" else version.dataset


def send(message: Mapping[str, Any]) -> None:
    """Sends a read to the queue: an Event's members but its kind. 503 when it can't be sent."""
    try:
        sqs().send_message(
            QueueUrl=os.environ["EVIDENCE_QUEUE_URL"],
            MessageBody=canonical(message),
            MessageGroupId=message["dataset"],
            MessageDeduplicationId=message["id"],
        )
    except (BotoCoreError, ClientError) as error:
        logger.error("read not recorded", extra={"fields": {"error": type(error).__name__}})
        raise unavailable() from None


def _put(item: dict[str, Any], **more: Any) -> Action:
    return {"Put": {"TableName": _table(), "Item": item, **more}}


def _key(dataset: str, place: str) -> dict[str, Any]:
    return {"pk": {"S": f"{PREFIX}{dataset}"}, "sk": {"S": place}}


def _number(count: int) -> str:
    return f"{count:010d}"


def _table() -> str:
    return os.environ["CONTROL_TABLE_NAME"]
