"""HTTP: API Gateway's proxy events (REST, version 1) to requests, and responses back to events."""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from functions.shared import errors
from functions.shared.errors import FhirError, operation_outcome
from functions.shared.log import logger
from functions.shared.resources import indent, parse, serialise

FHIR_JSON = "application/fhir+json"

MAX_BODY_BYTES = 4 * 1024 * 1024
"""A Lambda event holds 6 MB, in which a JSON string is escaped."""

MAX_ANSWER_BYTES = 5_500_000
"""Of a body by `size_in_answer`; the rest of Lambda's 6 MB is for headers and what frames it."""

_EXPOSED_HEADERS = (
    "Content-Location, ETag, Expires, Last-Modified, Link, Location, Retry-After,"
    " X-Consistency-Token, X-Progress, X-Request-Id"
)
_JSON_TYPES = frozenset({FHIR_JSON, "application/json", "text/json"})
_SERVED = frozenset({*_JSON_TYPES, "*/*", "application/*", "text/*"})
_FORMATS = frozenset({*_JSON_TYPES, "json"})
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:]{2,39}\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `log` collects members of the request's log line."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    request_id: str
    log: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def fhir(
    status: int, resource: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
) -> Response:
    """A response with a resource, or with the bytes of one."""
    body = resource if isinstance(resource, bytes) else serialise(resource)
    return Response(status, body, {"Content-Type": FHIR_JSON, **(headers or {})})


def size_in_answer(body: bytes) -> int:
    """Bytes that JSON takes in Lambda's answer, where it is a JSON string itself."""
    return len(body) + body.count(b'"') + body.count(b"\\")


def respond(
    event: dict[str, Any], context: object, route: Callable[[Request], Response]
) -> dict[str, Any]:
    """Answers an event with what `route` returns; an exception becomes an OperationOutcome."""
    started = time.perf_counter()
    log: dict[str, Any] = {}
    response = attempt(lambda: route(request_of(event, log)), log, _request_id(event))
    body = b"" if event.get("httpMethod") == "HEAD" else _laid_out(event, response)
    logger.info(
        "request",
        extra={
            "fields": {
                "method": event.get("httpMethod"),
                "route": event.get("resource"),
                "status": response.status,
                "ms": round((time.perf_counter() - started) * 1000, 1),
                "request": _request_id(event),
                **made(response.headers.get("Location", "")),
                **log,
            }
        },
    )
    return {
        "statusCode": response.status,
        "headers": {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Request-Id": _request_id(event),
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": _EXPOSED_HEADERS,
            **response.headers,
        },
        "body": body.decode(),
        "isBase64Encoded": False,
    }


def made(location: str) -> dict[str, str]:
    """What a log line tells of a write: type, id and number of the version, from its address."""
    place = location.split("/")[-4:]
    return {"made": "/".join(place)} if place[2:3] == ["_history"] else {}


def attempt(answer: Callable[[], Response], log: dict[str, Any], request_id: str) -> Response:
    """The answer; an exception becomes an OperationOutcome. `log` is told what went wrong."""
    try:
        return answer()
    except FhirError as error:
        return _failure(error, log)
    except Exception as error:
        known = errors.of_service(error)
        if known is None:
            logger.exception("fault", extra={"fields": {"request": request_id}})
            known = FhirError(500, "exception", "The server failed; the fault was recorded.")
        log["cause"] = errors.cause(error)
        return _failure(known, log)


def _laid_out(event: dict[str, Any], response: Response) -> bytes:
    """Indented for people to read, if `_pretty=true` asks for it, it is JSON, and it fits."""
    body, media_type = response.body, response.headers.get("Content-Type", "")
    wanted = _query(event).get("_pretty", [""])[-1] == "true"
    if not body or not wanted or media_type not in _JSON_TYPES:
        return body
    indented = indent(body)
    return indented if size_in_answer(indented) <= MAX_ANSWER_BYTES else body


