"""The index rebuilt, repaired and redriven from the table, while the platform is in use."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.e2e.aws import aws, run
from tests.e2e.fhir import found

Keeper = Callable[..., str]


@pytest.fixture
def keeper(stack: dict[str, Any]) -> Keeper:
    """Runs the command with an operation; what it printed."""
    outputs = stack["outputs"]
    functions = [
        *("--keeper", outputs["index_keeper_function_name"]),
        *("--admin", outputs["index_admin_function_name"]),
    ]
    region = {"AWS_DEFAULT_REGION": stack["region"]}
    return lambda operation: run(stack, "functions.index_keeper", operation, *functions, **region)


def patient(api: Any, name: str) -> str:
    made = api.post("/Patient", json={"resourceType": "Patient", "name": [{"family": name}]})
    assert made.status_code == 201, made.text
    return made.json()["id"]


def indices(stack: dict[str, Any]) -> list[str]:
    return list(requests.get(f"{stack['search_url']}/_alias/resources", timeout=10).json())


def test_reindex_while_others_write_and_search(
    stack: dict[str, Any],
    client: Callable[..., Any],
    eventually: Callable[..., None],
    keeper: Keeper,
) -> None:
    api, name = client("practitioner"), f"Reindex{uuid.uuid4().hex}"
    written = [patient(api, name) for _ in range(5)]
    eventually(lambda: sorted(found(api, f"/Patient?family={name}")) == sorted(written))
    before, ended = indices(stack), threading.Event()
    searches: list[bool] = []

    def use() -> None:
        own = client("practitioner")
        while not ended.is_set():
            written.append(patient(own, name))
            searches.append(
                set(written[:5]) <= set(found(own, f"/Patient?family={name}&_count=999"))
            )

    user = threading.Thread(target=use)
    user.start()
    try:
        told = keeper("reindex")
    finally:
        ended.set()
        user.join()
    assert all(searches), "a search missed what was there before"
    assert searches
    assert indices(stack) != before
    assert f"from {before[0]}" in told
    eventually(lambda: sorted(found(api, f"/Patient?family={name}&_count=999")) == sorted(written))


def test_reconcile_repairs_what_the_index_lacks(
    stack: dict[str, Any],
    client: Callable[..., Any],
    eventually: Callable[..., None],
    keeper: Keeper,
) -> None:
    """All of it, here: searches are switched to an index that nothing was copied to."""
    api, name = client("practitioner"), f"Reconcile{uuid.uuid4().hex}"
    made = patient(api, name)
    eventually(lambda: found(api, f"/Patient?family={name}") == [made])
    admin = aws(stack, "lambda")
    for step in (b'{"operation": "begin"}', b'{"operation": "switch"}'):
        function = stack["outputs"]["index_admin_function_name"]
        assert "FunctionError" not in admin.invoke(FunctionName=function, Payload=step)
    assert found(api, f"/Patient?family={name}") == []
    keeper("reconcile")
    eventually(lambda: found(api, f"/Patient?family={name}") == [made])
    assert " 0 written" in keeper("reconcile").splitlines()[-1]


def test_redrive_empties_the_quarantine_of_what_can_be_indexed(
    stack: dict[str, Any], client: Callable[..., Any], keeper: Keeper
) -> None:
    made = patient(client("practitioner"), "Redrive")
    dynamodb = aws(stack, "dynamodb")
    key = {"pk": {"S": "quarantine"}, "sk": {"S": f"Patient/{made}#1"}}
    control = stack["outputs"]["control_table_name"]
    dynamodb.put_item(TableName=control, Item={**key, "reason": {"S": "the engine was wrong"}})
    keeper("redrive")
    assert "Item" not in dynamodb.get_item(TableName=control, Key=key)
