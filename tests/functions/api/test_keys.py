"""A key is disabled or taken away: clients are told to wait, and nothing is half written."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.api.conftest import EMPTY, Client
from tests.functions.conftest import CONTROL, OVERFLOW, VERSIONS
from tests.functions.key_outage import DENIED, DISABLED, DISABLED_IN_S3, KEY, answering
from tests.scripted_engine import ScriptedEngine

PATIENT = {"resourceType": "Patient", "name": [{"family": "Kept"}]}
LARGE = PATIENT | {"name": [{"text": secrets.token_hex(400_000)}]}


def transaction(*resources: dict[str, Any]) -> dict[str, Any]:
    request = {"method": "POST", "url": "Patient"}
    entries = [{"resource": resource, "request": request} for resource in resources]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def stored(tables: Any) -> dict[str, int]:
    """How much there is of everything."""
    from functions.shared.clients import s3

    counts = {name: tables.scan(TableName=name)["Count"] for name in (VERSIONS, CONTROL)}
    return counts | {OVERFLOW: s3().list_objects_v2(Bucket=OVERFLOW)["KeyCount"]}


def refused(reply: Any) -> None:
    assert (reply.status, reply.code) == (503, "transient"), reply.text
    assert reply.headers["Retry-After"] == "60"
    assert not any(inside in reply.text for inside in (KEY, "KMS", "kms", "Dynamo"))


@pytest.mark.parametrize("answer", [DENIED, DISABLED])
def test_without_the_tables_key_everything_waits_and_nothing_is_written(
    api: Client, tables: Any, engine: Callable[..., ScriptedEngine], answer: str
) -> None:
    known = api.make(PATIENT)
    place, before = f"/Patient/{known['id']}", stored(tables)
    engine(EMPTY)
    with answering(tables, answer):
        for method, path, body in (
            ("GET", place, None),
            ("GET", f"{place}/_history", None),
            ("POST", "/Patient", PATIENT),
            ("PUT", place, known | {"gender": "other"}),
            ("DELETE", place, None),
            ("POST", "/", transaction(PATIENT, PATIENT)),
        ):
            refused(api.call(method, path, body))
        batch = transaction(PATIENT) | {"type": "batch"}
        told = api.call("POST", "/", batch)
        assert (told.status, told.body["entry"][0]["response"]["status"][:3]) == (200, "503")
    assert stored(tables) == before
    assert api.get(place).body == known
    assert api.call("POST", "/", transaction(PATIENT, PATIENT)).status == 200


def test_without_the_buckets_key_large_bodies_wait_and_small_ones_go_on(
    api: Client, tables: Any
) -> None:
    from functions.shared.clients import s3

    large = api.make(LARGE)
    before = stored(tables)
    with answering(s3(), DISABLED_IN_S3, "PutObject", "GetObject"):
        refused(api.get(f"/Patient/{large['id']}"))
        refused(api.call("POST", "/Patient", LARGE))
        refused(api.call("POST", "/", transaction(PATIENT, LARGE)))
        assert stored(tables) == before
        assert api.make(PATIENT)
    assert api.get(f"/Patient/{large['id']}").body == large


def test_a_write_that_the_table_refused_can_be_sent_again(api: Client, tables: Any) -> None:
    """With the same key: there is one set, though the first try left a body in the bucket."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    before = stored(tables)[VERSIONS]
    with answering(tables, DENIED, "TransactWriteItems") as asked:
        refused(api.call("POST", "/", transaction(PATIENT, LARGE), key))
    assert asked == ["TransactWriteItems"], "botocore doesn't try what can't help"
    again = [api.call("POST", "/", transaction(PATIENT, LARGE), key) for _ in range(2)]
    assert [reply.status for reply in again] == [200, 200]
    assert len({entry["response"]["location"] for r in again for entry in r.body["entry"]}) == 2
    assert stored(tables)[VERSIONS] == before + 2


def test_the_log_names_the_call_and_the_key_but_no_data(
    api: Client, tables: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(tables, DENIED):
        api.call("POST", "/Patient", PATIENT)
    fields = vars(caplog.records[-1])["fields"]
    assert (fields["status"], fields["cause"]) == (503, "PutItem AccessDeniedException of a key")
    assert "Kept" not in str(fields)
