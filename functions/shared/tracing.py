"""Traces: what a function asks of other services, as subsegments of the trace that Lambda keeps.

Lambda runs X-Ray's daemon beside every function. It takes datagrams, so nobody waits for it, and
what is lost is lost. Why no library: docs/decisions/0013-traces.md.
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

_HEADER = b'{"format": "json", "version": 1}\n'
_CALL = "ai4h_traced_call"
"""Where botocore's context of a call keeps what it is and when it began."""


def traced(client: Any) -> Any:
    """The client of an AWS service, each of whose calls is a part of the trace from now on."""
    events = client.meta.events
    events.register("before-call", _begin)
    events.register("after-call", _end)
    events.register("after-call-error", _fail)
    return client


@contextmanager
def part(name: str) -> Iterator[None]:
    """A part of the trace, as long as the block runs. It tells no more than whether that failed."""
    parent = _parent()
    if parent is None:
        yield
        return
    started, facts = time.time(), {}
    try:
        yield
    except Exception:
        facts = {"fault": True}
        raise
    finally:
        _send(name, parent, started, {"namespace": "remote", **facts})


def _begin(model: Any, context: dict[str, Any], **_: Any) -> None:
    if _parent() is not None:
        context[_CALL] = model, time.time()


def _end(http_response: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    facts: dict[str, Any] = {"http": {"response": {"status": http_response.status_code}}}
    if http_response.status_code == 429 or "Throttl" in parsed.get("Error", {}).get("Code", ""):
        facts["throttle"] = True
    if http_response.status_code >= 400:
        facts["fault" if http_response.status_code >= 500 else "error"] = True
    request_id = parsed.get("ResponseMetadata", {}).get("RequestId", "")
    _send_call(context, facts, request_id=request_id)


def _fail(context: dict[str, Any], **_: Any) -> None:
    _send_call(context, {"fault": True})


def _send_call(context: dict[str, Any], facts: Mapping[str, Any], **aws: str) -> None:
    parent = _parent()
    if parent is None or _CALL not in context:
        return
    model, started = context[_CALL]
    call = {"operation": model.name, "region": os.environ.get("AWS_REGION", ""), **aws}
    name = str(model.service_model.service_id)
    _send(name, parent, started, {"namespace": "aws", "aws": call, **facts})


def _parent() -> tuple[str, str] | None:
    """Trace and segment that Lambda gave this invocation; None if it isn't sampled."""
    given = dict(
        member.split("=", 1)
        for member in os.environ.get("_X_AMZN_TRACE_ID", "").split(";")
        if "=" in member
    )
    if given.get("Sampled") != "1" or not {"Root", "Parent"} <= given.keys():
        return None
    return given["Root"], given["Parent"]


def _send(name: str, parent: tuple[str, str], started: float, facts: Mapping[str, Any]) -> None:
    daemon = _daemon()
    if daemon is None:
        return
    document = {
        "type": "subsegment",
        "name": name,
        "id": os.urandom(8).hex(),
        "trace_id": parent[0],
        "parent_id": parent[1],
        "start_time": started,
        "end_time": time.time(),
        **facts,
    }
    try:
        daemon.send(_HEADER + json.dumps(document).encode())
    except OSError:
        return  # a trace is worth no request


@cache
def _daemon() -> socket.socket | None:
    """Where the daemon listens, as Lambda says; nowhere outside of Lambda."""
    host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
    if not host:
        return None
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.setblocking(False)
    found.connect((host, int(port)))
    return found
