"""Transactions of DynamoDB: retried while others are in the way, and told apart when they fail."""

from __future__ import annotations

import random
import time
from typing import Any

from botocore.exceptions import ClientError

from functions.shared import errors
from functions.shared.errors import FhirError

MAX_ACTIONS = 100
"""AWS's limit."""

_CONFLICT_TRIES = 5


class Refused(Exception):
    """A transaction's first failed condition."""

    def __init__(self, index: int, item: dict[str, Any]) -> None:
        super().__init__(index)
        self.index = index
        self.item = item


def transact(client: Any, actions: list[dict[str, Any]], nonce: str) -> None:
    """Does all actions or none. The first one's item carries the nonce, if there is one.

    `Refused` for a failed condition, 409 when other transactions kept an item busy, 429.
    """
    token = {"ClientRequestToken": nonce} if nonce else {}
    for attempt in range(_CONFLICT_TRIES):
        if attempt:
            time.sleep(random.uniform(0.01, 0.01 * 2**attempt))  # noqa: S311
        try:
            client.transact_write_items(TransactItems=actions, **token)
            return
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            reasons = error.response.get("CancellationReasons", [])
            if reasons and is_own(reasons[0].get("Item"), nonce):
                return
            for index, reason in enumerate(reasons):
                if reason.get("Code") == "ConditionalCheckFailed":
                    raise Refused(index, reason.get("Item", {})) from None
            codes = {reason.get("Code") for reason in reasons} - {"None", None}
            if codes - {"TransactionConflict"}:
                raise (errors.of_service(error) or error) from None
    raise FhirError(409, "conflict", "Other requests are changing the same resource; try again.")


def is_own(item: dict[str, Any] | None, nonce: str) -> bool:
    """Whether the request that has the nonce wrote an item: its first answer was lost then."""
    if not item or not nonce:
        return False
    return item.get("nonce", {}).get("S") == nonce
