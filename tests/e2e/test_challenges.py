"""Datasets in challenges: a worker's role reads what is attached and granted, on a real IAM and S3.

Workers take their roles as in a cluster (IRSA): with a token of their service account.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.e2e.aws import aws
from tests.e2e.conftest import ROOT, Client, sign_in
from tests.functions.api.test_grants import DATASET, consent

EXAMPLE = ROOT / "examples" / "challenge"
ISSUER = "https://oidc.example.test/workers"
POLICY = "attached-datasets"
LABELS = b"image,label\na,1\nb,0\nc,1\nd,0\n"
SUBMISSION = "image,probability\na,0.9\nb,0.2\nc,0.4\nd,0.4\n"
RUN = """
import importlib, json, sys
evaluated = importlib.import_module("challenge_data.challenge_1").evaluate(*sys.argv[1:])
print(json.dumps(evaluated))
"""


def token(account: str) -> str:
    """As a cluster gives it to pods of a service account; the local AWS checks what it claims."""
    subject = f"system:serviceaccount:evalai:{account}"
    claims = {"iss": ISSUER, "aud": "sts.amazonaws.com", "sub": subject}
    return jwt.encode(claims, "no key of the local AWS's: it checks no signature", "HS256")


class Worker:
    """S3 with the role of a challenge's workers."""

    def __init__(self, stack: dict[str, Any], number: int, account: str) -> None:
        place = {"region_name": stack["region"], "endpoint_url": stack["aws_endpoint_url"]}
        sts = boto3.client("sts", **place, config=Config(signature_version=UNSIGNED))
        taken = sts.assume_role_with_web_identity(
            RoleArn=stack["outputs"]["challenge_role_arns"][str(number)],
            RoleSessionName="worker",
            WebIdentityToken=token(account),
        )["Credentials"]
        self.s3 = boto3.client(
            "s3",
            **place,
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
        )
        self._bucket = stack["outputs"]["bucket_name"]

    def read(self, key: str, **version: str) -> bytes:
        return self.s3.get_object(Bucket=self._bucket, Key=key, **version)["Body"].read()

    def reads(self, key: str) -> bool:
        try:
            self.read(key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return False
        return True

    def refused(self, operation: str, **arguments: Any) -> None:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(self.s3, operation)(Bucket=self._bucket, **arguments)


class Dataset:
    """A dataset of the owner's with a file and a manifest."""

    def __init__(self, owner: Client, eventually: Callable[..., None]) -> None:
        self._owner, self._eventually = owner, eventually
        self.given: list[dict[str, Any]] = []
        self.id = self._made(DATASET)["id"]
        labels = self._file(LABELS, "text/csv")
        digest = base64.b64encode(hashlib.sha256(LABELS).digest()).decode()
        entry = {"path": "labels.csv", "binary": labels, "version": "1", "sha256": digest}
        self.labels = f"datasets/{self.id}/{labels}/1"
        self.manifest = self._file(json.dumps({"files": [entry]}).encode(), "application/json")

    def grant(self, challenge: int, end: datetime | None = None) -> dict[str, Any]:
        now = datetime.now(UTC)
        period = {"start": (now - timedelta(days=1)).isoformat()}
        period["end"] = (end or now + timedelta(days=1)).isoformat()
        given = self._made(consent(self.id, ("Organization", str(challenge)), period=period))
        self.given.append(given)
        return given

    def revoke(self, given: dict[str, Any]) -> None:
        path = f"/Consent/{given['id']}"
        answer = self._owner.put(path, json=given | {"status": "inactive"})
        assert answer.status_code == 200, answer.text

    def events(self) -> list[str]:
        answer = self._owner.get(f"/DocumentReference/{self.id}/$evidence")
        return [json.loads(line)["event"] for line in answer.text.split("\n")[:-2]]

    def _made(self, resource: dict[str, Any]) -> dict[str, Any]:
        answer = self._owner.post(f"/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def _file(self, content: bytes, content_type: str) -> str:
        declared = {"contentType": content_type, "size": len(content)}
        context = {"securityContext": {"reference": f"DocumentReference/{self.id}"}}
        file = self._made({"resourceType": "Binary"} | declared | context)
        url, headers = file["presignedPutUrl"], file["uploadHeaders"]
        requests.put(url, data=content, headers=headers, timeout=10).raise_for_status()
        path = f"/Binary/{file['id']}"
        self._eventually(lambda: "presignedGetUrl" in self._owner.get(path).json())
        return file["id"]


@pytest.fixture(scope="module")
def host(stack: dict[str, Any]) -> Client:
    """A host who acts for the challenges 1 and 2, as an administrator makes one."""
    cognito, pool = aws(stack, "cognito-idp"), stack["user_pool_id"]
    user = {"username": "host-of-two", "password": "Not-secret-in-tests-1"}
    place = {"UserPoolId": pool, "Username": user["username"]}
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):  # from an earlier run
        cognito.admin_create_user(**place, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**place, Password=user["password"], Permanent=True)
    for group in ("challenge-host", "challenge-1", "challenge-2"):
        cognito.admin_add_user_to_group(**place, GroupName=group)
    return Client(stack, sign_in({**stack, "users": {"host": user}}, "host"))


@pytest.fixture(scope="module")
def dataset(client: Callable[[str], Any], eventually: Callable[..., None]) -> Dataset:
    return Dataset(client("data-owner"), eventually)


@pytest.fixture(scope="module")
def other(client: Callable[[str], Any], eventually: Callable[..., None]) -> Dataset:
    """One that nobody attaches."""
    return Dataset(client("data-owner"), eventually)


@pytest.fixture(scope="module")
def workers(stack: dict[str, Any]) -> dict[int, Worker]:
    return {
        1: Worker(stack, 1, "evalai-worker-first"),
        2: Worker(stack, 2, "evalai-worker-second"),
    }


@pytest.fixture(scope="module")
def reconcile(stack: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Calls the function that the schedule calls each minute; its answer or its error."""

    def call() -> dict[str, Any]:
        name = stack["outputs"]["reconciler_function_name"]
        answer = aws(stack, "lambda").invoke(FunctionName=name, Payload=b"{}")
        return json.loads(answer["Payload"].read())

    return call


@pytest.fixture(autouse=True)
def nothing_left(
    host: Client, dataset: Dataset, other: Dataset, reconcile: Callable[[], Any]
) -> Iterator[None]:
    """After each test nothing is granted or attached."""
    yield
    for each in (dataset, other):
        while each.given:
            each.revoke(each.given.pop())
    for number in (1, 2):
        answer = host.get(f"/DocumentReference/$attached?challenge={number}").json()
        for each in answer.get("parameter", ()):
            reference = each["part"][0]["valueReference"]["reference"]
            host.post(f"/{reference}/$detach?challenge={number}")
    reconcile()


def ask(host: Client, operation: str, dataset: Dataset, challenge: int = 1) -> int:
    path = f"/DocumentReference/{dataset.id}/${operation}?challenge={challenge}"
    return host.post(path).status_code


def test_only_a_challenges_workers_take_its_role(stack: dict[str, Any]) -> None:
    for number, account in ((1, "evalai-worker-second"), (2, "evalai-app")):
        with pytest.raises(ClientError, match="AccessDenied"):
            Worker(stack, number, account)


def test_workers_read_what_is_attached_and_granted_and_nothing_else(
    stack: dict[str, Any],
    host: Client,
    dataset: Dataset,
    other: Dataset,
    workers: dict[int, Worker],
    reconcile: Callable[[], Any],
) -> None:
    assert ask(host, "attach", dataset) == 403
    given = dataset.grant(1)
    reconcile()
    assert not workers[1].reads(dataset.labels), "granted, but not attached"
    assert ask(host, "attach", dataset) == 200
    reconcile()
    assert workers[1].read(dataset.labels) == LABELS
    assert not workers[2].reads(dataset.labels)
    assert not workers[1].reads(other.labels)
    workers[1].refused("put_object", Key=dataset.labels, Body=b"")
    workers[1].refused("delete_object", Key=dataset.labels)
    workers[1].refused("list_objects_v2", Prefix=f"datasets/{dataset.id}/")
    dataset.revoke(given)
    reconcile()
    assert not workers[1].reads(dataset.labels)
    dataset.grant(1)
    reconcile()
    assert workers[1].reads(dataset.labels), "still attached, and granted again"
    assert ask(host, "detach", dataset) == 200
    reconcile()
    assert not workers[1].reads(dataset.labels)
    done = dataset.events()
    assert done[-5:] == ["granted", "attached", "revoked", "granted", "detached"]


def test_a_grant_ends_for_workers_at_its_end_without_anybody(
    host: Client,
    client: Callable[[str], Any],
    eventually: Callable[..., None],
    workers: dict[int, Worker],
    reconcile: Callable[[], Any],
    stack: dict[str, Any],
) -> None:
    short = Dataset(client("data-owner"), eventually)
    end = datetime.now(UTC) + timedelta(seconds=5)
    short.grant(2, end)
    assert ask(host, "attach", short, 2) == 200
    reconcile()
    assert workers[2].reads(short.labels)
    role = stack["outputs"]["challenge_role_arns"]["2"].rpartition("/")[2]
    policy = aws(stack, "iam").get_role_policy(RoleName=role, PolicyName=POLICY)["PolicyDocument"]
    [allowed] = [s for s in policy["Statement"] if short.id in str(s["Resource"])]
    ends = allowed["Condition"]["DateLessThanEquals"]["aws:CurrentTime"]
    assert ends == end.strftime("%Y-%m-%dT%H:%M:%SZ")
    eventually(lambda: not workers[2].reads(short.labels), seconds=15)
    assert datetime.now(UTC) >= end.replace(microsecond=0)


def test_the_reconciler_writes_no_policy_of_a_role_without_our_limit(
    stack: dict[str, Any],
    host: Client,
    dataset: Dataset,
    workers: dict[int, Worker],
    reconcile: Callable[[], Any],
) -> None:
    iam = aws(stack, "iam")
    role = stack["outputs"]["challenge_role_arns"]["2"].rpartition("/")[2]
    limit = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    iam.delete_role_permissions_boundary(RoleName=role)
    try:
        for number in (1, 2):
            dataset.grant(number)
            assert ask(host, "attach", dataset, number) == 200
        assert "not authorized" in reconcile()["errorMessage"]
        assert workers[1].reads(dataset.labels), "the other one is reconciled"
        assert not workers[2].reads(dataset.labels)
    finally:
        iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=limit)
    assert "errorMessage" not in reconcile()
    assert workers[2].reads(dataset.labels)


def test_whatever_a_role_is_given_its_limit_and_denials_hold(
    stack: dict[str, Any],
    host: Client,
    dataset: Dataset,
    other: Dataset,
    workers: dict[int, Worker],
    reconcile: Callable[[], Any],
) -> None:
    given, _ = (each.grant(1) for each in (dataset, other))
    assert [ask(host, "attach", each) for each in (dataset, other)] == [200, 200]
    dataset.revoke(given)
    reconcile()
    iam, role = aws(stack, "iam"), stack["outputs"]["challenge_role_arns"]["1"].rpartition("/")[2]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    wide = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_role_policy(RoleName=role, PolicyName="by-mistake", PolicyDocument=wide)
    try:
        workers[1].refused("put_object", Key=dataset.labels, Body=b"")
        workers[1].refused("list_objects_v2")
        assert workers[1].reads(other.labels)
        assert not workers[1].reads(dataset.labels), "denied, whatever allows it"
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="by-mistake")


@pytest.mark.slow
def test_the_clock_takes_away_within_a_minute_what_was_revoked(
    host: Client,
    dataset: Dataset,
    workers: dict[int, Worker],
    eventually: Callable[..., None],
) -> None:
    given = dataset.grant(1)
    assert ask(host, "attach", dataset) == 200
    eventually(lambda: workers[1].reads(dataset.labels), seconds=75)
    dataset.revoke(given)
    eventually(lambda: not workers[1].reads(dataset.labels), seconds=75)


def test_the_example_scores_a_submission_with_labels_of_an_attached_dataset(
    stack: dict[str, Any],
    host: Client,
    dataset: Dataset,
    reconcile: Callable[[], Any],
    tmp_path: Path,
) -> None:
    dataset.grant(1)
    assert ask(host, "attach", dataset) == 200
    reconcile()
    packed, place = tmp_path / "challenge.zip", tmp_path / "challenge"
    subprocess.run([sys.executable, EXAMPLE / "pack.py", packed], check=True)
    with zipfile.ZipFile(packed) as outer:
        outer.extractall(place)
    # As EvalAI's worker lays it out.
    code = tmp_path / "challenge_data" / "challenge_1"
    with zipfile.ZipFile(place / "evaluation_script.zip") as inner:
        inner.extractall(code)
    (code.parent / "__init__.py").touch()
    annotation, submission = place / "annotations" / "test.json", tmp_path / "submission.csv"
    told = json.loads(annotation.read_text()) | {
        "bucket": stack["outputs"]["bucket_name"],
        "dataset": dataset.id,
        "manifest": f"{dataset.manifest}/1",
    }
    annotation.write_text(json.dumps(told))
    (tmp_path / "token").write_text(token("evalai-worker-first"))

    def evaluated(text: str) -> subprocess.CompletedProcess[str]:
        submission.write_text(text)
        return subprocess.run(
            [sys.executable, "-c", RUN, annotation, submission, "test"],
            cwd=tmp_path,
            env={
                # What a pod of the service account has, and where this AWS is.
                "AWS_ROLE_ARN": stack["outputs"]["challenge_role_arns"]["1"],
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
                "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
                "AWS_REGION": stack["region"],
                "PATH": os.environ["PATH"],
            },
            capture_output=True,
            text=True,
            check=False,
        )

    done = evaluated(SUBMISSION)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["result"][0]["hospital_a"]
    assert scores == {"AUC": 0.875, "Brier": pytest.approx((0.01 + 0.04 + 0.36 + 0.16) / 4)}
    refused = evaluated(SUBMISSION.replace("d,0.4\n", ""))
    assert "1 of 4 images have no probability" in refused.stderr
    assert ask(host, "detach", dataset) == 200
    reconcile()
    ended = evaluated(SUBMISSION)
    assert "The test data can't be read now (AccessDenied)" in ended.stderr
