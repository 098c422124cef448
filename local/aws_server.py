"""MiniStack with two more questions answered: how far stream consumers lag, and "save now".

It also reads the answer of Cognito's pre token generation trigger as AWS does.
It also learns the condition key `iam:PermissionsBoundary`, which it would take for absent: a policy
that lets somebody write the policies of roles with a certain boundary only is enforced so.
It also lets some requests of REST APIs run at a time while others wait for their turn: MiniStack
starts a process for each that finds the others busy, and 50 take more memory than one machine has.
It also tells what it couldn't write to the disk, which MiniStack only logs.

Run by the Python of MiniStack's own environment, not by ours. MiniStack keeps its state only on an
orderly stop and forgets the records of DynamoDB streams then, so whoever stops it must first see
every record consumed; neither has a public call. The names used here are those of the pinned
version.

- `GET /_local/lag`: `{"records": n}`, stream records that an enabled mapping hasn't consumed yet.
- `POST /_local/save`: writes the state of all services to STATE_DIR; 204, or 507 with the names of
  those that couldn't be written. It ends with status 1 if that is so when it ends.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app as server  # pyright: ignore[reportMissingImports]
from ministack.core import iam_actions  # pyright: ignore[reportMissingImports]
from ministack.core.persistence import save_all  # pyright: ignore[reportMissingImports]
from ministack.services import (  # pyright: ignore[reportMissingImports]
    cognito,
    dynamodb,
    iam,
    lambda_svc,
)

AT_ONCE = 8
"""Requests of REST APIs."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def unconsumed() -> int:
    """Stream records between each enabled mapping's position and the end of its stream."""
    records = 0
    for account, region, mapping in lambda_svc._iter_all_esms():
        parts = mapping.get("EventSourceArn", "").split(":")
        if mapping.get("Enabled", True) and len(parts) > 5 and parts[2] == "dynamodb":
            table = parts[5].split("/")[1]
            place = {"account_id": account, "region": region}
            position = lambda_svc._dynamodb_stream_positions.get_scoped(
                account, region, mapping["UUID"], dynamodb.stream_start_position(table, **place)
            )
            records += max(0, dynamodb.stream_end_position(table, **place) - position)
    return records


class Unsaved(logging.Handler):
    """What couldn't be written to the disk: services' state the last time, objects of S3 ever."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        name = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        if record.msg.startswith("Persistence: saved"):
            self.names.discard(name)
        elif record.msg.startswith(("Persistence: failed to save", "Persistence: error getting")):
            self.names.add(name)
        elif record.msg.startswith("Failed to persist S3"):
            self.names.add(f"objects of the bucket {name}")


trigger_answer = cognito._extract_trigger_response


def with_groups_of_tokens(payload: Any) -> dict[str, Any] | None:
    """A trigger's answer. AWS has the groups of both tokens beside these, MiniStack in each.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
    """
    answer = trigger_answer(payload)
    details = (answer or {}).get("claimsAndScopeOverrideDetails") or {}
    if "groupOverrideDetails" in details:
        groups = {"groupOverrideDetails": details["groupOverrideDetails"]}
        for token in ("accessTokenGeneration", "idTokenGeneration"):
            details[token] = (details.get(token) or {}) | groups
    return answer


def with_boundaries(context: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The condition keys of a request, and for one on a role the role's permissions boundary."""

    def keys(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found = context(service, action, body, params)
        name = iam_actions._query_param(params, "RoleName") if service == "iam" else ""
        boundary = (iam._roles.get(name) or {}).get("PermissionsBoundary")
        return {**found, **({"iam:PermissionsBoundary": boundary} if boundary else {})}

    return keys


class Server:
    """The ASGI application in front of MiniStack's."""

    def __init__(
        self, inner: Callable[[Scope, Receive, Send], Awaitable[None]], unsaved: Unsaved
    ) -> None:
        self._inner = inner
        self._unsaved = unsaved
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"], scope.get("path"), scope.get("method"):
            case "http", "/_local/lag", "GET":
                await _answer(send, 200, json.dumps({"records": unconsumed()}).encode())
            case "http", "/_local/save", "POST":
                save_all(server._build_persistence_save_dict())
                names = ", ".join(sorted(self._unsaved.names))
                await _answer(send, 507 if names else 204, names.encode())
            case "http", str(path), _ if path.startswith("/_aws/execute-api/"):
                async with self._turns:
                    await self._inner(scope, receive, send)
            case _:
                await self._inner(scope, receive, send)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    cognito._extract_trigger_response = with_groups_of_tokens
    iam_actions.request_tag_context = with_boundaries(iam_actions.request_tag_context)
    unsaved = Unsaved()
    for logger in ("persistence", "s3"):
        logging.getLogger(logger).addHandler(unsaved)
    server.app = Server(server.app, unsaved)
    server.main()
    sys.exit(1 if unsaved.names else 0)
