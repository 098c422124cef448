"""Idempotency-Key: a create or a bundle that is sent again is answered again, not done again.

    idempotency#{digest of user and key}   request     asked: digest of the request; made; expires

The record is written in the transaction that does the work. It lives for a day. `made` lists what
each write came to, of which the answer is made anew.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from functions.shared.clients import dynamodb
from functions.shared.errors import FhirError
from functions.shared.http import Request
from functions.shared.identity import Identity
from functions.shared.resources import serialise
from functions.shared.store import Action

PREFIX = "idempotency#"

HEADER = "idempotency-key"

MAX_LENGTH = 255

SECONDS = 24 * 3600


class Made(NamedTuple):
    """What an entry came to, by its place (0 for a create); no version where there was nothing."""

    entry: int
    status: int
    pk: str = ""
    version: int = 0


def key_of(request: Request) -> str:
    """The request's key; "" without. 400 for one that is too long."""
    key = request.headers.get(HEADER, "").strip()
    if len(key) > MAX_LENGTH:
        raise FhirError(400, "value", f"An Idempotency-Key has at most {MAX_LENGTH} characters.")
    return key


def made_before(request: Request, identity: Identity) -> list[Made] | None:
    """What the request wrote when it was sent before; None when it wasn't.

    422 when another request had the key.
    """
    if not key_of(request):
        return None
    answer = dynamodb().get_item(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        Key=_key(request, identity),
        ConsistentRead=True,
    )
    item = answer.get("Item")
    lives = item and int(item["expires"]["N"]) >= time.time()
    return made_by(request, item) if lives else None


def made_by(request: Request, item: dict[str, Any]) -> list[Made]:
    """What a record says that the request wrote; 422 when it is another request's."""
    if item["asked"]["S"] != _digest(request):
        raise FhirError(422, "processing", "Another request was sent with this Idempotency-Key.")
    return msgspec.json.decode(item["made"]["S"], type=list[Made])


def actions(request: Request, identity: Identity, made: Sequence[Made]) -> list[Action]:
    """The transaction's action that records a request with a key; it fails when that was done."""
    if not key_of(request):
        return []
    now = int(time.time())
    put = {
        "Put": {
            "TableName": os.environ["CONTROL_TABLE_NAME"],
            "Item": {
                **_key(request, identity),
                "asked": {"S": _digest(request)},
                "made": {"S": serialise(made).decode()},
                "expires": {"N": str(now + SECONDS)},
            },
            "ConditionExpression": "attribute_not_exists(pk) OR expires < :now",
            "ExpressionAttributeValues": {":now": {"N": str(now)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }
    return [put]


def _key(request: Request, identity: Identity) -> dict[str, Any]:
    digest = hashlib.sha256(serialise([identity.subject, key_of(request)])).hexdigest()
    return {"pk": {"S": f"{PREFIX}{digest}"}, "sk": {"S": "request"}}


def _digest(request: Request) -> str:
    asked = [request.method, request.path, request.query, request.headers.get("if-none-exist", "")]
    return hashlib.sha256(serialise(asked) + request.body).hexdigest()
