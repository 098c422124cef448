"""The data API's Lambda function: API Gateway's proxy event in, response out."""

from __future__ import annotations

from typing import Any

from functions.api.routing import route
from functions.shared import clients, log
from functions.shared.http import respond

log.configure()
clients.dynamodb()  # made while the function starts, when Lambda gives it most CPU


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return respond(event, context, route)
