"""Guards: items of the control table that make a conditional create happen once.

    guard#{type}#{digest of the criteria}   guard     made: pk of the resource; expires

A guard is written in the transaction that makes the resource. The index, by which the criteria were
looked up, may lag behind such a write, but by less than a guard lives.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from typing import Any

from functions.shared.access import PRIVATE_TYPES
from functions.shared.clients import dynamodb
from functions.shared.identity import Identity
from functions.shared.resources import serialise
from functions.shared.store import Action

PREFIX = "guard#"

SECONDS = 24 * 3600
"""As long as the stream to the index keeps a write."""


def key(identity: Identity, resource_type: str, criteria: Sequence[tuple[str, str]]) -> str:
    """The same for the same criteria in any order. Of private types everybody has their own."""
    scope = identity.subject if resource_type in PRIVATE_TYPES else ""
    digest = hashlib.sha256(serialise([scope, sorted(criteria)])).hexdigest()
    return f"{PREFIX}{resource_type}#{digest}"


def holder(guard: str) -> str:
    """The pk of the resource that holds a guard; "" if none does."""
    answer = dynamodb().get_item(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        Key={"pk": {"S": guard}, "sk": {"S": "guard"}},
        ConsistentRead=True,
    )
    item = answer.get("Item")
    return item["made"]["S"] if item and int(item["expires"]["N"]) >= time.time() else ""


def action(guard: str, pk: str, *, instead_of: str = "") -> Action:
    """The transaction's action that claims a guard for a new resource.

    It fails when another one holds the guard, unless it is the one that this is `instead_of`.
    """
    now = int(time.time())
    free = "attribute_not_exists(pk) OR expires < :now"
    values: dict[str, Any] = {":now": {"N": str(now)}}
    if instead_of:
        free += " OR made = :made"
        values[":made"] = {"S": instead_of}
    return {
        "Put": {
            "TableName": os.environ["CONTROL_TABLE_NAME"],
            "Item": {
                "pk": {"S": guard},
                "sk": {"S": "guard"},
                "made": {"S": pk},
                "expires": {"N": str(now + SECONDS)},
            },
            "ConditionExpression": free,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }
