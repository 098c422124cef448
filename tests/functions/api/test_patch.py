"""JSON Patch through the handler: what it changes, what it refuses, and what it keeps."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.api.json_patch import JSON_PATCH, MAX_OPERATIONS
from tests.functions.api.conftest import Client, Reply

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt", "given": ["Jo"]}]}


@pytest.fixture
def send(api: Client) -> Callable[..., Reply]:
    def run(path: str, operations: object, **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return api.call(
            "PATCH",
            path,
            operations if isinstance(operations, str) else json.dumps(operations),
            {"Content-Type": JSON_PATCH, **sent},
        )

    return run


@pytest.fixture
def path(api: Client) -> str:
    return f"/Patient/{api.make(PATIENT)['id']}"


def test_operations_make_the_next_version(
    api: Client, path: str, send: Callable[..., Reply]
) -> None:
    reply = send(
        path,
        [
            {"op": "test", "path": "/name/0/family", "value": "Schmidt"},
            {"op": "add", "path": "/name/0/given/-", "value": "Anna"},
            {"op": "copy", "from": "/name/0", "path": "/name/-"},
            {"op": "replace", "path": "/name/1/family", "value": "Meyer"},
            {"op": "move", "from": "/name/0", "path": "/name/1"},
            {"op": "remove", "path": "/name/0/given/0"},
            {"op": "add", "path": "/active", "value": True},
        ],
        If_Match='W/"1"',
    )
    assert (reply.status, reply.headers["ETag"]) == (200, 'W/"2"')
    assert reply.body["name"] == [
        {"family": "Meyer", "given": ["Anna"]},
        {"family": "Schmidt", "given": ["Jo", "Anna"]},
    ]
    assert reply.body["active"] is True
    assert reply.body["meta"]["versionId"] == "2"
    assert api.get(path).text == reply.text
    minimal = send(path, [{"op": "remove", "path": "/active"}], Prefer="return=minimal")
    assert (minimal.status, minimal.text, minimal.headers["ETag"]) == (200, "", 'W/"3"')


def test_numbers_keep_their_text(api: Client, send: Callable[..., Reply]) -> None:
    value = '"valueQuantity":{"value":1.10}'
    body = '{"resourceType":"Observation","status":"final","code":{"text":"x"},' + value + "}"
    made = api.call("POST", "/Observation", body)
    operations = (
        '[{"op":"test","path":"/valueQuantity/value","value":1.1},'
        '{"op":"add","path":"/referenceRange","value":[{"low":{"value":2.50}}]}]'
    )
    reply = send(f"/Observation/{made.body['id']}", operations)
    assert value in reply.text
    assert '"low":{"value":2.50}' in reply.text


@pytest.mark.parametrize(
    ("operations", "status", "code"),
    [
        ("", 400, "structure"),
        ("{}", 400, "structure"),
        ("[1]", 400, "structure"),
        ('[{"op":"add","path":"/active","value":true', 400, "structure"),
        ([{"op": "append", "path": "/id", "value": "x"}], 400, "structure"),
        ([{"op": "add", "path": "/active"}], 400, "structure"),
        ([{"op": ["add"], "path": "/active", "value": 1}], 400, "structure"),
        ([{"op": "test", "path": "/active", "value": True}], 422, "processing"),
        ([{"op": "remove", "path": "/active"}], 422, "processing"),
        ([{"op": "remove", "path": ""}], 422, "processing"),
        ([{"op": "add", "path": "/name/7", "value": {}}], 422, "processing"),
        ([{"op": "replace", "path": "/id", "value": "other"}], 422, "processing"),
        ([{"op": "replace", "path": "", "value": []}], 422, "processing"),
        ([{"op": "replace", "path": "/resourceType", "value": "Person"}], 422, "processing"),
        ([{"op": "add", "path": "/meta", "value": 1}], 400, "structure"),
        ([{"op": "add", "path": "/birthDate", "value": "tomorrow"}], 400, "value"),
        ([{"op": "test", "path": "/id", "value": 1}] * (MAX_OPERATIONS + 1), 422, "too-costly"),
        (
            [{"op": "add", "path": "/name/-", "value": "x" * 1000}]
            + [{"op": "copy", "from": "/name", "path": "/name/-"}] * 100,
            413,
            "too-long",
        ),
    ],
)
def test_a_patch_that_cannot_be_done_changes_nothing(
    api: Client,
    path: str,
    send: Callable[..., Reply],
    operations: object,
    status: int,
    code: str,
) -> None:
    reply = send(path, operations)
    assert (reply.status, reply.code) == (status, code), reply.text
    assert api.get(path).headers["ETag"] == 'W/"1"'


def test_what_is_patched_must_be_there_and_be_the_version_that_is_meant(
    api: Client, path: str, send: Callable[..., Reply]
) -> None:
    operations = [{"op": "add", "path": "/active", "value": True}]
    assert send("/Patient/unknown", operations).status == 404
    other = api.call("PATCH", path, "[]", {"Content-Type": "application/xml-patch+xml"})
    assert (other.status, other.headers["Accept-Patch"]) == (415, JSON_PATCH)
    assert send(path, operations).status == 200
    assert send(path, operations, If_Match='W/"1"').status == 412
    assert send("/Binary/1", operations).status == 405
    api.call("DELETE", path)
    for condition in ({}, {"If_Match": 'W/"2"'}):
        assert send(path, operations, **condition).status == 410


def test_only_those_who_may_update_patch(client: Callable[..., Client]) -> None:
    owner = client("data-owner", subject="owner")
    made = owner.make(
        {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {}}]}
        | {"content": [{"attachment": {"title": "x"}}]}
    )
    path = f"/DocumentReference/{made['id']}"
    for user in (client("practitioner", subject="other"), client("auditor")):
        reply = user.call("PATCH", path, "[]", {"Content-Type": JSON_PATCH})
        assert (reply.status, reply.code) == (403, "forbidden")
    assert owner.call("PATCH", path, "[]", {"Content-Type": JSON_PATCH}).status == 200


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
POINTERS = VALUES | st.sampled_from(
    ["", "/", "/name", "/name/0", "/name/-", "/name/0/family/x", "/name/01", "/~2", "/id/0", "x"]
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | VALUES,
            "path": POINTERS,
            "from": POINTERS,
            "value": VALUES,
        },
    ),
    max_size=3,
)


@given(operations=OPERATIONS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_patch(path: str, send: Callable[..., Reply], operations: list[Any]) -> None:
    assert send(path, operations).status in (200, 400, 422)
