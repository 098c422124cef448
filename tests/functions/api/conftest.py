"""The API function in process: real handler, real tokens, moto, and a scripted search engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.issuer import Issuer
from tests.scripted_engine import Answer, ScriptedEngine

BASE = "https://api.test/api"
FHIR = "application/fhir+json"
EMPTY: Answer = (200, {"hits": {"total": {"value": 0}, "hits": []}})


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """The first issue's code of an OperationOutcome."""
        assert self.body["resourceType"] == "OperationOutcome"
        return self.body["issue"][0]["code"]


@dataclass(frozen=True)
class Client:
    """A signed-in user."""

    token: str

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        from functions.api import handler

        path, _, query = path.partition("?")
        several: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            several.setdefault(name, []).append(value)
        sent = {"Host": "api.test", "Authorization": f"Bearer {self.token}", **(headers or {})}
        answer = handler.handler(
            {
                "httpMethod": method,
                "path": path,
                "headers": sent,
                "multiValueQueryStringParameters": several or None,
                "requestContext": {"path": f"/api{path}", "requestId": "r"},
                "body": body if isinstance(body, str | None) else json.dumps(body),
            },
            None,
        )
        return Reply(answer["statusCode"], answer["headers"], answer["body"])

    def get(self, path: str, **headers: str) -> Reply:
        return self.call("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def make(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        reply = self.call("POST", f"/{resource['resourceType']}", resource)
        assert reply.status == 201, reply.text
        return reply.body


@pytest.fixture
def client(tables: Any, pool: Issuer) -> Callable[..., Client]:
    """Makes users: `client()` is a practitioner, `client("admin", subject="a")` somebody else."""

    def sign_in(*groups: str, subject: str = "subject-1") -> Client:
        claims = {"cognito:groups": list(groups or ("practitioner",)), "cognito:username": subject}
        return Client(pool.token(sub=subject, **claims))

    return sign_in


@pytest.fixture
def api(client: Callable[..., Client]) -> Client:
    return client()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedEngine]:
    """Puts an engine with that script behind the API's searches."""
    from functions.search import view

    def scripted(*script: Answer) -> ScriptedEngine:
        made = ScriptedEngine(*script)
        monkeypatch.setattr(view, "engine", lambda: made)
        return made

    return scripted
