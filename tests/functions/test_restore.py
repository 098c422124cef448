"""Restoring: what was lost comes back, and nothing that was changed, erased or revoked since."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.functions.api.test_grants import consent
from tests.functions.conftest import CONTROL, OVERFLOW, VERSIONS
from tools.restore import Outcome, Tables, is_a_body, restore_objects

LATER = str(int(datetime(2999, 1, 1, tzinfo=UTC).timestamp()))


@pytest.fixture
def stack(tables: Any) -> Iterator[Any]:
    """Empty tables; the client."""
    yield tables
    for table in (VERSIONS, CONTROL):
        for item in tables.scan(TableName=table)["Items"]:
            sort = "version" if table == VERSIONS else "sk"
            tables.delete_item(TableName=table, Key={name: item[name] for name in ("pk", sort)})
    for name in tables.list_tables()["TableNames"]:
        if name not in (VERSIONS, CONTROL):
            tables.delete_table(TableName=name)


@pytest.fixture
def restored(stack: Any) -> Tables:
    return Tables(stack, VERSIONS, CONTROL, lambda key: pytest.fail(f"{key} isn't lost"))


def write(pk: str, *bodies: dict[str, Any] | None, first: int = 1, **members: Any) -> None:
    """Versions of a resource, one for each body; None deletes it."""
    from functions.shared import store
    from functions.shared.items import Version

    kind, _, resource_id = pk.partition("/")
    for number, body in enumerate(bodies, first):
        content = {"resourceType": kind, "id": resource_id} | (body or {})
        version = Version(
            pk,
            number,
            json.dumps(content).encode() if body is not None else b"",
            members.get("owner", "o"),
            f"2026-01-31T12:00:{number:02d}.000Z",
            deleted=body is None,
            erased=body is None and members.get("erased", False),
            dataset=members.get("dataset", ""),
        )
        if number == 1:
            store.create(version)
        else:
            store.append(version, revive=True)


def note(pk: str, sk: str, **attributes: Any) -> None:
    from functions.shared.clients import dynamodb

    dynamodb().put_item(TableName=CONTROL, Item={"pk": {"S": pk}, "sk": {"S": sk}, **attributes})


def content(client: Any, table: str) -> list[Any]:
    items = client.scan(TableName=table)["Items"]
    return sorted(items, key=lambda item: json.dumps(item, default=repr, sort_keys=True))


def copy(client: Any, table: str) -> str:
    """The table as it is now, under another name: what DynamoDB restores."""
    name = f"{table}-restored"
    arn = client.create_backup(TableName=table, BackupName="now")["BackupDetails"]["BackupArn"]
    client.restore_table_from_backup(TargetTableName=name, BackupArn=arn)
    return name


def lose(client: Any, table: str, *partitions: str) -> None:
    sort = "version" if table == VERSIONS else "sk"
    for item in client.scan(TableName=table)["Items"]:
        if item["pk"]["S"] in partitions or not partitions:
            client.delete_item(TableName=table, Key={name: item[name] for name in ("pk", sort)})


def test_everything_comes_back_and_a_second_time_changes_nothing(
    stack: Any, restored: Tables
) -> None:
    for number in range(20):
        write(f"Patient/p{number}", {"active": True}, {"active": False}, None)
    note("quota#o", "bytes", used={"N": "5"})
    note("idempotency#o", "gone", expires={"N": "1"})
    before = content(stack, VERSIONS), content(stack, CONTROL)
    versions, control = copy(stack, VERSIONS), copy(stack, CONTROL)
    lose(stack, VERSIONS)
    lose(stack, CONTROL)

    assert restored.restore_versions(versions) == Outcome(restored=60)
    outcome = restored.restore_control(control)
    again = restored.restore_versions(versions)

    assert (outcome.left_out, outcome.refused) == (1, [])
    assert again == Outcome(there=60)
    assert content(stack, VERSIONS) == before[0]
    kept = [item for item in before[1] if item["pk"]["S"] != "idempotency#o"]
    assert content(stack, CONTROL) == kept


def test_what_was_written_since_stays(stack: Any, restored: Tables) -> None:
    write("Patient/longer", {})
    write("Patient/other", {"active": True}, {"active": True})
    note("quota#o", "bytes", used={"N": "5"})
    versions, control = copy(stack, VERSIONS), copy(stack, CONTROL)
    write("Patient/longer", {"active": True}, first=2)
    lose(stack, VERSIONS, "Patient/other")
    write("Patient/other", {"active": False})
    note("quota#o", "bytes", used={"N": "9"})
    before = content(stack, VERSIONS), content(stack, CONTROL)

    outcome = restored.restore_versions(versions)
    restored.restore_control(control)

    assert outcome == Outcome(there=1, refused=["Patient/other"])
    assert (content(stack, VERSIONS), content(stack, CONTROL)) == before


@pytest.mark.parametrize("lost", [True, False], ids=["marker lost", "marker kept"])
def test_what_was_erased_stays_so(stack: Any, restored: Tables, *, lost: bool) -> None:
    write("Patient/erased", {"active": True}, None)
    if lost:
        write("Patient/erased", None, first=3, erased=True)
    versions = copy(stack, VERSIONS)
    lose(stack, VERSIONS)
    if not lost:
        stack.put_item(
            TableName=VERSIONS,
            Item={
                "pk": {"S": "Patient/erased"},
                "version": {"N": "3"},
                "deleted": {"BOOL": True},
                "erased": {"BOOL": True},
            },
        )

    outcome = restored.restore_versions(versions)

    assert outcome == Outcome(restored=int(lost), left_out=2)
    assert [item["version"]["N"] for item in content(stack, VERSIONS)] == ["3"]


def test_grants_follow_the_newest_consents(stack: Any, restored: Tables) -> None:
    from functions.shared import grants
    from functions.shared.identity import Identity

    write("DocumentReference/d", {"status": "current"})
    shared = consent("d", ("Practitioner", "jo"))
    for name in ("kept", "revoked", "later"):
        write(f"Consent/{name}", shared, dataset="d")
    restored.restore_decisions()
    stack.delete_item(TableName=CONTROL, Key={"pk": {"S": "grant#user#jo"}, "sk": {"S": "d#later"}})
    note("grant#subject#s", "d#kept", is_active={"BOOL": False}, start={"N": "0"},
         until={"N": "1"}, expires={"N": LATER})  # fmt: skip
    control = copy(stack, CONTROL)
    write("Consent/revoked", shared | {"status": "inactive"}, first=2, dataset="d")
    lose(stack, CONTROL)

    outcome = restored.restore_control(control)
    restored.restore_decisions()

    assert outcome.left_out == 3, "two grants and a state: they follow from the versions"
    reach = grants.reach(Identity("s", "jo", frozenset()))
    assert reach.grounds == {"d": ("kept", "later")}
    write("DocumentReference/d", {"status": "superseded"}, first=2)
    restored.restore_decisions()
    assert not grants.reach(Identity("s", "jo", frozenset())).datasets


def test_a_log_of_evidence_is_whole_again_or_left_alone(stack: Any, restored: Tables) -> None:
    from functions.shared import evidence, store
    from functions.shared.evidence import Event

    def append(dataset: str, user: str) -> None:
        event = Event(dataset, "read", "s", user, "2026-01-31T12:00:00.000Z")
        evidence.recorded([event], lambda actions: store.write_all([], actions))

    for dataset in ("cut", "forged", "longer"):
        append(dataset, "a")
        append(dataset, "b")
    control = copy(stack, CONTROL)
    before = {name: list(evidence.lines(name)) for name in ("cut", "forged", "longer")}
    for key in ("0000000002", "head"):
        key = {"pk": {"S": "evidence#cut"}, "sk": {"S": key}}
        stack.delete_item(TableName=CONTROL, Key=key)
    lose(stack, CONTROL, "evidence#forged")
    append("forged", "somebody else")
    append("longer", "c")

    outcome = restored.restore_control(control)

    assert outcome.refused == ["evidence#forged"]
    assert list(evidence.lines("cut")) == before["cut"]
    append("cut", "c")
    assert len(list(evidence.lines("cut"))) == len(list(evidence.lines("longer"))) == 3
    assert len(list(evidence.lines("forged"))) == 1


def test_bodies_that_versions_count_on_are_readable_again(stack: Any) -> None:
    from functions.shared import store
    from functions.shared.clients import s3

    s3().put_bucket_versioning(Bucket=OVERFLOW, VersioningConfiguration={"Status": "Enabled"})
    write("Patient/large", {"text": {"div": os.urandom(400_000).hex()}})
    [key] = [found["Key"] for found in s3().list_objects_v2(Bucket=OVERFLOW)["Contents"]]
    s3().put_object(Bucket=OVERFLOW, Key="Patient/large/2-stray", Body=b"x")
    for doomed in (key, "Patient/large/2-stray"):
        s3().delete_object(Bucket=OVERFLOW, Key=doomed)

    brought: list[str] = []
    source = copy(stack, VERSIONS)
    lose(stack, VERSIONS)
    Tables(stack, VERSIONS, CONTROL, brought.append).restore_versions(source)
    assert brought == [key], "before its version, for which the index reads it"
    assert restore_objects(s3(), OVERFLOW, is_a_body) == 1

    assert [found["Key"] for found in s3().list_objects_v2(Bucket=OVERFLOW)["Contents"]] == [key]
    found = store.latest("Patient/large")
    assert found is not None
    assert found.body
