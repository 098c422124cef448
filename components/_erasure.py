"""Erasure: the function that removes what precedes a marker in the table's log of versions."""

import json

import pulumi
import pulumi_aws as aws

from ._functions import Functions
from ._policy_documents import allow
from ._tables import follow_stream

ERASER_SECONDS = 300
BATCH = 10
MAX_RECORD_AGE_SECONDS = 12 * 3600
"""Then a marker goes to the failure queue, with time left to look it up in the stream."""

# The marker of an erased resource is a version, too: functions/shared/erasure.py.
MARKERS = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"erased": {"BOOL": [True]}}}}


def erase_by_markers(
    name: str,
    *,
    functions: Functions,
    versions: aws.dynamodb.Table,
    overflow: aws.s3.Bucket,
    opts: pulumi.ResourceOptions,
) -> None:
    """Has a function of its own follow the stream; no other may delete versions.

    It is the stream's second reader, and two is what a shard serves:
    https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    """
    eraser = functions.function(
        "eraser",
        "functions.eraser.handler.handler",
        description="Removes the older versions of erased resources",
        environment={"TABLE_NAME": versions.name, "OVERFLOW_BUCKET": overflow.bucket},
        statements=[
            *follow_stream(versions.arn),
            allow(["dynamodb:DeleteItem", "dynamodb:Query"], versions.arn),
            allow(["s3:ListBucketVersions"], overflow.arn),
            allow(
                ["s3:DeleteObject", "s3:DeleteObjectVersion"],
                pulumi.Output.concat(overflow.arn, "/*"),
            ),
        ],
        timeout=ERASER_SECONDS,
        memory=256,
    )
    aws.lambda_.EventSourceMapping(
        f"{name}-eraser",
        event_source_arn=versions.stream_arn,
        function_name=eraser.resource.arn,
        starting_position="TRIM_HORIZON",
        filter_criteria={"filters": [{"pattern": json.dumps(MARKERS)}]},
        batch_size=BATCH,
        bisect_batch_on_function_error=True,
        maximum_retry_attempts=-1,
        maximum_record_age_in_seconds=MAX_RECORD_AGE_SECONDS,
        destination_config={"on_failure": {"destination_arn": functions.failure_queue.arn}},
        opts=opts,
    )
