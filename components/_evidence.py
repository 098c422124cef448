"""Evidence of datasets: the queue of reads, the function that appends and signs, and the seals."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._buckets import Retention, bucket_policy, log_access, private_bucket
from ._documents import json_document
from ._functions import Functions, call_on
from ._keys import signing_key
from ._policy_documents import allow
from ._queues import FAILURE_RETENTION_SECONDS, QUEUE_KEY_REUSE_SECONDS, queue_policy
from ._tables import partitions

PARTITIONS = ("evidence#*", "unsealed")
"""Of the control table: logs, and those that wait for a signature."""

FUNCTION_SECONDS = 60
BATCH = 10  # the most of a FIFO queue: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
TRIES = 8
SEALED_EVERY = "rate(1 minute)"
SEAL_DAYS = 3653  # ten years


class Evidence:
    """The queue that reads are sent to, and the function `evidence` behind it.

    The function alone signs, with a key of its own; each minute what changed, and whenever the API
    asks. Seals are in a bucket under Object Lock: for everybody where data are protected.
    """

    def __init__(
        self,
        name: str,
        *,
        functions: Functions,
        key: aws.kms.Key,
        control: aws.dynamodb.Table,
        log_retention_days: int,
        protect: bool,
        opts: pulumi.ResourceOptions,
        kept: pulumi.ResourceOptions,
    ) -> None:
        """`kept` are the options of what must not be deleted by accident."""
        self._name, self._key, self._opts = f"{name}-evidence", key, opts
        self.failures = self._queue(f"{self._name}-failures")
        self.queue = self._queue(
            f"{self._name}-reads",
            # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
            visibility_timeout_seconds=6 * FUNCTION_SECONDS,
            redrive_policy=json_document(
                {"deadLetterTargetArn": self.failures.arn, "maxReceiveCount": TRIES}
            ),
        )
        seals = self._seals(log_retention_days, protect, kept)
        role = functions.role("evidence")
        signing = signing_key(
            f"{self._name}-key", f"Signs the evidence of {name}", signer_arn=role.arn, opts=kept
        )
        self.public_key = aws.kms.get_public_key_output(key_id=signing.key_id).public_key_pem
        self.function = functions.function(
            "evidence",
            "functions.evidence.handler.handler",
            description="Appends to the logs of datasets, and signs where they end",
            environment={
                "CONTROL_TABLE_NAME": control.name,
                "SEALS_BUCKET": seals.bucket,
                "SIGNING_KEY_ID": signing.key_id,
                "SIGNING_PUBLIC_KEY": self.public_key,
            },
            statements=[
                partitions(
                    [
                        *("dynamodb:BatchGetItem", "dynamodb:GetItem"),
                        *("dynamodb:PutItem", "dynamodb:Query"),
                    ],
                    control.arn,
                    PARTITIONS,
                ),
                partitions(["dynamodb:DeleteItem"], control.arn, PARTITIONS[1:]),
                allow(["s3:ListBucketVersions"], seals.arn),
                allow(
                    ["s3:GetObjectVersion", "s3:PutObject"], pulumi.Output.concat(seals.arn, "/*")
                ),
                allow(["kms:Sign"], signing.arn),
                allow(
                    ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
                    self.queue.arn,
                ),
            ],
            timeout=FUNCTION_SECONDS,
            memory=512,
            role=role,
        )
        aws.lambda_.EventSourceMapping(
            f"{self._name}-reads",
            event_source_arn=self.queue.arn,
            function_name=self.function.resource.arn,
            batch_size=BATCH,
            function_response_types=["ReportBatchItemFailures"],
            opts=opts,
        )
        self._seal_by_the_clock()

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        """What the API's function must know."""
        return {
            "EVIDENCE_QUEUE_URL": self.queue.url,
            "EVIDENCE_FUNCTION": self.function.resource.name,
        }

    @property
    def statements(self) -> Sequence[Mapping[str, Any]]:
        """What the API's function may do: send reads, ask for a seal. It has the queue's key."""
        return [
            allow(["sqs:SendMessage"], self.queue.arn),
            allow(["lambda:InvokeFunction"], self.function.resource.arn),
        ]

    def _queue(self, name: str, **more: Any) -> aws.sqs.Queue:
        """Each dataset's messages in order, and as fast as there are datasets."""
        queue = aws.sqs.Queue(
            name,
            fifo_queue=True,
            deduplication_scope="messageGroup",
            fifo_throughput_limit="perMessageGroupId",
            message_retention_seconds=FAILURE_RETENTION_SECONDS,
            kms_master_key_id=self._key.arn,
            kms_data_key_reuse_period_seconds=QUEUE_KEY_REUSE_SECONDS,
            opts=self._opts,
            **more,
        )
        queue_policy(f"{name}-policy", queue, opts=self._opts)
        return queue

    def _seals(
        self, log_retention_days: int, protect: bool, kept: pulumi.ResourceOptions
    ) -> aws.s3.Bucket:
        name = f"{self._name}-seals"
        bucket = private_bucket(
            name,
            key_arn=self._key.arn,
            lock=Retention("COMPLIANCE" if protect else "GOVERNANCE", SEAL_DAYS),
            opts=kept,
        )
        bucket_policy(name, bucket)
        log_access(f"{name}-logs", bucket, opts=self._opts, days=log_retention_days)
        return bucket

    def _seal_by_the_clock(self) -> None:
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-seal",
            description="Signs the logs of datasets that were appended to",
            schedule_expression=SEALED_EVERY,
            opts=self._opts,
        )
        told = json.dumps({"seal": "all"})
        call_on(rule, self.function, f"{self._name}-seal", self._opts, told)
