"""Prepares the search engine: index, alias and, on AWS, who may read and write them.

Role mappings are no AWS API and the domain is inside the VPC: hence this function, with the
domain's master role. It may run any number of times.
"""

from __future__ import annotations

import time
from typing import Any

from functions.index_admin import rebuild, roles, schema
from functions.search.engine import Engine, EngineUnavailableError, engine
from functions.shared.log import configure, logger

configure()

_READY_SECONDS = 60.0
_POLL_SECONDS = 1.0


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Event: {"read_roles": [ARN], "write_roles": [ARN]}; roles that aren't given are unmapped.

    With {"operation": "begin" or "switch"} it does that part of a rebuild instead.

    Returns {"index", "changes"}: what was done, nothing when all was there. Raises
    EngineUnavailableError, EngineRefusedError, or SchemaError when only a new index helps.
    """
    client = engine()
    _wait(client)
    match event.get("operation"):
        case "begin":
            changes = rebuild.begin(client)
        case "switch":
            changes = rebuild.switch(client)
        case _:
            changes = _prepare(client, event)
    result = {"index": schema.current(client), "changes": changes}
    logger.info("prepared", extra={"fields": result})
    return result


def _prepare(client: Engine, event: dict[str, Any]) -> list[str]:
    changes = schema.ensure(client)
    if client.is_secured:
        changes += roles.ensure(client, event.get("read_roles", []), event.get("write_roles", []))
    return changes


def _wait(client: Engine) -> None:
    """A new domain's name may take a moment to resolve."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            client.call("GET", "/_cluster/health")
        except EngineUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return
