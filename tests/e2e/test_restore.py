"""What a stack lost is restored: its tables as DynamoDB keeps them, its objects, and the index."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from cli.evidence import verify
from tests.e2e.aws import aws, run
from tests.e2e.fhir import found
from tests.functions.api.test_grants import DATASET, consent

CONTENT = b"a,b\n1,2\n"
LARGE = "x" * 2_000_000
Restore = Callable[..., str]


@pytest.fixture
def restore(stack: dict[str, Any], tmp_path: Path) -> Restore:
    """Runs the command; what it printed."""
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(stack["outputs"]))

    return lambda *words: run(stack, "tools.restore", *words, "--stack", str(file))


class Written:
    """Everything of one owner: a dataset with a file, shared twice, a patient, a large body."""

    def __init__(self, client: Callable[[str], Any], reader: str, eventually: Any) -> None:
        self.owner, self.doctor = client("data-owner"), client("practitioner")
        self.name = f"Lost{uuid.uuid4().hex}"
        self.dataset = self._post(self.owner, DATASET)
        declared = {"contentType": "text/csv", "size": len(CONTENT)}
        context = {"securityContext": {"reference": f"DocumentReference/{self.dataset}"}}
        made = self.owner.post("/Binary", json={"resourceType": "Binary"} | declared | context)
        self.file = made.json()["id"]
        requests.put(
            made.json()["presignedPutUrl"],
            data=CONTENT,
            headers=made.json()["uploadHeaders"],
            timeout=10,
        ).raise_for_status()
        eventually(lambda: "presignedGetUrl" in self.owner.get(f"/Binary/{self.file}").json())
        shared = consent(self.dataset, ("Practitioner", reader))
        self.kept, self.revoked = (self._post(self.owner, shared) for _ in range(2))
        self.patient = self._post(self.doctor, self._patient())
        changed = self._patient(self.patient) | {"active": True}
        for _ in range(3):
            assert self.doctor.put(f"/Patient/{self.patient}", json=changed).status_code == 200
        text = {"status": "generated", "div": f"<div>{os.urandom(400_000).hex()}</div>"}
        self.large = self._post(self.doctor, self._patient() | {"text": text})

    @property
    def resources(self) -> list[str]:
        return [
            f"DocumentReference/{self.dataset}",
            f"Binary/{self.file}",
            f"Consent/{self.kept}",
            f"Consent/{self.revoked}",
            f"Patient/{self.patient}",
            f"Patient/{self.large}",
        ]

    def bytes(self) -> bytes:
        """Of the file, as somebody reads it with whom it is shared."""
        answer = self.doctor.get(f"/Binary/{self.file}")
        assert answer.status_code == 200, answer.text
        return requests.get(answer.json()["presignedGetUrl"], timeout=10).content

    def _patient(self, known: str = "") -> dict[str, Any]:
        patient = {"resourceType": "Patient", "name": [{"family": self.name}]}
        return patient | ({"id": known} if known else {})

    def _post(self, api: Any, resource: dict[str, Any]) -> str:
        answer = api.post(f"/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


@pytest.fixture
def written(
    client: Callable[[str], Any], stack: dict[str, Any], eventually: Callable[..., None]
) -> Written:
    return Written(client, stack["users"]["practitioner"]["username"], eventually)


@pytest.fixture
def restored_tables(stack: dict[str, Any]) -> Iterator[Callable[[], dict[str, str]]]:
    """Has the local DynamoDB restore both tables beside themselves; their names."""
    dynamodb, made = aws(stack, "dynamodb"), dict[str, str]()

    def run() -> dict[str, str]:
        for name in ("table_name", "control_table_name"):
            made[name] = f"{stack['outputs'][name]}-{uuid.uuid4().hex[:8]}"
            dynamodb.restore_table_to_point_in_time(
                SourceTableName=stack["outputs"][name],
                TargetTableName=made[name],
                UseLatestRestorableTime=True,
            )
        return made

    yield run
    for name in made.values():
        dynamodb.delete_table(TableName=name)


def items(dynamodb: Any, table: str, pk: str) -> list[dict[str, Any]]:
    return dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
        ConsistentRead=True,
    )["Items"]


def lose(dynamodb: Any, table: str, sort_key: str, pks: list[str]) -> dict[str, Any]:
    """Deletes partitions of a table; what was in them."""
    lost = {pk: items(dynamodb, table, pk) for pk in pks}
    assert all(lost.values()), lost
    for item in (item for kept in lost.values() for item in kept):
        dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("pk", sort_key)})
    return lost


def forget(search_url: str, *pks: str) -> None:
    """Takes documents from the index, and what it keeps for a minute of deleted ones' versions."""
    index = f"{search_url}/resources"
    for kept in ("0s", None):
        setting = {"index.gc_deletes": kept}
        requests.put(f"{index}/_settings", json=setting, timeout=10).raise_for_status()
        for pk in pks if kept else ():
            address = f"{index}/_doc/{quote(pk, safe='')}?refresh=true"
            requests.delete(address, timeout=10).raise_for_status()
        time.sleep(0.5)  # its clock for what is deleted goes by 200 ms
        requests.post(f"{index}/_refresh", timeout=10).raise_for_status()


