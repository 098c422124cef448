"""MiniStack with two more questions answered: what is still going on, and "save now".

It also reads the answer of Cognito's pre token generation trigger as AWS does.
It also learns the condition key `iam:PermissionsBoundary`, which it would take for absent: a policy
that lets somebody write the policies of roles with a certain boundary only is enforced so.
It also lets some invocations of a function run at a time while others wait for their turn,
whoever asks: the gateway, a bucket, a queue, a state machine. MiniStack starts a process for each
that finds the others busy, and 50 take more memory than one machine has. Each function has its own
turns, so one that calls another goes on; one that calls itself deeper than that times out.
Of the logs it keeps those of each function's last invocations: MiniStack never drops any.
It also tells what it couldn't write to the disk, which MiniStack only logs.

Run by the Python of MiniStack's own environment, not by ours. MiniStack keeps its state only on an
orderly stop and forgets invocations that wait and the records of DynamoDB streams then, so whoever
stops it must first see all of them done; neither has a public call. The names used here are those
of the pinned version.

- `GET /_local/lag`: `{"records": n, "invocations": n}`, stream records that an enabled mapping
  hasn't consumed yet, and invocations that run or wait for their turn.
- `POST /_local/save`: writes the state of all services to STATE_DIR; 204, or 507 with the names of
  those that couldn't be written. It ends with status 1 if that is so when it ends.
"""

import json
import logging
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app as server  # pyright: ignore[reportMissingImports]
from ministack.core import iam_actions  # pyright: ignore[reportMissingImports]
from ministack.core.persistence import save_all  # pyright: ignore[reportMissingImports]
from ministack.services import (  # pyright: ignore[reportMissingImports]
    cloudwatch_logs,
    cognito,
    dynamodb,
    iam,
    lambda_svc,
)

AT_ONCE = 4
"""Invocations of one function."""
LOGGED = 1000
"""Invocations of one function whose logs are kept."""

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


def with_last_logs(emit: Callable[..., None]) -> Callable[..., None]:
    """Writes an invocation's logs, a stream for each, and drops the oldest of its function."""

    def keep(function: dict[str, Any], *arguments: Any, **options: Any) -> None:
        emit(function, *arguments, **options)
        config = function.get("config") or function
        name = (config.get("LoggingConfig") or {}).get("LogGroup")
        group = cloudwatch_logs._log_groups.get(name or f"/aws/lambda/{config['FunctionName']}")
        streams = group["streams"] if group else {}
        for outdated in list(streams)[:-LOGGED]:
            streams.pop(outdated, None)

    return keep


class Turn:
    """Lets `AT_ONCE` threads in, others in the order in which they came. A context manager.

    A semaphore keeps no order: who comes just then overtakes those that wait, some for seconds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = AT_ONCE
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            let_in = threading.Event()
            self._waiting.append(let_in)
        let_in.wait()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


class Turns:
    """Invocations of each function, `AT_ONCE` at a time. What waits has a thread of its own."""

    def __init__(self, execute: Callable[[Any, Any], dict[str, Any]]) -> None:
        self._execute = execute
        self._turns: dict[str, Turn] = {}
        self._open: set[object] = set()

    @property
    def open(self) -> int:
        """How many run or wait."""
        return len(self._open)

    def __call__(self, function: dict[str, Any], event: Any) -> dict[str, Any]:
        config = function.get("config") or function
        if lambda_svc._function_config_scope_mismatch(config):
            return self._execute(function, event)  # comes here again, in the function's region
        turn = self._turns.setdefault(config["FunctionName"], Turn())
        this = object()
        self._open.add(this)
        try:
            with turn:
                return self._execute(function, event)
        finally:
            self._open.remove(this)


class Server:
    """The ASGI application in front of MiniStack's."""

    def __init__(
        self,
        inner: Callable[[Scope, Receive, Send], Awaitable[None]],
        turns: Turns,
        unsaved: Unsaved,
    ) -> None:
        self._inner = inner
        self._turns = turns
        self._unsaved = unsaved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"], scope.get("path"), scope.get("method"):
            case "http", "/_local/lag", "GET":
                # In this order: what an invocation wrote last is a record when it has ended.
                lag = {"invocations": self._turns.open, "records": unconsumed()}
                await _answer(send, 200, json.dumps(lag).encode())
            case "http", "/_local/save", "POST":
                save_all(server._build_persistence_save_dict())
                names = ", ".join(sorted(self._unsaved.names))
                await _answer(send, 507 if names else 204, names.encode())
            case _:
                await self._inner(scope, receive, send)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    cognito._extract_trigger_response = with_groups_of_tokens
    iam_actions.request_tag_context = with_boundaries(iam_actions.request_tag_context)
    lambda_svc._emit_lambda_logs = with_last_logs(lambda_svc._emit_lambda_logs)
    lambda_svc._execute_function = turns = Turns(lambda_svc._execute_function)
    unsaved = Unsaved()
    for logger in ("persistence", "s3"):
        logging.getLogger(logger).addHandler(unsaved)
    server.app = Server(server.app, turns, unsaved)
    server.main()
    sys.exit(1 if unsaved.names else 0)
