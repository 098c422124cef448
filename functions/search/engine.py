"""The HTTP client of the search engine: pooled connections, signed requests, short time limits.

An endpoint with https is an AWS domain: requests are signed (SigV4, service `es`) with the
function's own role. One with http has no security plugin. Every call here may be repeated.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
import urllib3

from functions.shared.resources import serialise
from functions.shared.tracing import part

_JSON = "application/json"
_LINES = "application/x-ndjson"
_TRANSIENT = frozenset({429, 502, 503, 504})
_TOO_COSTLY = frozenset({"too_many_clauses", "too_many_nested_clauses"})
_CONNECT_SECONDS = 1.0
_MAX_REASON = 300


class EngineUnavailableError(Exception):
    """The engine can't be reached, is overloaded or not ready: the same call may succeed later."""


class EngineRefusedError(Exception):
    """The engine refuses the call for good. `kind` is its error's type."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"{status} {kind}: {reason}")
        self.status = status
        self.kind = kind


class Engine:
    """One search engine. Safe for threads."""

    def __init__(self, endpoint: str, *, read_seconds: float = 10.0) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.is_secured = endpoint.startswith("https://")
        self._pool = urllib3.PoolManager(
            maxsize=8,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds),
            retries=False,
        )

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A call with a JSON body. EngineUnavailableError, EngineRefusedError."""
        return self._send(method, path, b"" if body is None else serialise(body), _JSON)

    def exists(self, path: str) -> bool:
        """Whether there is something at the path."""
        try:
            self._send("HEAD", path, b"", _JSON)
        except EngineRefusedError as error:
            if error.status == 404:
                return False
            raise
        return True

    def search(
        self, index: str, body: Mapping[str, Any], *, preference: str = ""
    ) -> dict[str, Any]:
        """Runs a query. EngineUnavailableError unless all shards answer: no partial result.

        Queries with the same preference (letters and digits) ask the same copies of the shards.
        """
        chosen = f"&preference={preference}" if preference else ""
        path = f"/{index}/_search?allow_partial_search_results=false{chosen}"
        answer = self.call("POST", path, body)
        if answer.get("timed_out"):
            raise EngineUnavailableError("the search timed out")
        return answer

    def bulk(self, index: str, lines: bytes) -> list[dict[str, Any]]:
        """Sends newline-separated actions to an alias; the outcome of each, in order."""
        answer = self._send("POST", f"/{index}/_bulk?require_alias=true", lines, _LINES)
        return [next(iter(item.values())) for item in answer["items"]]

    def _send(self, method: str, path: str, body: bytes, content_type: str) -> dict[str, Any]:
        url = self.endpoint + path
        headers = {"Content-Type": content_type}
        if self.is_secured:
            headers = _signed(method, url, body, headers)
        with part("search"):
            response = self._request(method, url, body, headers)
        if response.status in _TRANSIENT:
            raise EngineUnavailableError(f"status {response.status}")
        content = _content(response.data)
        if response.status >= 400:
            raise _refusal(response.status, content)
        return content

    def _request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Any:
        try:
            try:
                return self._pool.request(method, url, body=body or None, headers=headers)
            except urllib3.exceptions.ProtocolError:
                # A kept connection, closed by the server just while it was taken up again.
                return self._pool.request(method, url, body=body or None, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise EngineUnavailableError(type(error).__name__) from error


@cache
def engine() -> Engine:
    """The engine named by SEARCH_ENDPOINT."""
    return Engine(os.environ["SEARCH_ENDPOINT"])


@cache
def _session() -> Any:
    import botocore.session

    return botocore.session.get_session()


def _signed(method: str, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    credentials = _session().get_credentials()
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    SigV4Auth(credentials, "es", os.environ["AWS_REGION"]).add_auth(request)
    return dict(request.headers.items())


def _content(data: bytes) -> dict[str, Any]:
    if not data:
        return {}
    try:
        content = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise EngineUnavailableError("the answer isn't JSON") from error
    return content


def _refusal(status: int, content: dict[str, Any]) -> Exception:
    error = content.get("error")
    if not isinstance(error, dict):
        return EngineRefusedError(status, "", str(error)[:_MAX_REASON])
    causes = [error, *(error.get("root_cause") or ())]
    kinds = [str(cause.get("type", "")) for cause in causes]
    # Blocks (a full disk, no master) and shards that aren't there yet pass.
    if (status >= 500 and not _TOO_COSTLY & set(kinds)) or "cluster_block_exception" in kinds:
        return EngineUnavailableError(f"status {status} {kinds[-1]}")
    return EngineRefusedError(status, kinds[-1], str(causes[-1].get("reason"))[:_MAX_REASON])