def test_what_is_lost_comes_back_whole(
    written: Written,
    stack: dict[str, Any],
    restore: Restore,
    restored_tables: Callable[[], dict[str, str]],
    eventually: Callable[..., None],
) -> None:
    dynamodb, s3, outputs = aws(stack, "dynamodb"), aws(stack, "s3"), stack["outputs"]
    versions, control = outputs["table_name"], outputs["control_table_name"]
    search = f"/Patient?family={written.name}"
    eventually(lambda: len(found(written.doctor, search)) == 2)
    large = written.doctor.get(f"/Patient/{written.large}").json()
    history = written.doctor.get(f"/Patient/{written.patient}/_history").json()
    assert written.bytes() == CONTENT
    # What has to come from the queue is there: 2 grants and the dataset, and one read.
    eventually(lambda: len(items(dynamodb, control, f"evidence#{written.dataset}")) == 4 + 1)

    backup = restored_tables()
    revoked = written.owner.get(f"/Consent/{written.revoked}").json() | {"status": "inactive"}
    assert written.owner.put(f"/Consent/{written.revoked}", json=revoked).status_code == 200
    kept_consents = [f"Consent/{written.kept}", f"Consent/{written.revoked}"]
    before = {pk: items(dynamodb, versions, pk) for pk in kept_consents}

    doomed = [pk for pk in written.resources if pk not in kept_consents]
    lost = lose(dynamodb, versions, "version", doomed)
    lost_control = lose(dynamodb, control, "sk", [f"upload#{written.file}"])
    log = f"evidence#{written.dataset}"
    lost_control |= {log: items(dynamodb, control, log)}
    for number in (1, 2):
        line = {"pk": {"S": log}, "sk": {"S": f"{number:010d}"}}
        dynamodb.delete_item(TableName=control, Key=line)
    reader = stack["users"]["practitioner"]["username"]
    for name in (written.kept, written.revoked):
        key = {"pk": {"S": f"grant#user#{reader}"}, "sk": {"S": f"{written.dataset}#{name}"}}
        dynamodb.delete_item(TableName=control, Key=key)
    forget(stack["search_url"], f"Patient/{written.patient}", f"Patient/{written.large}")
    for bucket, prefix in (
        (outputs["overflow_bucket"], f"Patient/{written.large}/"),
        (outputs["bucket_name"], f"datasets/{written.dataset}/{written.file}/"),
    ):
        [key] = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
        s3.delete_object(Bucket=bucket, Key=key)
    assert written.doctor.get(f"/Patient/{written.patient}").status_code == 404
    assert found(written.doctor, search) == []

    names = ("--versions", backup["table_name"], "--control", backup["control_table_name"])
    told = restore("tables", *names)
    restore("objects")

    assert "0 refused" in told
    for table, wanted in ((versions, lost), (control, lost_control), (versions, before)):
        assert {pk: items(dynamodb, table, pk) for pk in wanted} == wanted
    eventually(lambda: len(found(written.doctor, search)) == 2)
    assert written.doctor.get(f"/Patient/{written.large}").json() == large
    assert written.doctor.get(f"/Patient/{written.patient}/_history").json() == history
    assert written.bytes() == CONTENT
    grants = {
        item["sk"]["S"].partition("#")[2]: item["is_active"]["BOOL"]
        for item in items(dynamodb, control, f"grant#user#{reader}")
        if item["sk"]["S"].startswith(f"{written.dataset}#")
    }
    assert grants == {written.kept: True, written.revoked: False}, "revoked after the backup"
    evidence = written.owner.get(f"/DocumentReference/{written.dataset}/$evidence").text
    key = outputs["evidence_public_key"]
    assert verify(evidence.split("\n")[:-1], key, written.dataset).records
    again = restore("tables", *names)
    assert " 0 restored" in again
