"""Quarantine: records that can't be indexed, kept in the control table until they are redriven."""

from __future__ import annotations

import os
from typing import Any

from functions.shared.clients import dynamodb
from functions.shared.log import logger
from functions.shared.resources import instant

PARTITION = "quarantine"


def add(key: dict[str, Any], reason: str) -> None:
    """Records a version, given by its item's key. Doing it again changes nothing but the time."""
    name = f"{key['pk']['S']}#{key['version']['N']}"
    dynamodb().put_item(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        Item={
            "pk": {"S": PARTITION},
            "sk": {"S": name},
            "reason": {"S": reason},
            "updated": {"S": instant()},
        },
    )
    logger.warning("quarantined", extra={"fields": {"key": name, "reason": reason}})


def listed(after: str, limit: int) -> list[tuple[str, int]]:
    """(pk, version) of records in quarantine, in order, after the one of that name."""
    found = dynamodb().query(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        KeyConditionExpression="pk = :pk AND sk > :after",
        ExpressionAttributeValues={":pk": {"S": PARTITION}, ":after": {"S": after or " "}},
        Limit=limit,
    )["Items"]
    names = (item["sk"]["S"].rpartition("#") for item in found)
    return [(pk, int(version)) for pk, _, version in names]


def remove(pk: str, version: int) -> None:
    """Lets a record go: it was indexed after all."""
    key = {"pk": {"S": PARTITION}, "sk": {"S": f"{pk}#{version}"}}
    dynamodb().delete_item(TableName=os.environ["CONTROL_TABLE_NAME"], Key=key)
