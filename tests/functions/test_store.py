"""The append-only log: conditions, lost answers, conflicts, large bodies."""

import json
import os
import uuid
import zlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.shared import clients, items, store, transactions
from functions.shared.errors import FhirError
from functions.shared.items import Version
from functions.shared.store import ActionRefused, Stale
from tests.functions.conftest import CONTROL, OVERFLOW

pytestmark = pytest.mark.usefixtures("tables")

LARGE = os.urandom(items.OVERFLOW_BYTES + 1)


def first(body: bytes = b'{"a":1}', **changed: Any) -> Version:
    pk = f"Patient/{uuid.uuid4()}"
    return replace(Version(pk, 1, body, "owner", "2026-01-31T12:00:00.000Z"), **changed)


def following(version: Version, **changed: Any) -> Version:
    return replace(version, version=version.version + 1, nonce="", **changed)


def stored_bodies(pk: str) -> list[str]:
    found = clients.s3().list_objects_v2(Bucket=OVERFLOW, Prefix=pk).get("Contents", [])
    return [item["Key"] for item in found]


class Interposed:
    """The real client, but for the calls that a test replaces."""

    def __init__(self, real: Any, **replaced: Callable[..., Any]) -> None:
        self._real = real
        self.__dict__ |= replaced

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def interpose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces calls of a client that the store uses: `interpose("dynamodb", put_item=...)`."""

    def replace_calls(client: str, **calls: Callable[..., Any]) -> None:
        user = items if client == "s3" else store
        interposed = Interposed(getattr(clients, client)(), **calls)
        monkeypatch.setattr(user, client, lambda: interposed)

    return replace_calls


def cancelled(*codes: str) -> ClientError:
    error = {"Code": "TransactionCanceledException"}
    reasons = [{"Code": code} for code in codes]
    return ClientError({"Error": error, "CancellationReasons": reasons}, "TransactWriteItems")


def test_what_is_written_is_read(tables: Any) -> None:
    one = first(owner="jo", dataset="d")
    two = following(one, body=b'{"a":2}')
    store.create(one)
    store.append(two)

    assert replace(store.read(one.pk, 1) or two, nonce="") == one
    assert replace(store.latest(one.pk) or one, nonce="") == two
    assert (store.latest(one.pk, body=False) or one).body == b""
    assert store.read(one.pk, 3) is None
    assert store.latest("Patient/unknown") is None
    item = tables.get_item(TableName="versions", Key=items.key_of(one.pk, 1))["Item"]
    assert item.keys() == {
        "pk", "version", "body", "owner", "dataset", "updated", "nonce", "shard",
    }  # fmt: skip
    assert item["shard"]["S"] == items.shard_of(one.pk)


def test_an_id_is_given_once() -> None:
    one = first()
    store.create(one)
    with pytest.raises(FhirError) as refused:
        store.create(replace(one, body=b"{}"))
    assert refused.value.status == 409
    assert (store.latest(one.pk) or one).body == one.body


def test_only_the_latest_version_gets_a_successor() -> None:
    one = first()
    store.create(one)
    store.append(following(one, body=b'{"by":"the winner"}'))

    for late in (following(one), replace(one, version=4), first(version=2)):
        with pytest.raises(Stale) as refused:
            store.append(late)
        assert refused.value.status == 412
    assert (store.latest(one.pk) or one).body == b'{"by":"the winner"}'


def test_a_deleted_resource_only_comes_back_on_purpose_and_an_erased_one_never() -> None:
    one = first()
    store.create(one)
    store.append(dead := following(one, body=b"", deleted=True))
    found = store.latest(one.pk)
    assert found is not None
    assert found.deleted

    with pytest.raises(FhirError) as refused:
        store.append(following(dead, body=b"{}", deleted=False))
    assert refused.value.status == 410

    store.append(alive := following(dead, body=b"{}", deleted=False), revive=True)
    store.append(gone := following(alive, body=b"", deleted=True, erased=True))
    for revive in (False, True):
        with pytest.raises(FhirError) as refused:
            store.append(following(gone, body=b"{}", deleted=False, erased=False), revive=revive)
        assert refused.value.status == 410


def test_a_retry_whose_first_answer_was_lost_knows_its_own_item(
    tables: Any, interpose: Callable[..., None]
) -> None:
    """What botocore does on a lost answer: the same call again."""

    def twice(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(**arguments: Any) -> Any:
            call(**arguments)
            arguments.pop("ClientRequestToken", None)  # moto would know it again by that
            return call(**arguments)

        return run

    interpose(
        "dynamodb",
        put_item=twice(tables.put_item),
        transact_write_items=twice(tables.transact_write_items),
    )
    one = first(LARGE)
    store.create(one)
    store.append(two := following(one))

    assert (store.latest(one.pk) or one).version == two.version
    assert len(stored_bodies(one.pk)) == 2


def test_transactions_in_each_others_way_are_tried_again(
    tables: Any, interpose: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(transactions.time, "sleep", waits.append)
    conflicts = [cancelled("TransactionConflict", "None")] * 3

    def transact(**arguments: Any) -> None:
        if conflicts:
            raise conflicts.pop()
        tables.transact_write_items(**arguments)

    one = first()
    store.create(one)
    interpose("dynamodb", transact_write_items=transact)
    store.append(following(one))

    assert (store.latest(one.pk) or one).version == 2
    assert len(waits) == 3
    assert sum(waits) < 1


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        (["None", "TransactionConflict"], 409),
        (["ThrottlingError", "None"], 429),
        (["TransactionConflict", "ProvisionedThroughputExceeded"], 429),
    ],
)
def test_a_transaction_that_cannot_run_leaves_nothing(
    interpose: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    codes: list[str],
    status: int,
) -> None:
    def transact(**arguments: Any) -> None:
        raise cancelled(*codes)

    monkeypatch.setattr(transactions.time, "sleep", lambda seconds: None)
    one = first(LARGE)
    store.create(one)
    interpose("dynamodb", transact_write_items=transact)

    with pytest.raises(FhirError) as failed:
        store.append(following(one))

    assert failed.value.status == status
    assert len(stored_bodies(one.pk)) == 1


def test_large_bodies_go_to_the_bucket_and_losers_leave_none(tables: Any) -> None:
    one = first(LARGE)
    store.create(one)
    item = tables.get_item(TableName="versions", Key=items.key_of(one.pk, 1))["Item"]
    assert "body" not in item
    assert stored_bodies(one.pk) == [item["overflow"]["S"]]
    assert (store.latest(one.pk) or one).body == LARGE

    for write in (lambda: store.create(one), lambda: store.append(replace(one, version=5))):
        with pytest.raises(FhirError):
            write()
    assert len(stored_bodies(one.pk)) == 1


def test_a_body_that_cannot_be_removed_does_not_hide_the_refusal(
    interpose: Callable[..., None],
) -> None:
    def fail(**arguments: Any) -> None:
        raise ConnectionError

    one = first(LARGE)
    store.create(one)
    interpose("s3", delete_object=fail)

    with pytest.raises(Stale):
        store.append(replace(one, version=5))


def test_more_actions_stand_or_fall_with_the_version(tables: Any) -> None:
    guard = {"pk": {"S": f"guard#{uuid.uuid4()}"}, "sk": {"S": "1"}}
    action = {
        "Put": {
            "TableName": CONTROL,
            "Item": guard,
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }
    store.create(one := first(), [action])
    assert "Item" in tables.get_item(TableName=CONTROL, Key=guard)

    other = first(LARGE)
    for write in (
        lambda: store.create(other, [action]),
        lambda: store.append(following(one, body=LARGE), [action]),
    ):
        with pytest.raises(ActionRefused) as refused:
            write()
        assert refused.value.index == 0
        assert refused.value.item == guard
    assert store.latest(other.pk) is None
    assert stored_bodies(other.pk) == stored_bodies(one.pk) == []
    with pytest.raises(FhirError) as refused_id:
        store.create(one, [{"Delete": {"TableName": CONTROL, "Key": guard}}])
    assert refused_id.value.status == 409
    assert "Item" in tables.get_item(TableName=CONTROL, Key=guard)


def test_many_are_read_in_order_and_only_as_far_as_needed(
    tables: Any, interpose: Callable[..., None]
) -> None:
    versions = [first(json.dumps({"n": number}).encode()) for number in range(5)]
    large = first(LARGE)
    for version in (*versions, large):
        store.create(version)
    keys = [(version.pk, 1) for version in versions]
    calls: list[int] = []

    def half(**arguments: Any) -> Any:
        """DynamoDB leaves out what goes beyond 16 MB."""
        (wanted,) = arguments["RequestItems"].values()
        calls.append(len(wanted["Keys"]))
        now, later = wanted["Keys"][:2], wanted["Keys"][2:]
        answer = tables.batch_get_item(RequestItems={"versions": {**wanted, "Keys": now}})
        left = {"versions": {**wanted, "Keys": later}} if later else {}
        return answer | {"UnprocessedKeys": left}

    def get_object(**arguments: Any) -> Any:
        raise AssertionError("nobody asked for this body")

    interpose("dynamodb", batch_get_item=half)
    interpose("s3", get_object=get_object)
    asked = [keys[3], ("Patient/unknown", 1), keys[1], keys[3], keys[0], (large.pk, 1)]
    found = store.read_many(asked)

    assert [next(found).body for _ in range(3)] == [versions[n].body for n in (3, 1, 0)]
    assert calls == [5, 3, 1]


def test_items_are_read_as_streams_give_them() -> None:
    image = {
        "pk": {"S": "Patient/1"},
        "version": {"N": "7"},
        "body": {"B": b64encode(zlib.compress(b"{}")).decode()},
        "updated": {"S": "2026-01-01T00:00:00.000Z"},
    }
    assert items.version_of(image) == Version("Patient/1", 7, b"{}", "", "2026-01-01T00:00:00.000Z")


def test_resources_spread_over_the_shards_of_their_type() -> None:
    shards = {items.shard_of(f"Patient/{number}") for number in range(200)}
    assert shards == {f"Patient#{number}" for number in range(items.SHARDS)}
