"""A challenge's queue: what is run, what is handed to the workers, what is set aside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from runner import __main__ as program
from runner.messages import (
    BadMessageError,
    Message,
    Queue,
    Submission,
    refusal,
    set_up,
    submission,
)

DIGEST = f"@sha256:{'0' * 64}"
REPOSITORY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/ai4h/submissions/kidney-ct"
# As apps/jobs/views.py of EvalAI makes them: keys of the address are texts.
TO_RUN = {
    "challenge_pk": "1",
    "phase_pk": "2",
    "is_static_dataset_code_upload_submission": True,
    "submitted_image_uri": REPOSITORY + DIGEST,
    "submission_pk": 42,
}
TO_SCORE = {
    "challenge_pk": "1",
    "phase_pk": 2,
    "submission_pk": "42",
    "is_static_dataset_code_upload_submission": False,
}


@dataclass(frozen=True)
class Queues:
    sqs: Any
    url: str
    scoring_url: str
    failed_url: str
    queue: Queue

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def bodies(self, url: str) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", [])]


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queues]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        sqs = boto3.client("sqs", region_name="eu-central-1")
        url, scoring, failed = (
            sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("own", "scoring", "failed")
        )
        yield Queues(sqs, url, scoring, failed, Queue(sqs, url, scoring))


def received(queues: Queues) -> Message:
    message = queues.queue.receive(0)
    assert message is not None
    return message


def test_what_evalai_sends_is_understood() -> None:
    assert submission(json.dumps(TO_RUN), 1) == Submission(42, 2, REPOSITORY + DIGEST)
    assert submission(json.dumps(TO_SCORE), 1) is None


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "null", "{", '"text"'),
        json.dumps({**TO_RUN, "submission_pk": "x"}),
        json.dumps({**TO_RUN, "challenge_pk": 7}),
        json.dumps({k: v for k, v in TO_RUN.items() if k != "submitted_image_uri"}),
    ],
)
def test_anything_else_is_refused(body: str) -> None:
    with pytest.raises(BadMessageError):
        submission(body, 1)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (REPOSITORY + DIGEST, ""),
        (f"{REPOSITORY}:v1", "by its digest"),
        (f"{REPOSITORY}:v1{DIGEST}", "come from"),
        (REPOSITORY + DIGEST[:-1], "by its digest"),
        (REPOSITORY + DIGEST + "\n", "by its digest"),
        (f"{REPOSITORY}-other{DIGEST}", "come from"),
        (f"docker.io/library/ubuntu{DIGEST}", "come from"),
    ],
)
def test_images_are_pinned_and_from_known_places(image: str, message: str) -> None:
    found = refusal(image, [REPOSITORY])
    assert message in found
    assert bool(found) is bool(message)


def test_what_is_to_be_scored_goes_to_the_workers(queues: Queues) -> None:
    queues.send(json.dumps(TO_SCORE))
    queues.queue.to_workers(received(queues))
    assert [json.loads(body) for body in queues.bodies(queues.scoring_url)] == [TO_SCORE]
    attributes = queues.sqs.get_queue_attributes(QueueUrl=queues.url, AttributeNames=["All"])
    assert attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_message_stays_ours_while_we_say_so(queues: Queues) -> None:
    queues.send("{}")
    message = received(queues)
    assert queues.queue.keep(message)
    assert queues.queue.receive(0) is None
    assert queues.queue.keep(message, 0)
    assert received(queues).body == "{}"
    assert not queues.queue.keep(Message("{}", "not-a-receipt"))


def test_messages_that_nobody_handles_are_set_aside(queues: Queues) -> None:
    arn = queues.sqs.get_queue_attributes(QueueUrl=queues.failed_url, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    set_up(queues.sqs, queues.url, arn)
    queues.send("not for us")
    for _ in range(10):
        queues.queue.keep(received(queues), 0)
    assert queues.queue.receive(0) is None
    assert queues.bodies(queues.failed_url) == ["not for us"]


def test_workers_get_a_queue_that_hides_what_they_evaluate(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_aws", lambda _: queues.sqs)
    arn = "arn:aws:sqs:eu-central-1:123456789012:failed"
    assert program.set_up_queue(queues.url, arn, 3900) == 0
    found = queues.sqs.get_queue_attributes(QueueUrl=queues.url, AttributeNames=["All"])
    assert found["Attributes"]["VisibilityTimeout"] == "3900"
    redrive = json.loads(found["Attributes"]["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == (arn, 3)


def test_a_budget_that_is_used_up_takes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Denied:
        code = "AccessDenied"

        def receive_message(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": self.code}}, "ReceiveMessage")

    queue = Queue(Denied(), "url", "scoring")
    assert queue.receive(0) is None
    monkeypatch.setattr(Denied, "code", "QueueDoesNotExist")
    with pytest.raises(ClientError):
        queue.receive(0)
