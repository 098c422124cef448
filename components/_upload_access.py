"""What the upload functions may do, and what nobody may do in their bucket."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._policy_documents import allow, policy_document

SIGNATURE_MILLISECONDS = 300_000
"""How old a signature may be: the life of the URLs that the upload function signs."""

PREFIXES = ("datasets", "unassigned")
"""First part of every key: files of a dataset, and those that belong to none (yet)."""

# What a page must send with a presigned PUT, and what it may see of the answer.
CORS_REQUEST_HEADERS = ["content-type", "if-none-match", "range", "x-amz-checksum-sha256"]
CORS_ANSWER_HEADERS = [
    *("Accept-Ranges", "Content-Length", "Content-Range", "ETag"),
    *("x-amz-checksum-sha256", "x-amz-checksum-type", "x-amz-request-id", "x-amz-version-id"),
]
CORS_SECONDS = 3000


def allow_pages(
    name: str,
    bucket: aws.s3.Bucket,
    origins: Sequence[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> None:
    """Lets pages of these origins send and fetch bytes; without origins, nothing."""
    if not origins:
        return
    aws.s3.BucketCorsConfiguration(
        name,
        bucket=bucket.id,
        cors_rules=[
            {
                "allowed_origins": origins,
                "allowed_methods": ["GET", "HEAD", "PUT"],
                "allowed_headers": CORS_REQUEST_HEADERS,
                "expose_headers": CORS_ANSWER_HEADERS,
                "max_age_seconds": CORS_SECONDS,
            }
        ],
        opts=opts,
    )


def object_denials(
    bucket_arn: pulumi.Input[str], key_arn: pulumi.Input[str]
) -> list[Mapping[str, Any]]:
    """What no one may do, whatever else allows it: use old signatures, or encrypt otherwise.

    An upload that names no encryption gets the bucket's own. One that names `aws:kms` without a
    key would get AWS's key: a header that names no key differs from ours as well.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
    """
    every = {"Effect": "Deny", "Principal": {"AWS": "*"}}
    all_objects = pulumi.Output.concat(bucket_arn, "/*")
    return [
        {
            **every,
            "Sid": "FreshSignatures",
            "Action": "s3:*",
            "Resource": [bucket_arn, all_objects],
            "Condition": {"NumericGreaterThan": {"s3:signatureAge": str(SIGNATURE_MILLISECONDS)}},
        },
        {
            **every,
            "Sid": "OwnKey",
            "Action": "s3:PutObject",
            "Resource": all_objects,
            "Condition": {
                "Null": {"s3:x-amz-server-side-encryption": "false"},
                "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key_arn},
            },
        },
        {
            **every,
            "Sid": "NoKeyOfTheClient",
            "Action": "s3:PutObject",
            "Resource": all_objects,
            "Condition": {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
        },
    ]


def objects(bucket_arn: pulumi.Input[str]) -> Sequence[pulumi.Input[str]]:
    """Every object that is an upload."""
    return [pulumi.Output.concat(bucket_arn, f"/{prefix}/*") for prefix in PREFIXES]


def read_and_remove(bucket_arn: pulumi.Input[str]) -> list[Mapping[str, Any]]:
    """Examine an upload, and remove one that must not stay.

    With `s3:ListBucket` an object that isn't there is a 404; without, it would be a 403.
    """
    return [
        allow(["s3:ListBucket"], bucket_arn),
        allow(
            [
                *("s3:DeleteObject", "s3:DeleteObjectVersion"),
                *("s3:GetObject", "s3:GetObjectVersion"),
            ],
            objects(bucket_arn),
        ),
    ]


def reading_policy(bucket_arn: pulumi.Input[str], key_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """A policy for who reads uploads: nothing else of the bucket, and their key."""
    return policy_document(
        [allow(["s3:GetObject"], objects(bucket_arn)), allow(["kms:Decrypt"], key_arn)]
    )


def upload_records(control_table_arn: pulumi.Input[str]) -> Mapping[str, Any]:
    """Read and change the records of uploads, with their quota in the same transaction."""
    return allow(
        [
            *("dynamodb:DeleteItem", "dynamodb:GetItem"),
            *("dynamodb:PutItem", "dynamodb:UpdateItem"),
        ],
        control_table_arn,
    )
