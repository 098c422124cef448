"""Attachments: which datasets a challenge's evaluation uses.

Items of the control table, written in the transaction that records it in the dataset's evidence:

    challenge#{number}   {dataset}   is_attached; since: instant; expires, once it is detached
    challenge#{number}   #count      count: of what is attached

That a dataset is attached gives nothing: its owner's grant to the challenge does, for as long as it
holds. functions/reconciler makes the policy of the challenge's role of both.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import Any

from functions.shared.clients import dynamodb, queried
from functions.shared.resources import instant
from functions.shared.store import Action

PREFIX = "challenge#"
"""Beginning of the partitions."""

CHALLENGE = re.compile(r"[1-9]\d{0,9}")
"""A challenge's number, its primary key in EvalAI. Use `fullmatch`."""

MOST = 50
"""Datasets of a challenge: what fits into the policy of a role."""

DENIED_SECONDS = 24 * 3600
"""How long the challenge's role is denied a dataset after it was detached."""

_COUNT = "#count"  # no dataset has such an id


@dataclass(frozen=True, slots=True)
class Attachment:
    """A dataset that is attached to a challenge, or was until a while ago."""

    dataset: str
    is_attached: bool
    since: str
    """When it was attached or detached last."""


def of(challenge: str) -> list[Attachment]:
    """A challenge's attachments, consistently read."""
    found = queried(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{PREFIX}{challenge}"}},
        ConsistentRead=True,
    )
    return [_attachment(item) for item in found if item["sk"]["S"] != _COUNT]


def is_attached(challenge: str, dataset: str) -> bool:
    """Whether a dataset is attached to a challenge now."""
    answer = dynamodb().get_item(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        Key=_key(challenge, dataset),
        ConsistentRead=True,
    )
    return "Item" in answer and _attachment(answer["Item"]).is_attached


def attaching(challenge: str, dataset: str) -> list[Action]:
    """Two actions: the first is refused when it is attached, the second when `MOST` are."""
    return [
        _put(challenge, dataset, is_attached=True),
        _count(challenge, "1", "attribute_not_exists(#count) OR #count < :limit", MOST),
    ]


def detaching(challenge: str, dataset: str) -> list[Action]:
    """Two actions: the first is refused when it isn't attached."""
    return [
        _put(challenge, dataset, is_attached=False),
        _count(challenge, "-1", "#count > :limit", 0),
    ]


def _put(challenge: str, dataset: str, *, is_attached: bool) -> Action:
    ended = {"expires": {"N": str(int(time.time()) + DENIED_SECONDS)}}
    new = "attribute_not_exists(pk) OR " if is_attached else ""
    return {
        "Put": {
            "TableName": os.environ["CONTROL_TABLE_NAME"],
            "Item": {
                **_key(challenge, dataset),
                "is_attached": {"BOOL": is_attached},
                "since": {"S": instant()},
                **({} if is_attached else ended),
            },
            "ConditionExpression": f"{new}is_attached = :before",
            "ExpressionAttributeValues": {":before": {"BOOL": not is_attached}},
        }
    }


def _count(challenge: str, step: str, condition: str, limit: int) -> Action:
    return {
        "Update": {
            "TableName": os.environ["CONTROL_TABLE_NAME"],
            "Key": _key(challenge, _COUNT),
            "UpdateExpression": "ADD #count :step",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#count": "count"},
            "ExpressionAttributeValues": {":step": {"N": step}, ":limit": {"N": str(limit)}},
        }
    }


def _attachment(item: dict[str, Any]) -> Attachment:
    return Attachment(item["sk"]["S"], item["is_attached"]["BOOL"], item["since"]["S"])


def _key(challenge: str, place: str) -> dict[str, Any]:
    return {"pk": {"S": f"{PREFIX}{challenge}"}, "sk": {"S": place}}
