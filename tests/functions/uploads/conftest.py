"""Uploads in process: the real handlers on moto, behind an S3 that checks signatures."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.functions.aws import emulated
from tests.functions.conftest import create_queue, create_tables
from tests.functions.uploads.s3_front import Answer, S3Front

VERSIONS, CONTROL, BUCKET = "uploads-versions", "uploads-control", "uploads-datasets"
MAX_OBJECT_BYTES, QUOTA_BYTES = 10_000_000, 25_000_000
REGION = "eu-central-1"
SETTINGS = {
    "AWS_DEFAULT_REGION": REGION,
    "TABLE_NAME": VERSIONS,
    "CONTROL_TABLE_NAME": CONTROL,
    "BUCKET_NAME": BUCKET,
    "CONSISTENCY_KEY": "key of the tests",
    "MAX_OBJECT_BYTES": str(MAX_OBJECT_BYTES),
    "QUOTA_BYTES_PER_USER": str(QUOTA_BYTES),
}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def problem(self) -> str:
        """The first diagnostics of an OperationOutcome."""
        assert self.body["resourceType"] == "OperationOutcome"
        return self.body["issue"][0]["diagnostics"]


@dataclass(frozen=True)
class User:
    """A client of the uploads function with a subject and groups of its own."""

    send: Callable[..., Reply]
    front: S3Front
    group: str = "data-owner"
    subject: str = field(default_factory=lambda: uuid.uuid4().hex)

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self.send(self, method, path, body, headers or {})

    def new(self, content: bytes | None = None, **members: Any) -> Reply:
        """POST /Binary, declaring size and checksum of `content` if given."""
        return self.call("POST", "/Binary", binary(content, **members))

    def put(self, created: Mapping[str, Any], content: bytes, **changed: Any) -> Answer:
        """The bytes to the presigned URL, with the headers of the answer."""
        return self.front.put(
            created["presignedPutUrl"], {**created["uploadHeaders"], **changed}, content
        )

    def read(self, binary_id: str) -> dict[str, Any]:
        reply = self.call("GET", f"/Binary/{binary_id}")
        assert reply.status == 200
        return reply.body


def binary(content: bytes | None = None, **members: Any) -> dict[str, Any]:
    declared = {} if content is None else {"size": len(content), "sha256": digest(content)}
    basic = {"resourceType": "Binary", "contentType": "application/octet-stream"}
    return basic | declared | members


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    """moto with the two tables and the versioned bucket; an S3 client to look behind the scenes."""
    import boto3

    with emulated() as patch:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        from functions.shared import clients as aws
        from functions.uploads import bucket

        clients = (aws.dynamodb, aws.s3, aws.sqs, bucket.s3)
        for client in clients:
            client.cache_clear()
        dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
        create_tables(dynamodb, VERSIONS, CONTROL)
        patch.setenv("EVIDENCE_QUEUE_URL", create_queue(aws.sqs()))
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield s3
        for client in clients:
            client.cache_clear()


@pytest.fixture
def settings(aws: Any, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Changes settings for one test; identities come from a plain header instead of a token."""
    from functions.shared.http import Request
    from functions.shared.identity import Identity
    from functions.uploads import handler

    def identify(request: Request) -> Identity:
        subject, group = request.headers["authorization"].split(":")
        return Identity(subject, subject, frozenset({group}))

    monkeypatch.setattr(handler, "authenticate", identify)
    return monkeypatch


@pytest.fixture(scope="module")
def front(aws: Any) -> S3Front:
    import boto3

    credentials = boto3.Session().get_credentials()
    assert credentials is not None
    from functions.uploads import bucket

    front = S3Front(aws, BUCKET, {credentials.access_key: credentials.secret_key})
    front.watch(bucket.s3())
    return front


@pytest.fixture
def user(settings: pytest.MonkeyPatch, front: S3Front) -> Callable[..., User]:
    """Makes users: `user()` is a data owner, `user("admin")` of another group."""
    from functions.uploads import handler

    def send(user: User, method: str, path: str, body: object, headers: Mapping[str, str]) -> Reply:
        path, _, query = path.partition("?")
        event = {
            "httpMethod": method,
            "path": path,
            "headers": {"Authorization": f"{user.subject}:{user.group}", "Host": "api.test"}
            | dict(headers),
            "queryStringParameters": dict(p.split("=") for p in query.split("&"))
            if query
            else None,
            "requestContext": {"path": f"/api{path}", "requestId": "r"},
            "body": body if isinstance(body, str | None) else json.dumps(body),
        }
        answer = handler.handler(event, None)
        assert answer["statusCode"] < 500 or "Retry-After" in answer["headers"], "not a fault"
        return Reply(
            answer["statusCode"],
            answer["headers"],
            json.loads(answer["body"]) if answer["body"] else {},
        )

    return lambda group="data-owner": User(send, front, group)


@pytest.fixture
def owner(user: Callable[..., User]) -> User:
    return user()


@pytest.fixture
def complete(settings: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any] | None], None]:
    """Hands S3's event to the completion function."""
    from functions.uploads import completion

    def run(event: Mapping[str, Any] | None) -> None:
        assert event is not None
        completion.handler(dict(event), None)

    return run


@pytest.fixture
def used(settings: pytest.MonkeyPatch) -> Callable[[User], int]:
    """Bytes counted against a user's quota."""
    from functions.uploads import records

    return lambda user: records.used(user.subject)
