"""Entry point of the reconciler: makes each challenge's role read what it may read at this moment.

Called by a schedule, each minute. A challenge that fails keeps no other from being reconciled.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from functions.reconciler import roles
from functions.shared.clients import dynamodb
from functions.shared.log import configure, fault, logger

_PARALLEL = 8

configure()
dynamodb()
roles.iam()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answers how many policies were written; raises when one couldn't be: somebody must look."""
    challenges = os.environ["CHALLENGES"].split(",")
    failed: list[Exception] = []

    def reconciled(challenge: str) -> bool:
        try:
            return roles.reconcile(challenge)
        except Exception as error:
            failed.append(error)
            fields = {"challenge": challenge, **fault(type(error), error.__traceback__)}
            logger.error("not reconciled", extra={"fields": fields})
            return False

    with ThreadPoolExecutor(_PARALLEL) as pool:
        written = sum(pool.map(reconciled, challenges))
    if failed:
        raise failed[0]
    return {"written": written}
