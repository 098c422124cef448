"""HTTP: calls of the API and transfers of bytes, tried again with jitter when a fault may pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from .errors import NotSignedIn, Refused, Unreachable
from .stack import Stack

ATTEMPTS = 10
LONGEST_WAIT_SECONDS = 30
TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
CHUNK = 256 * 1024

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


class Body(Protocol):
    """Bytes to send: read in pieces, of a known length."""

    def __len__(self) -> int: ...

    def read(self, size: int = -1, /) -> bytes: ...


def persistently(action: Callable[[], T]) -> T:
    """What `action` returns in the end; the last Unreachable when it never works."""
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=_pause,
        retry=retry_if_exception_type(Unreachable),
        reraise=True,
    )
    return retrying(action)


class Api:
    """The platform's API as one user; safe among threads.

    `token` gives the user's ID token, and another one when it is told which was refused.
    """

    def __init__(self, stack: Stack, token: Callable[[str | None], str], workers: int = 4) -> None:
        self._stack, self._token = stack, token
        self._http = requests.Session()
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, _Adapter(pool_maxsize=workers))

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """One call; the JSON of its answer, or None. Paths are relative, links of answers absolute.

        Raises Refused, NotSignedIn, and Unreachable after some tries.
        """
        url = path if path.startswith(self._stack.api_url) else self._stack.api_url + path
        answer = persistently(lambda: self._called(method, url, body, headers or {}))
        return answer.json() if answer.content else None

    def lines(self, path: str) -> tuple[list[str], str | None]:
        """(the lines of an answer, the link to the next page if there is one)

        Raises what `call` does.
        """
        url = path if path.startswith(self._stack.api_url) else self._stack.api_url + path
        answer = persistently(lambda: self._called("GET", url, None, {}))
        # Not `splitlines`: a text may contain what Unicode calls the end of a line.
        lines = answer.content.decode().split("\n")[:-1]
        return lines, answer.links.get("next", {}).get("url")

    def put(self, url: str, headers: Mapping[str, str], body: Body) -> None:
        """Sends bytes to a presigned URL, once: the body can't be read again."""
        data: Any = body if len(body) else b""  # a stream without length would go in chunks
        self._sent("PUT", url, data=data, headers=dict(headers), auth=_Plain())

    def get(self, url: str, start: int = 0) -> Iterator[bytes]:
        """The bytes behind a presigned URL from a position on, in pieces."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        answer = self._sent("GET", url, headers=headers, stream=True, auth=_Plain())
        with answer:
            try:
                yield from answer.iter_content(CHUNK)
            except requests.RequestException as error:
                raise Unreachable(f"The line broke: {error}") from None

    def _called(
        self, method: str, url: str, body: object, headers: Mapping[str, str]
    ) -> requests.Response:
        refused: str | None = None
        while True:
            token = self._token(refused)
            bearer = _Bearer(token, self._stack.api_key)
            try:
                return self._sent(method, url, json=body, headers=dict(headers), auth=bearer)
            except Refused as refusal:
                if refusal.status != 401:
                    raise
                if refused is not None:
                    raise NotSignedIn("Your sign-in has ended. Run: ai4h login") from None
                refused = token

    def _sent(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            answer = self._http.request(
                method, url, timeout=TIMEOUT, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise Unreachable(f"No answer from the platform: {error}") from None
        if answer.status_code in _PASSING:
            after = answer.headers.get("Retry-After", "")
            raise Unreachable(_problem(answer), float(after) if after.isdigit() else 0)
        if answer.status_code >= 300:
            raise Refused(answer.status_code, _problem(answer))
        return answer


class _Adapter(HTTPAdapter):
    """Sends bodies in larger pieces than 16 KiB."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, blocksize=CHUNK, **options)


class _Bearer(AuthBase):
    """As `auth`, so that no entry of ~/.netrc takes its place."""

    def __init__(self, token: str, api_key: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}", "x-api-key": api_key}

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class _Plain(AuthBase):
    """Presigned URLs carry their own signature."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, Unreachable) else 0
    return asked + wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS)(state)


def _problem(answer: requests.Response) -> str:
    """What an OperationOutcome says, or S3's error code."""
    try:
        issues = answer.json()["issue"]
        said = " ".join(issue.get("diagnostics", issue["code"]) for issue in issues)
    except (ValueError, KeyError, TypeError):
        said = answer.text.partition("<Code>")[2].partition("</Code>")[0] or answer.reason
    return f"{answer.status_code}: {said}"
