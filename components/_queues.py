"""What all SQS queues have in common: for how long they keep what failed, and TLS only."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._policy_documents import policy_document, tls_only

# The longest that SQS keeps a message. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/
# SQSDeveloperGuide/quotas-messages.html
FAILURE_RETENTION_SECONDS = 14 * 24 * 3600
QUEUE_KEY_REUSE_SECONDS = 300


def queue_policy(
    name: str,
    queue: aws.sqs.Queue,
    statements: Sequence[Mapping[str, Any]] = (),
    *,
    opts: pulumi.ResourceOptions,
) -> aws.sqs.QueuePolicy:
    """The queue's policy: TLS only, and the statements; what roles may do is in their own."""
    return aws.sqs.QueuePolicy(
        name,
        queue_url=queue.url,
        policy=policy_document([tls_only("sqs:*", queue.arn), *statements]),
        opts=opts,
    )
