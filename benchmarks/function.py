"""The API function in this process, over the stand-in for AWS, asked by a practitioner."""

import atexit
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from benchmarks.stand_in import CONTROL
from tests.issuer import CLIENTS, ISSUER, REGION, Issuer


@cache
def issuer() -> Issuer:
    return Issuer()


@cache
def environment() -> dict[str, str]:
    """The function's environment; the stand-in that it names runs as long as this process."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stand_in"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(server.wait)
    atexit.register(server.terminate)
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(issuer().jwks)
    server.stdin.close()
    port = int(server.stdout.readline())
    return {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "TABLE_NAME": "versions",
        "CONTROL_TABLE_NAME": CONTROL,
        "OVERFLOW_BUCKET": "overflow",
        "ISSUER": ISSUER,
        "CLIENT_IDS": ",".join(CLIENTS),
        "CONSISTENCY_KEY": "bench",
    }


def event(
    method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """API Gateway's event of a request."""
    path, _, query = path.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return {
        "httpMethod": method,
        "path": path,
        "resource": "/{proxy+}",
        "headers": {"Host": "api.bench", "Authorization": f"Bearer {_token()}", **(headers or {})},
        "multiValueQueryStringParameters": {name: [value] for name, _, value in pairs} or None,
        "requestContext": {"requestId": "r", "path": f"/api{path}"},
        "body": None if body is None else json.dumps(body),
    }


@cache
def _token() -> str:
    return issuer().token()


def ask(sent: dict[str, Any], status: int = 200) -> dict[str, Any]:
    """The answer of this process's function; fails when its status is another."""
    answer = _handler()(sent, None)
    assert answer["statusCode"] == status, answer["body"]
    return answer


@cache
def _handler() -> Any:
    os.environ.update(environment())
    from functions.api import handler

    quiet()
    return handler.handler


def quiet() -> None:
    """Log lines are formatted and written, but not to the terminal."""
    from functions.shared.log import logger

    [lines] = logger.handlers
    assert isinstance(lines, logging.StreamHandler)
    lines.setStream(open(os.devnull, "w"))  # noqa: SIM115, PTH123 - open as long as the process