def request_of(event: dict[str, Any], log: dict[str, Any] | None = None) -> Request:
    """The request in an event. 400 and 413 for what can't be one."""
    headers = _headers(event)
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            data = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise FhirError(400, "structure", "The body isn't valid base64.") from None
    else:
        data = body.encode("utf-8", "surrogatepass")  # parsing refuses what isn't UTF-8
    if len(data) > MAX_BODY_BYTES:
        raise FhirError(413, "too-long", f"A body has at most {MAX_BODY_BYTES} bytes.")
    path = unquote(event.get("path") or "/")
    query = tuple((name, value) for name, values in _query(event).items() for value in values)
    for text in (path, *(part for pair in query for part in pair)):
        if not _is_text(text):
            raise FhirError(400, "value", "The URL isn't valid UTF-8.")
    return Request(
        method=event.get("httpMethod", "GET"),
        path=path,
        query=query,
        headers=headers,
        body=data,
        base_url=_base_url(event, headers),
        request_id=_request_id(event),
        log={} if log is None else log,
    )


def resource_of(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body. 415 for another content type, 400 for no JSON."""
    media_type = _media_type(request.headers.get("content-type", FHIR_JSON))
    if media_type not in _JSON_TYPES:
        raise FhirError(415, "not-supported", f"Send the body as {FHIR_JSON}.")
    if not request.body:
        raise FhirError(400, "required", "The request needs a body.")
    return parse(request.body)


def negotiate(request: Request) -> None:
    """406 unless the client takes JSON. `_format` overrides Accept, as the specification says."""
    wanted = [value for name, value in request.query if name == "_format"]
    if wanted:
        # '+' in a query means a blank, yet few clients escape it.
        served = _media_type(wanted[-1].replace(" ", "+")) in _FORMATS
    else:
        accept = request.headers.get("accept", "").strip()
        served = not accept or any(map(_is_served, accept.split(",")))
    if not served:
        raise FhirError(406, "not-supported", f"Only {FHIR_JSON} is served.")


def _is_served(media_range: str) -> bool:
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    if name not in _SERVED:
        return False
    values = dict(p.split("=", 1) for p in parameters if "=" in p)
    if values.get("fhirversion", "4.0") not in ("4.0", "4.0.1"):
        return False
    return re.fullmatch(r"0(\.0*)?", values.get("q", "1")) is None


def _media_type(value: str) -> str:
    return value.split(";", 1)[0].strip().lower()


def _failure(error: FhirError, log: dict[str, Any]) -> Response:
    log["code"] = error.issues[0].code
    return fhir(error.status, operation_outcome(error), error.headers)


def _headers(event: dict[str, Any]) -> dict[str, str]:
    several = event.get("multiValueHeaders") or {}
    single = event.get("headers") or {}
    return {name.lower(): value for name, value in single.items()} | {
        name.lower(): ", ".join(values) for name, values in several.items() if values
    }


def _query(event: dict[str, Any]) -> dict[str, list[str]]:
    several = event.get("multiValueQueryStringParameters")
    if several is not None:
        return several
    return {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}


def _is_text(value: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in value)


def _request_id(event: dict[str, Any]) -> str:
    return (event.get("requestContext") or {}).get("requestId", "")


def _base_url(event: dict[str, Any], headers: Mapping[str, str]) -> str:
    """The API's public address: the host that the client used, and what precedes the path there."""
    context = event.get("requestContext") or {}
    full, path = context.get("path") or "", event.get("path") or ""
    prefix = full.removesuffix(path).rstrip("/") if path else full
    local = os.environ.get("AWS_ENDPOINT_URL")
    forwarded = headers.get("x-forwarded-host")
    if local and not forwarded:  # an emulator: one host for all of AWS, the API's id in the path
        return f"{local.rstrip('/')}/_aws/execute-api/{context.get('apiId', '')}{prefix}"
    host = forwarded or headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = context.get("domainName", "localhost")
    scheme = "http" if local or headers.get("x-forwarded-proto") == "http" else "https"
    return f"{scheme}://{host}{prefix}"
