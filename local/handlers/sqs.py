"""Simple Queue Service: queues and their policies."""

from typing import Any

from local.handlers.base import Aws, Handler, Properties, Put, physical_name
from local.handlers.policies import enforceable

# What the provider calls otherwise than the API; the rest differs in its first letter only.
ATTRIBUTES = {
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "maxMessageSize": "MaximumMessageSize",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
}
OTHERS = frozenset({"name", "namePrefix", "tags", "region", "policy"})


class Queue(Handler):
    """A standard or FIFO queue."""

    fixed = frozenset({"name", "namePrefix", "fifoQueue"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        queue = physical_name(name, inputs, longest=75)
        if inputs.get("fifoQueue") and not queue.endswith(".fifo"):
            queue += ".fifo"
        sqs = aws.of("sqs", inputs)
        made = sqs.create_queue(
            QueueName=queue, Attributes=attributes(aws, inputs), tags=inputs.get("tags") or {}
        )
        url = made["QueueUrl"]
        described = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, {"name": queue, "url": url, "arn": described["Attributes"]["QueueArn"]}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        changed = attributes(aws, inputs)
        changed.pop("FifoQueue", None)
        aws.of("sqs", inputs).set_queue_attributes(QueueUrl=identity, Attributes=changed)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("sqs", outputs).delete_queue(QueueUrl=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("sqs", outputs).get_queue_url(QueueName=outputs["name"])


class QueuePolicy(Put):
    """A queue's policy, which the local AWS enforces but for a few conditions."""

    fixed = frozenset({"queueUrl"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        self._put(aws, inputs, enforceable(aws, inputs["policy"]) or "")
        return inputs["queueUrl"], {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        self._put(aws, outputs, "")

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("sqs", outputs).get_queue_attributes(QueueUrl=outputs["queueUrl"])

    def _put(self, aws: Aws, properties: Properties, policy: str) -> None:
        aws.of("sqs", properties).set_queue_attributes(
            QueueUrl=properties["queueUrl"], Attributes={"Policy": policy}
        )


def attributes(aws: Aws, inputs: Properties) -> dict[str, str]:
    """A queue's attributes, which the API takes as texts."""
    found = {
        ATTRIBUTES.get(name, name[0].upper() + name[1:]): (
            str(value).lower() if isinstance(value, bool) else str(value)
        )
        for name, value in inputs.items()
        if value is not None and name not in OTHERS
    }
    policy = enforceable(aws, inputs["policy"]) if inputs.get("policy") else None
    return found | ({"Policy": policy} if policy else {})


HANDLERS: dict[str, Handler] = {
    "aws:sqs/queue:Queue": Queue(),
    "aws:sqs/queuePolicy:QueuePolicy": QueuePolicy(),
}
