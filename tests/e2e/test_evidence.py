"""Evidence: what was done with a dataset is in its log, which nobody can change unseen."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from cli.evidence import Tampered, verify
from tests.cloudtrail import log_file, place, read, role
from tests.e2e.aws import aws
from tests.e2e.conftest import ROOT
from tests.functions.api.test_grants import DATASET, consent

CONTENT = b"a,b\n1,2\n"
REASON = "urn:ai4h:consent:reason"
PARALLEL = 6


def post(api: Any, resource: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return answer.json()


def lines_of(owner: Any, dataset: str) -> list[str]:
    answer = owner.get(f"/DocumentReference/{dataset}/$evidence")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return answer.content.decode().split("\n")[:-1]


def events(lines: list[str]) -> list[tuple[str, str]]:
    return [(record["event"], record["user"]) for record in map(json.loads, lines[:-1])]


@pytest.fixture(scope="module")
def dataset(
    client: Callable[[str], Any], stack: dict[str, Any], eventually: Callable[..., None]
) -> str:
    """A dataset with a file that somebody asked for, was granted, read, and lost again."""
    owner, reader = client("data-owner"), client("practitioner")
    made = post(owner, DATASET)["id"]
    declared = {"contentType": "text/csv", "size": len(CONTENT)}
    context = {"securityContext": {"reference": f"DocumentReference/{made}"}}
    file = post(owner, {"resourceType": "Binary"} | declared | context)
    requests.put(
        file["presignedPutUrl"], data=CONTENT, headers=file["uploadHeaders"], timeout=10
    ).raise_for_status()
    eventually(lambda: "presignedGetUrl" in owner.get(f"/Binary/{file['id']}").json())
    name = stack["users"]["practitioner"]["username"]
    why = {"extension": [{"url": REASON, "valueString": "A study of Bräune"}]}
    request = consent(made, ("Practitioner", name), status="proposed") | why
    asked = post(reader, request)
    granted = owner.put(f"/Consent/{asked['id']}", json=asked | {"status": "active"})
    assert granted.status_code == 200, granted.text
    paths = [f"/DocumentReference/{made}", f"/Binary/{file['id']}"] * (PARALLEL // 2)
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda path: client("practitioner").get(path), paths))
    assert {answer.status_code for answer in answers} == {200}
    ended = owner.put(f"/Consent/{asked['id']}", json=granted.json() | {"status": "inactive"})
    assert ended.status_code == 200, ended.text
    assert reader.get(f"/Binary/{file['id']}").status_code == 403
    assert client("admin").get(f"/DocumentReference/{made}").status_code == 200
    eventually(lambda: len(lines_of(owner, made)) == 4 + PARALLEL + 1 + 1)
    return made


def test_the_owner_exports_who_asked_was_granted_and_read(
    client: Callable[[str], Any], stack: dict[str, Any], dataset: str
) -> None:
    lines = lines_of(client("data-owner"), dataset)
    found = verify(lines, stack["outputs"]["evidence_public_key"], dataset)
    users = {group: stack["users"][group]["username"] for group in stack["users"]}
    done = events(lines)
    assert done[:3] == [
        ("created", users["data-owner"]),
        ("asked", users["practitioner"]),
        ("granted", users["data-owner"]),
    ]
    assert sorted(done[3:]) == sorted(
        [
            *[("read", users["practitioner"])] * PARALLEL,
            ("read", users["admin"]),
            ("revoked", users["data-owner"]),
        ]
    )
    asked, read = found.records[1], next(r for r in found.records if r["event"] == "read")
    assert (asked["reason"], asked["grantees"]) == (
        "A study of Bräune",
        [f"user#{users['practitioner']}"],
    )
    assert read["consents"] == [asked["resource"].split("/")[1]]
    for group in ("practitioner", "challenge-host"):
        answer = client(group).get(f"/DocumentReference/{dataset}/$evidence")
        assert answer.status_code == 403
    assert events(lines_of(client("admin"), dataset)) == done


def test_reads_by_workers_come_from_cloudtrail(
    client: Callable[[str], Any], stack: dict[str, Any], eventually: Callable[..., None]
) -> None:
    """This machine has no CloudTrail: its file is put where CloudTrail would put it."""
    owner, s3 = client("data-owner"), aws(stack, "s3")
    made = post(owner, DATASET)["id"]
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    trails = [name for name in buckets if name.startswith("uploads-reads-trail")]
    [trail] = [name for name in trails if "logs" not in name]
    roles = [role["RoleName"] for role in aws(stack, "iam").list_roles()["Roles"]]
    [signer] = [name for name in roles if name.startswith("uploads-api-role")]
    datasets, key = stack["outputs"]["bucket_name"], f"datasets/{made}/b/1"
    worker = read(datasets, key, role("evaluation-ai4h-mvp-dev-challenge-42"))
    presigned = read(datasets, key, role(signer))
    for events in ([presigned, worker], [worker]):  # it delivers at least once
        s3.put_object(Bucket=trail, Key=place(), Body=log_file(events))
    eventually(lambda: len(lines_of(owner, made)) == 3)
    later = read(datasets, key, role("evaluation-ai4h-mvp-dev-challenge-42"))
    s3.put_object(Bucket=trail, Key=place(), Body=log_file([worker, later]))
    eventually(lambda: len(lines_of(owner, made)) > 3)

    found = verify(lines_of(owner, made), stack["outputs"]["evidence_public_key"], made)

    assert [(r["imported"], r["events"], r["resources"]) for r in found.records[1:]] == [
        ("CloudTrail", [event["eventID"]], ["Binary/b/_history/1"]) for event in (worker, later)
    ]


def test_decisions_at_the_same_time_are_all_in_the_log(
    client: Callable[[str], Any], stack: dict[str, Any]
) -> None:
    owner = client("data-owner")
    made = post(owner, DATASET)["id"]
    consents = [consent(made, ("Group", f"group-{number}")) for number in range(8)]
    with ThreadPoolExecutor(len(consents)) as pool:
        list(pool.map(lambda given: post(client("data-owner"), given), consents))
    found = verify(lines_of(owner, made), stack["outputs"]["evidence_public_key"], made)
    granted = [record["grantees"] for record in found.records if record["event"] == "granted"]
    assert sorted(granted) == [[f"group#group-{number}"] for number in range(8)]


@pytest.mark.slow
def test_logs_are_sealed_by_the_clock(
    client: Callable[[str], Any], stack: dict[str, Any], eventually: Callable[..., None]
) -> None:
    made, s3 = post(client("data-owner"), DATASET)["id"], aws(stack, "s3")
    place = {"Bucket": seals_bucket(stack), "Prefix": f"{made}/"}
    eventually(lambda: "Versions" in s3.list_object_versions(**place), seconds=100)


def test_what_is_changed_behind_the_platform_shows(
    client: Callable[[str], Any], stack: dict[str, Any], dataset: str
) -> None:
    owner, table = client("data-owner"), stack["outputs"]["control_table_name"]
    key, dynamodb = stack["outputs"]["evidence_public_key"], aws(stack, "dynamodb")
    pk = {"S": f"evidence#{dataset}"}
    items = dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": pk},
    )["Items"]
    *records, head = items
    count = len(records)

    def attempt(said: str) -> None:
        with pytest.raises(Tampered, match=said):
            verify(lines_of(owner, dataset), key, dataset)

    altered = records[1] | {"line": {"S": records[1]["line"]["S"].replace("study", "game")}}
    dynamodb.put_item(TableName=table, Item=altered)
    attempt("record 2 was altered")
    dynamodb.put_item(TableName=table, Item=records[1])
    # The tail, with a head that fits: all that the table says is as it was one record before.
    dynamodb.delete_item(TableName=table, Key={"pk": pk, "sk": records[-1]["sk"]})
    last = json.loads(records[-1]["line"]["S"])["previous"]
    shorter = {"count": {"N": str(count - 1)}, "hash": {"S": last}}
    dynamodb.put_item(TableName=table, Item=head | shorter)
    attempt(f"seal is on {count} records, {count - 1} are here: the last are missing")
    dynamodb.put_item(TableName=table, Item=records[-1])
    dynamodb.put_item(TableName=table, Item=head)
    assert len(verify(lines_of(owner, dataset), key, dataset).records) == count


def seals_bucket(stack: dict[str, Any]) -> str:
    names = [bucket["Name"] for bucket in aws(stack, "s3").list_buckets()["Buckets"]]
    [seals] = [name for name in names if "-seals-" in name and "-logs-" not in name]
    return seals


def test_seals_cannot_be_removed(stack: dict[str, Any], dataset: str) -> None:
    s3, bucket = aws(stack, "s3"), seals_bucket(stack)
    version = s3.list_object_versions(Bucket=bucket, Prefix=f"{dataset}/")["Versions"][0]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def test_the_command_fetches_verifies_and_names_what_was_changed(
    stack: dict[str, Any], dataset: str, tmp_path: Path
) -> None:
    known, file, key = (tmp_path / name for name in ("stack.json", "log.ndjson", "key.pem"))
    known.write_text(json.dumps(stack))
    key.write_text(stack["outputs"]["evidence_public_key"])

    def run(*words: object, text: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *map(str, words)],
            cwd=ROOT,
            env={
                **os.environ,
                "AI4H_HOME": str(tmp_path),
                "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            },
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    user = stack["users"]["data-owner"]
    run(
        *("login", "--stack", known, "--username", user["username"], "--password-stdin"),
        text=f"{user['password']}\n",
    )
    assert "Verified: " in run("evidence", dataset, "--out", file)
    offline = ("verify-evidence", file, "--key", key, "--dataset", dataset)
    records = json.loads(run(*offline, "--json"))["records"]
    assert [record["event"] for record in records[:3]] == ["created", "asked", "granted"]
    lines = file.read_text("utf-8").split("\n")
    file.write_text("\n".join([*lines[:2], *lines[3:]]), "utf-8")
    assert "Record 3 is missing" in run(*offline, code=1)
