"""Reads from CloudTrail's files: those that no function allowed become evidence, once each."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cloudtrail import ACCOUNT, log_file, place, read, role

DATASETS, TRAIL = "uploads-datasets", "uploads-reads-trail"
WORKER = role("evaluation-ai4h-mvp-dev-challenge-42")
Import = Callable[..., None]


@pytest.fixture(scope="module")
def trail(tables: Any) -> Iterator[Any]:
    """The bucket of a trail; S3's client."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUCKET_NAME", DATASETS)
        patch.setenv("OWN_ROLES", "uploads-api-role,uploads-completion-role,data-importer-role")
        from functions.shared.clients import s3

        place = {"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]}
        s3().create_bucket(Bucket=TRAIL, CreateBucketConfiguration=place)
        yield s3()


@pytest.fixture
def imported(trail: Any) -> Import:
    """Has the function read files of a trail."""
    from functions.read_importer.handler import handler

    def run(*files: bytes) -> None:
        keys = [place() for _ in files]
        for key, content in zip(keys, files, strict=True):
            trail.put_object(Bucket=TRAIL, Key=key, Body=content)
        records = [{"s3": {"bucket": {"name": TRAIL}, "object": {"key": key}}} for key in keys]
        handler({"Records": records}, None)

    return run


@pytest.fixture
def delivered(trail: Any) -> Callable[[], list[dict[str, Any]]]:
    """Has the evidence function append what waits in the queue; the messages it got."""
    from functions.evidence.handler import handler
    from functions.shared.clients import sqs

    def run() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        url = os.environ["EVIDENCE_QUEUE_URL"]
        asked = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"]}
        while messages := sqs().receive_message(QueueUrl=url, **asked).get("Messages", ()):
            for message in messages:
                sqs().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                renamed = {"messageId": "MessageId", "body": "Body", "attributes": "Attributes"}
                found.append({name: message[old] for name, old in renamed.items()})
        assert handler({"Records": found}, None) == {"batchItemFailures": []}
        return found

    return run


def records(dataset: str) -> list[dict[str, Any]]:
    from functions.shared import evidence

    return [json.loads(line) for line in evidence.lines(dataset)]


def test_reads_of_a_worker_are_in_the_log_once(
    imported: Import, delivered: Callable[[], list[dict[str, Any]]]
) -> None:
    late = {"eventTime": "2026-01-31T12:01:30Z"}
    events = [
        read(DATASETS, "datasets/lungs/b2/1", WORKER, **late),
        read(DATASETS, "datasets/lungs/b1/3", WORKER),
        read(DATASETS, "datasets/hearts/b3/1", WORKER),
    ]

    imported(log_file(events), log_file(events[:1]))
    delivered()

    [record] = records("lungs")
    assert record == {
        "dataset": "lungs",
        "event": "read",
        "events": [events[1]["eventID"], events[0]["eventID"]],
        "id": record["id"],
        "imported": "CloudTrail",
        "number": 1,
        "previous": "0" * 64,
        "resources": ["Binary/b1/_history/3", "Binary/b2/_history/1"],
        "subject": WORKER["principalId"],
        "time": "2026-01-31T12:00:00Z",
        "until": "2026-01-31T12:01:30Z",
        "user": "evaluation-ai4h-mvp-dev-challenge-42/botocore-session-1769860680",
    }
    assert len(records("hearts")) == 1

    more = read(DATASETS, "datasets/lungs/b4/1", WORKER)
    imported(log_file([*events, more]), log_file([more]))
    again = delivered()

    assert len(again) == 3
    assert [r["events"] for r in records("lungs")[1:]] == [[more["eventID"]]]
    assert len(records("hearts")) == 1


def test_what_is_recorded_otherwise_or_no_read_is_passed_over(
    imported: Import, delivered: Callable[[], list[dict[str, Any]]]
) -> None:
    key = "datasets/passed/b/1"
    foreign = role("uploads-api-role")
    foreign["sessionContext"]["sessionIssuer"]["accountId"] = "999900001111"
    root = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"}
    scanner = {"type": "AWSService", "invokedBy": "backup.amazonaws.com"}
    passed = [
        read(DATASETS, key, role("uploads-api-role")),
        read(DATASETS, key, role("data-importer-role")),
        read(DATASETS, key, WORKER, errorCode="AccessDenied"),
        read(DATASETS, key, WORKER, eventName="HeadObject"),
        read("another-bucket", key, WORKER),
        read(DATASETS, "unassigned/b/1", WORKER),
        read(DATASETS, "datasets/passed/b", WORKER),
        read(DATASETS, key, WORKER, eventName="ListObjects", requestParameters=None),
    ]

    imported(
        log_file([*passed, *(read(DATASETS, key, who) for who in (foreign, root, scanner))]),
        log_file(passed),
        log_file([]),
    )
    delivered()

    assert sorted(record["user"] for record in records("passed")) == [
        "backup.amazonaws.com",
        "root",
        "uploads-api-role/botocore-session-1769860680",
    ]


def test_many_reads_are_few_records_and_all_of_them(
    imported: Import, delivered: Callable[[], list[dict[str, Any]]]
) -> None:
    events = [read(DATASETS, f"datasets/many/b{number}/1", WORKER) for number in range(200)]

    imported(log_file(events))
    delivered()

    found = records("many")
    assert [len(record["events"]) for record in found] == [90, 90, 20]
    assert sorted(each for record in found for each in record["events"]) == sorted(
        event["eventID"] for event in events
    )


def test_two_deliveries_at_once_append_a_read_once(
    imported: Import, delivered: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.evidence import imported as reads

    event = read(DATASETS, "datasets/raced/b/1", WORKER)
    known, raced = reads._known, list[int]()

    def outrun(dataset: str, events: Any) -> frozenset[str]:
        answer = known(dataset, events)
        if not raced:
            raced.append(1)
            imported(log_file([event, read(DATASETS, "datasets/raced/b/2", WORKER)]))
            delivered()
        return answer

    monkeypatch.setattr(reads, "_known", outrun)
    imported(log_file([event]))
    delivered()

    assert raced
    assert [len(record["events"]) for record in records("raced")] == [2]


def test_a_file_larger_than_the_memory_is_read_a_piece_at_a_time(
    trail: Any, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.shared import evidence

    one = json.dumps(read(DATASETS, "datasets/large/b/1", WORKER)).encode()
    count = 20_000
    content = gzip.compress(b'{"Records":[' + b",".join([one] * count) + b"]}", 1)
    sent: list[int] = []
    monkeypatch.setattr(evidence, "send", lambda m: sent.append(len(m["details"]["events"])))
    tracemalloc.start()
    try:
        imported(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sent) == count
    assert peak < len(one) * count / 4, "the events are never in memory together"


def test_a_damaged_file_is_tried_again(imported: Import) -> None:
    with pytest.raises(EOFError):
        imported(log_file([read(DATASETS, "datasets/cut/b/1", WORKER)])[:-20])
