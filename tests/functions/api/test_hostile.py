"""Nothing that a client sends makes the server fail."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.api import bundles
from tests.functions.api.conftest import EMPTY, Client
from tests.scripted_engine import ScriptedEngine

TEXT = st.text(max_size=12)
SEGMENTS = TEXT | st.sampled_from(
    ["Patient", "Observation", "_history", "_search", "1", "$validate", "..", "%2f", "metadata", ""]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["If-Match", "If-None-Match", "If-Modified-Since", "Prefer", "Accept", "Content-Type",
         "Host", "X-Forwarded-Host", "If-None-Exist"]
    ),
    TEXT
    | st.sampled_from(
        ['W/"1"', "*", "application/json", "return=minimal", "application/x-www-form-urlencoded",
         "Mon, 01 Jan 2001 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +9999", ",;=", '"']
    ),
    max_size=3,
)  # fmt: skip
QUERIES = st.dictionaries(
    TEXT | st.sampled_from(["name", "_sort", "_count", "_cursor", "_type", "_format", "birthdate"]),
    st.lists(TEXT | st.sampled_from(["2026", "-1", "json", "Patient"]), max_size=2),
    max_size=2,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
RESOURCES = st.dictionaries(
    st.sampled_from(["id", "meta", "name", "birthDate", "contained", "text", "_name", "extension"]),
    VALUES,
    max_size=3,
).map(lambda members: json.dumps({"resourceType": "Patient", **members}))
PROFILE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def send(api: Client, engine: Callable[..., ScriptedEngine]) -> Callable[[dict[str, Any]], int]:
    """The status of the answer to an event, which is an outcome when it is an error."""
    from functions.api import handler

    scripted = engine()

    def run(event: dict[str, Any]) -> int:
        scripted.script[:] = [EMPTY] * 9
        event["headers"] = {"Authorization": api.token, **(event.get("headers") or {})}
        answer = handler.handler(event, None)
        assert answer["statusCode"] < 500, event
        assert '"status":"5' not in answer["body"], event  # of a batch's entries
        if answer["statusCode"] >= 400 and event.get("httpMethod") != "HEAD":
            assert json.loads(answer["body"])["resourceType"] == "OperationOutcome"
        assert not any("\n" in value or "\r" in value for value in answer["headers"].values())
        return answer["statusCode"]

    return run


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE"]),
    segments=st.lists(SEGMENTS, max_size=5),
    headers=HEADERS,
    query=QUERIES | st.none(),
    body=st.none() | TEXT | RESOURCES,
    encoded=st.booleans(),
)
@PROFILE
def test_any_event(
    send: Callable[[dict[str, Any]], int],
    method: str,
    segments: list[str],
    headers: dict[str, str],
    query: dict[str, list[str]] | None,
    body: str | None,
    encoded: bool,
) -> None:
    path = "/" + "/".join(segments)
    send(
        {
            "httpMethod": method,
            "path": path,
            "headers": headers,
            "multiValueQueryStringParameters": query,
            "requestContext": {"path": f"/api{path}", "requestId": "r"},
            "body": body,
            "isBase64Encoded": encoded,
        }
    )


@given(body=RESOURCES)
@PROFILE
def test_any_resource(send: Callable[[dict[str, Any]], int], body: str) -> None:
    assert send({"httpMethod": "POST", "path": "/Patient", "body": body}) in (201, 400)


REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]) | VALUES,
        "url": st.sampled_from(
            ["Patient", "Patient/1", "/Patient?name=x", "Patient/1/_history", "_history", "", "//a",
             "Patient/$validate", "Binary/1", "Patient?%FF=1", "http://[", "metadata"]
        )
        | VALUES,
        "ifMatch": st.sampled_from(['W/"1"', "x"]) | VALUES,
        "ifNoneExist": st.sampled_from(["name=x", ""]) | VALUES,
        "ifModifiedSince": VALUES,
    },
)  # fmt: skip
LINKS = st.sampled_from(["urn:uuid:1", "Patient?name=x", "Patient/1", "Patient?", "a?b", ""])
ENTRIES = VALUES | st.fixed_dictionaries(
    {"request": REQUESTS | VALUES},
    optional={
        "fullUrl": LINKS | VALUES,
        "resource": VALUES
        | st.fixed_dictionaries(
            {"resourceType": st.sampled_from(["Patient", "Binary", "Nonsense"])},
            optional={
                "managingOrganization": VALUES | st.fixed_dictionaries({"reference": LINKS}),
                "text": VALUES,
                "id": VALUES,
                "meta": VALUES,
                "contained": VALUES,
                "data": VALUES,
                "contentType": VALUES | st.just("application/json-patch+json"),
            },
        ),
    },
)


@given(
    kind=st.sampled_from(["batch", "transaction"]),
    entries=VALUES | st.lists(ENTRIES, max_size=3),
    key=st.none() | TEXT,
)
@PROFILE
def test_any_bundle(
    send: Callable[[dict[str, Any]], int],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    entries: Any,
    key: str | None,
) -> None:
    monkeypatch.setattr(bundles, "_PARALLEL", 1)  # moto isn't safe for more
    body = json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries})
    headers = {"Idempotency-Key": key} if key is not None else {}
    send({"httpMethod": "POST", "path": "/", "headers": headers, "body": body})


def test_damaged_resources(send: Callable[[dict[str, Any]], int]) -> None:
    """Single bytes of a good resource replaced: what is stored must still be one."""
    body = json.dumps(
        {
            "resourceType": "Patient",
            "name": [{"family": "Müller", "given": ["A", None], "_given": [None, {"id": "x"}]}],
            "multipleBirthInteger": 2,
            "birthDate": "2000-02-29",
        }
    )
    choose = random.Random(5)  # noqa: S311
    statuses = set()
    for _ in range(60):
        place = choose.randrange(len(body))
        damaged = body[:place] + choose.choice('"{}[],:\\0e-\x00\ud800é') + body[place + 1 :]
        statuses.add(send({"httpMethod": "POST", "path": "/Patient", "body": damaged}))
    assert statuses == {201, 400}
