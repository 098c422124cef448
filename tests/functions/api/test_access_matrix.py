"""Every cell of group × interaction × type × owner, through the handler and in bundles.

The engine of these searches is a hostile one: it always finds the resource, whoever asks.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from functions.api import writes
from functions.shared import store
from tests.functions.api.conftest import Client, Reply
from tests.scripted_engine import Answer, ScriptedEngine
from tests.unit.shared.test_access import EXPECTED, PRIVATE

ME, SOMEBODY = "me", "somebody"
RESOURCES: dict[str, dict[str, Any]] = {
    "Patient": {"active": True},
    "Claim": {
        "status": "active",
        "use": "claim",
        "type": {"text": "t"},
        "patient": {"reference": "Patient/1"},
        "created": "2026-01-01",
        "provider": {"display": "p"},
        "priority": {"text": "p"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/1"}}],
    },
    "ResearchStudy": {"status": "active"},
    "DocumentReference": {
        "status": "current",
        "content": [{"attachment": {"contentType": "text/csv"}}],
    },
}
PATCH = [{"op": "add", "path": "/language", "value": "de"}]


class Cell(NamedTuple):
    """What is done to a resource."""

    operation: str
    """The operation that the rules must allow the group on the type."""
    method: str
    path: str
    owned: bool = True
    """Whether it concerns one resource, and so its owner matters for private types."""
    body: Any = None
    """`True` for the resource itself."""


CELLS = (
    Cell("read", "GET", "/{type}/{id}"),
    Cell("read", "HEAD", "/{type}/{id}"),
    Cell("vread", "GET", "/{type}/{id}/_history/1"),
    Cell("history", "GET", "/{type}/{id}/_history"),
    Cell("create", "POST", "/{type}", owned=False, body=True),
    Cell("update", "PUT", "/{type}/{id}", body=True),
    Cell("patch", "PATCH", "/{type}/{id}", body=PATCH),
    Cell("delete", "DELETE", "/{type}/{id}"),
)
IN_BUNDLES = tuple(
    c for c in CELLS if c.method not in ("HEAD", "PATCH") and "_history" not in c.path
)


def stored(resource_type: str, owner: str) -> dict[str, Any]:
    """A new resource of somebody, past the API."""
    resource = {"resourceType": resource_type, **RESOURCES[resource_type]}
    version = writes.draft(
        resource, str(uuid.uuid4()), 1, owner if resource_type in PRIVATE else ""
    )
    store.create(version)
    return json.loads(version.body or b"")


def versions_of(resource: dict[str, Any]) -> int:
    latest = store.latest(f"{resource['resourceType']}/{resource['id']}")
    return latest.version if latest else 0


def found(resource: dict[str, Any]) -> Answer:
    """What a hostile engine answers."""
    pk = f"{resource['resourceType']}/{resource['id']}"
    return 200, {
        "hits": {"total": {"value": 1}, "hits": [{"_id": pk, "_version": 1, "sort": [pk]}]}
    }


def may(group: str, operation: str, resource_type: str, owner: str = ME) -> bool:
    operations, types = EXPECTED[group]
    return (
        operation in operations
        and resource_type in types
        and (resource_type not in PRIVATE or owner == ME or group == "admin")
    )


def agrees(status: int, expected: bool) -> bool:
    """Whether it was done as expected, or refused as what isn't allowed."""
    return status < 400 if expected else status == 403


def asked(user: Client, cell: Cell, resource: dict[str, Any]) -> Reply:
    path = cell.path.format(type=resource["resourceType"], id=resource["id"])
    headers = {"Content-Type": "application/json-patch+json"} if cell.method == "PATCH" else None
    return user.call(cell.method, path, resource if cell.body is True else cell.body, headers)


def entry(cell: Cell, resource: dict[str, Any]) -> dict[str, Any]:
    url = cell.path.format(type=resource["resourceType"], id=resource["id"])[1:]
    return {
        "request": {"method": cell.method, "url": url},
        **({"resource": resource} if cell.body is True else {}),
    }


each_group_and_type = pytest.mark.parametrize(
    ("group", "resource_type"), [(group, type_) for group in EXPECTED for type_ in RESOURCES]
)


@each_group_and_type
def test_each_interaction(client: Callable[..., Client], group: str, resource_type: str) -> None:
    user, wrong = client(group, subject=ME), []
    for owner in (ME, SOMEBODY):
        for cell in CELLS:
            reply = asked(user, cell, stored(resource_type, owner))
            expected = may(group, cell.operation, resource_type, owner if cell.owned else ME)
            if not agrees(reply.status, expected):
                wrong.append((owner, cell.method, cell.path, reply.status))
    assert not wrong


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@each_group_and_type
def test_each_entry_of_a_bundle(
    client: Callable[..., Client], group: str, resource_type: str, kind: str
) -> None:
    user, wrong = client(group, subject=ME), []
    for owner in (ME, SOMEBODY):
        for cell in IN_BUNDLES:
            resource = stored(resource_type, owner)
            bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry(cell, resource)]}
            reply = user.call("POST", "/", bundle)
            if reply.status == 200:
                [answer] = reply.body["entry"]
                status = int(answer["response"]["status"][:3])
            else:  # a transaction is refused as a whole
                assert kind == "transaction", reply.text
                status = reply.status
            expected = may(group, cell.operation, resource_type, owner if cell.owned else ME)
            if not agrees(status, expected):
                wrong.append((owner, cell.method, cell.path, status))
            if not expected:
                assert versions_of(resource) == 1
    assert not wrong


@each_group_and_type
def test_each_way_to_search(
    client: Callable[..., Client],
    engine: Callable[..., ScriptedEngine],
    group: str,
    resource_type: str,
) -> None:
    user = client(group, subject=ME)
    for owner in (ME, SOMEBODY):
        resource = stored(resource_type, owner)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for method, path, body, headers in (
            ("GET", f"/{resource_type}?_id={resource['id']}", None, None),
            ("POST", f"/{resource_type}/_search", f"_id={resource['id']}", form),
        ):
            engine(*[found(resource)] * 5)
            reply = user.call(method, path, body, headers)
            if not may(group, "search", resource_type):
                assert reply.status == 403, (owner, method, reply.text)
                continue
            assert reply.status == 200, reply.text
            shown = [e["resource"]["id"] for e in reply.body.get("entry", [])]
            visible = may(group, "search", resource_type, owner)
            assert shown == ([resource["id"]] if visible else []), (owner, method)


@each_group_and_type
def test_each_write_by_criteria(
    client: Callable[..., Client],
    engine: Callable[..., ScriptedEngine],
    group: str,
    resource_type: str,
) -> None:
    user = client(group, subject=ME)
    for owner in (ME, SOMEBODY):
        for operation, method in (("update", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")):
            resource = stored(resource_type, owner)
            cell = Cell(
                operation,
                method,
                "/{type}?_id={id}",
                body={"PUT": True, "PATCH": PATCH, "DELETE": None}[method],
            )
            engine(*[found(resource)] * 5)
            reply = asked(user, cell, resource)
            expected = may(group, operation, resource_type, owner) and may(
                group, "search", resource_type, owner
            )
            assert (reply.status < 400) is expected, (owner, method, reply.text)
            assert versions_of(resource) == (2 if expected else 1), (owner, method)
