"""Bulk jobs in process: started through the API, their machine's steps done in turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.functions.api.conftest import BASE, Client, Reply, client, engine
from tests.issuer import REGION

__all__ = ["client", "engine"]  # fixtures

JOBS = "jobs"
ASYNC = {"Prefer": "respond-async"}


@dataclass
class Context:
    """Has time for so many steps."""

    steps: int = 1_000

    def get_remaining_time_in_millis(self) -> int:
        self.steps -= 1
        return 900_000 if self.steps >= 0 else 0


@dataclass(frozen=True)
class Started:
    """A job, and the function that does its steps."""

    user: Client
    path: str
    worker: Callable[[dict[str, Any], Any], dict[str, Any]]

    def step(self, step: str, steps: int = 1_000, **more: Any) -> dict[str, Any]:
        event = {"step": step, "job": self.path.rpartition("/")[2], **more}
        return json.loads(json.dumps(self.worker(event, Context(steps))))

    def run(self, steps: int = 1_000) -> Reply:
        """All steps, as the machine has them done; the job's status then."""
        for number in self.step("plan")["parts"]:
            while not self.step("work", steps, number=number)["done"]:
                pass
        self.step("finish")
        return self.status()

    def status(self) -> Reply:
        return self.user.get(self.path)


@pytest.fixture(scope="module")
def bucket(tables: Any) -> Iterator[Any]:
    """The jobs' bucket and machine on moto; an S3 client."""
    import boto3

    from functions.shared import clients
    from functions.uploads.bucket import s3

    made = (s3, clients.step_functions)
    for each in made:
        each.cache_clear()
    machines = clients.step_functions()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBS_BUCKET", JOBS)
        patch.setenv("BUCKET_NAME", JOBS)
        for kind in ("EXPORT", "IMPORT"):
            arn = machines.create_state_machine(
                name=kind,
                definition=json.dumps({"StartAt": "x", "States": {"x": {"Type": "Succeed"}}}),
                roleArn="arn:aws:iam::123456789012:role/r",
            )["stateMachineArn"]
            patch.setenv(f"{kind}_MACHINE", arn)
        place = {"LocationConstraint": REGION}
        s3().create_bucket(Bucket=JOBS, CreateBucketConfiguration=place)
        yield boto3.client("s3", region_name=REGION)
    for each in made:
        each.cache_clear()


@pytest.fixture(autouse=True)
def empty(bucket: Any, tables: Any) -> Iterator[None]:
    """Each test begins with nothing in tables and bucket."""
    yield
    for name, sort in (("versions", "version"), ("control", "sk")):
        for item in tables.scan(TableName=name)["Items"]:
            tables.delete_item(TableName=name, Key={"pk": item["pk"], sort: item[sort]})
    for found in bucket.list_objects_v2(Bucket=JOBS).get("Contents", ()):
        bucket.delete_object(Bucket=JOBS, Key=found["Key"])
    from functions.shared import changes

    changes._registered.clear()


@pytest.fixture
def export(client: Callable[..., Client]) -> Callable[..., Started]:
    """Starts an export: `export("/$export?_type=Basic")`, as a practitioner unless told."""
    from functions.bulk import exporter

    def start(path: str, user: Client | None = None) -> Started:
        asking = user or client()
        reply = asking.call("GET", path, headers=ASYNC)
        assert reply.status == 202, reply.text
        place = reply.headers["Content-Location"]
        assert place.startswith(f"{BASE}/$export/")
        return Started(asking, place.removeprefix(BASE), exporter.handler)

    return start


@pytest.fixture
def run_import(client: Callable[..., Client], bucket: Any) -> Callable[..., Started]:
    """Starts an administrator's import of files with these contents."""
    from functions.bulk import importer

    def start(*contents: bytes, type_: str = "") -> Started:
        admin = client("admin", subject="ad")
        inputs = [{"name": "input", "part": file(bucket, c, type_)} for c in contents]
        body = {"resourceType": "Parameters", "parameter": inputs}
        reply = admin.call("POST", "/$import", body, ASYNC)
        assert reply.status == 202, reply.text
        place = reply.headers["Content-Location"].removeprefix(BASE)
        return Started(admin, place, importer.handler)

    return start


def file(bucket: Any, content: bytes, type_: str = "", owner: str = "ad") -> list[dict[str, Any]]:
    """The parts of an input that name a file of a user's, uploaded and verified."""
    from functions.shared import store
    from functions.shared.clients import dynamodb
    from functions.shared.items import Version
    from functions.shared.resources import instant, new_id
    from functions.uploads import records
    from functions.uploads.state import Received, Upload, object_key

    binary_id, now = new_id(), instant()
    store.create(Version(f"Binary/{binary_id}", 1, b"{}", owner, now))
    upload = Upload(
        binary_id=binary_id,
        version=1,
        owner=owner,
        key=object_key("", binary_id, 1),
        content_type="application/fhir+ndjson",
        limit=len(content),
        quota=10**9,
        deadline=2**31,
        updated=now,
        bucket=JOBS,
    )
    etag = bucket.put_object(Bucket=JOBS, Key=upload.key, Body=content)["ETag"]
    dynamodb().transact_write_items(TransactItems=records.promise(upload))
    examined = records.change(upload, "verifying")
    assert examined
    records.change(examined, "available", received=Received(len(content), etag))
    url = {"name": "url", "valueUri": f"Binary/{binary_id}"}
    return [url, *([{"name": "type", "valueCode": type_}] if type_ else [])]


@pytest.fixture
def lines(bucket: Any) -> Callable[[Reply, str], list[dict[str, Any]]]:
    """What the files of a kind (output, deleted, error) in a manifest have, line by line."""

    def read(manifest: Reply, kind: str = "output") -> list[dict[str, Any]]:
        assert manifest.status == 200, manifest.text
        found: list[dict[str, Any]] = []
        for file in manifest.body[kind]:
            key = urlsplit(file["url"]).path.removeprefix(f"/{JOBS}").lstrip("/")
            text = bucket.get_object(Bucket=JOBS, Key=key)["Body"].read().decode()
            told = [json.loads(line) for line in text.splitlines()]
            assert len(told) == file["count"]
            assert {line["resourceType"] for line in told} == {file["type"]}
            found += told
        return found

    return read
