"""The functions in process: tables and bucket on moto, and an issuer of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.functions.aws import emulated
from tests.issuer import REGION, issuer, pool

__all__ = ["issuer", "pool"]  # fixtures

VERSIONS, CONTROL, OVERFLOW = "versions", "control", "overflow"
READS = "evidence-reads.fifo"


def create_tables(dynamodb: Any, versions: str, control: str) -> None:
    """The table of versions with its change index, and the control table."""
    by_time = {
        "IndexName": "changes",
        "KeySchema": [
            {"AttributeName": "shard", "KeyType": "HASH"},
            {"AttributeName": "updated", "KeyType": "RANGE"},
        ],
        "Projection": {
            "ProjectionType": "INCLUDE",
            "NonKeyAttributes": ["owner", "dataset", "deleted", "erased"],
        },
    }
    for table, sort, kind, indexes in (
        (versions, "version", "N", [by_time]),
        (control, "sk", "S", []),
    ):
        indexed = [key for index in indexes for key in index["KeySchema"]]
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": sort, "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": sort, "AttributeType": kind},
                *({"AttributeName": k["AttributeName"], "AttributeType": "S"} for k in indexed),
            ],
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        )


def create_queue(sqs: Any) -> str:
    """The queue of reads; its URL."""
    return sqs.create_queue(QueueName=READS, Attributes={"FifoQueue": "true"})["QueueUrl"]


@pytest.fixture(scope="module")
def tables() -> Iterator[Any]:
    """moto with both tables and the overflow bucket; the store's DynamoDB client."""
    with emulated() as patch:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("TABLE_NAME", VERSIONS)
        patch.setenv("CONTROL_TABLE_NAME", CONTROL)
        patch.setenv("OVERFLOW_BUCKET", OVERFLOW)
        patch.setenv("CONSISTENCY_KEY", "key of the tests")
        from functions.shared import changes, clients

        for client in (clients.dynamodb, clients.s3, clients.sqs):
            client.cache_clear()
        changes._registered.clear()
        create_tables(clients.dynamodb(), VERSIONS, CONTROL)
        clients.s3().create_bucket(
            Bucket=OVERFLOW, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        patch.setenv("EVIDENCE_QUEUE_URL", create_queue(clients.sqs()))
        yield clients.dynamodb()
        for client in (clients.dynamodb, clients.s3, clients.sqs):
            client.cache_clear()
