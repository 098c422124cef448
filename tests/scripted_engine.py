"""A search engine at the HTTP border: it answers from a script and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

from functions.search.engine import Engine


class Asked(NamedTuple):
    method: str
    path: str
    body: Any
    """JSON; a list of JSON lines for a bulk request."""


Answer = tuple[int, Any] | Exception | Callable[[Asked], tuple[int, Any]]


class ScriptedEngine(Engine):
    """Gives the answers of `script` in turn: (status, JSON), an exception, or what makes one."""

    def __init__(self, *script: Answer, endpoint: str = "http://engine") -> None:
        super().__init__(endpoint)
        self.script = list(script)
        self.asked: list[Asked] = []
        self.headers: list[dict[str, str]] = []
        self._pool = SimpleNamespace(request=self._answer)

    def _answer(
        self, method: str, url: str, *, body: bytes | None, headers: dict[str, str]
    ) -> SimpleNamespace:
        lines = [json.loads(line) for line in (body or b"").splitlines()]
        asked = Asked(
            method,
            url.removeprefix(self.endpoint),
            lines if "_bulk" in url else lines[0] if lines else None,
        )
        self.asked.append(asked)
        self.headers.append(headers)
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, content = answer(asked) if callable(answer) else answer
        return SimpleNamespace(status=status, data=json.dumps(content).encode())


def refusal(kind: str, status: int = 400, reason: str = "") -> tuple[int, Any]:
    """An error answer as the engine forms it."""
    error = {"type": kind, "reason": reason}
    return status, {"error": {**error, "root_cause": [error]}, "status": status}
