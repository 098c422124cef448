"""EvalAI's queue of a challenge: what its messages ask for, and how long they are ours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

# A runner that died gives its messages back after this.
VISIBLE_AFTER_SECONDS = 180
# A message is received again only when its runner went away; after that often something is wrong.
RECEIVES = 10
# A worker deletes a message however its evaluation ended: again means that it was killed.
WORKER_RECEIVES = 3
IMAGE = re.compile(r"(?P<repository>[a-z0-9][a-z0-9.:/_-]{0,254})@sha256:[0-9a-f]{64}")


class BadMessageError(ValueError):
    """A message that EvalAI didn't send, or not to this challenge."""


@dataclass(frozen=True)
class Message:
    """A message as received."""

    body: str
    receipt: str


@dataclass(frozen=True)
class Submission:
    """What a message asks to run."""

    id: int
    phase_id: int
    image: str
    """As the participant wrote it."""


def submission(body: str, challenge_id: int) -> Submission | None:
    """The submission to run; None when the message asks to score a prediction.

    BadMessageError when it is neither.
    """
    try:
        members = json.loads(body)
        if not members.get("is_static_dataset_code_upload_submission"):
            return None
        found = Submission(
            int(members["submission_pk"]),
            int(members["phase_pk"]),
            str(members["submitted_image_uri"]),
        )
        challenge = int(members["challenge_pk"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadMessageError(f"{type(error).__name__} in a message") from None
    if challenge != challenge_id:
        raise BadMessageError(f"a message of challenge {challenge}")
    return found


def refusal(image: str, repositories: Sequence[str]) -> str:
    """Why an image isn't run, for its participant; "" when it is."""
    match = IMAGE.fullmatch(image)
    if match is None:
        return (
            "Name your image by its digest, <repository>@sha256:<64 hexadecimal digits>: a tag may "
            "mean another image tomorrow. `docker inspect --format '{{index .RepoDigests 0}}' "
            "<image>` prints it after a push."
        )
    if match["repository"] not in repositories:
        return f"Images of this challenge come from {', '.join(repositories)}."
    return ""


def set_up(
    sqs: Any,
    url: str,
    failed_queue_arn: str,
    *,
    receives: int = RECEIVES,
    visible_after_seconds: int = VISIBLE_AFTER_SECONDS,
) -> None:
    """Makes a queue of EvalAI set aside what nobody could handle, and hide what is being handled
    for long enough: EvalAI makes its queues without the one and with half a minute of the other."""
    redrive = {"deadLetterTargetArn": failed_queue_arn, "maxReceiveCount": receives}
    attributes = {
        "RedrivePolicy": json.dumps(redrive),
        "VisibilityTimeout": str(visible_after_seconds),
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)


class Queue:
    """The challenge's queue, and the one that its workers score from."""

    def __init__(self, sqs: Any, url: str, scoring_url: str) -> None:
        self._sqs, self._url, self._scoring_url = sqs, url, scoring_url

    def receive(self, wait_seconds: int) -> Message | None:
        """The next message. None when there is none, or when we may not take any now: that is how
        a budget that is used up stops new submissions."""
        try:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=VISIBLE_AFTER_SECONDS,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
                return None
            raise
        for message in answer.get("Messages", ()):
            return Message(message["Body"], message["ReceiptHandle"])
        return None

    def keep(self, message: Message, seconds: int = VISIBLE_AFTER_SECONDS) -> bool:
        """Hides a message for longer; False when it isn't ours any more. SQS hides none for more
        than 12 hours: then it comes anew, and the work is found by its name."""
        try:
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )
        except ClientError as error:
            code = error.response["Error"]["Code"].rpartition(".")[2]
            if code in ("InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid"):
                return False
            raise
        return True

    def to_workers(self, message: Message) -> None:
        """Hands a message to the workers. Twice, if we are stopped here: they score it twice."""
        self._sqs.send_message(QueueUrl=self._scoring_url, MessageBody=message.body)
        self.delete(message)

    def delete(self, message: Message) -> None:
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)
