"""What EvalAI keeps beside its database: uploaded files, background tasks and its own secret."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from ._buckets import bucket_policy, log_access, private_bucket
from ._documents import json_document
from ._queues import FAILURE_RETENTION_SECONDS, QUEUE_KEY_REUSE_SECONDS, queue_policy

# Longer than a task may take (settings/ai4h.py), or it would be handed out twice.
TASK_SECONDS = 3900
# A task that ended its worker this often is set aside.
TRIES = 5


def media_bucket(
    name: str,
    *,
    host: str,
    key: aws.kms.Key,
    log_retention_days: int,
    opts: pulumi.ResourceOptions,
    kept: pulumi.ResourceOptions,
) -> aws.s3.Bucket:
    """Submissions, results and pictures; browsers send the parts of large files to it directly."""
    bucket = private_bucket(name, key_arn=key.arn, opts=kept)
    bucket_policy(name, bucket)
    log_access(f"{name}-logs", bucket, days=log_retention_days, opts=opts)
    aws.s3.BucketCorsConfiguration(
        name,
        bucket=bucket.id,
        cors_rules=[
            {
                "allowed_origins": [f"https://{host}"],
                "allowed_methods": ["GET", "HEAD", "PUT"],
                "allowed_headers": ["content-type", "content-md5"],
                "expose_headers": ["ETag"],
                "max_age_seconds": 3600,
            }
        ],
        opts=pulumi.ResourceOptions(parent=bucket),
    )
    return bucket


def task_queue(name: str, *, key: aws.kms.Key, opts: pulumi.ResourceOptions) -> aws.sqs.Queue:
    """Celery's queue, and one for tasks that nobody could finish."""
    failed = message_queue(
        f"{name}-failed", key=key, retention_seconds=FAILURE_RETENTION_SECONDS, opts=opts
    )
    return message_queue(name, key=key, failed=failed, opts=opts)


def message_queue(
    name: str,
    *,
    key: aws.kms.Key,
    opts: pulumi.ResourceOptions,
    physical_name: str | None = None,
    retention_seconds: int | None = None,
    visibility_seconds: int = TASK_SECONDS,
    failed: aws.sqs.Queue | None = None,
    tries: int = TRIES,
    tags: Mapping[str, str] | None = None,
) -> aws.sqs.Queue:
    """A queue, encrypted and by TLS only; `failed` gets what was taken `tries` times in vain."""
    redrive = None
    if failed is not None:
        redrive = json_document({"deadLetterTargetArn": failed.arn, "maxReceiveCount": tries})
    queue = aws.sqs.Queue(
        name,
        name=physical_name,
        visibility_timeout_seconds=visibility_seconds,
        message_retention_seconds=retention_seconds,
        redrive_policy=redrive,
        kms_master_key_id=key.arn,
        kms_data_key_reuse_period_seconds=QUEUE_KEY_REUSE_SECONDS,
        tags=tags,
        opts=opts,
    )
    queue_policy(name, queue, opts=opts)
    return queue


@dataclass(frozen=True)
class ApplicationSecret:
    """Django's secret key in Secrets Manager."""

    arn: pulumi.Output[str]
    version: aws.secretsmanager.SecretVersion


def application_secret(
    name: str, *, key: aws.kms.Key, opts: pulumi.ResourceOptions
) -> ApplicationSecret:
    """A key that nobody has to know; other settings may be added to the secret by hand."""
    secret = aws.secretsmanager.Secret(
        name, description="EvalAI: Django's SECRET_KEY", kms_key_id=key.arn, opts=opts
    )
    password = random.RandomPassword(name, length=64, special=False, opts=opts)
    version = aws.secretsmanager.SecretVersion(
        name,
        secret_id=secret.id,
        secret_string=json_document({"SECRET_KEY": password.result}),
        # What was added by hand stays.
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=["secretString"])
        ),
    )
    return ApplicationSecret(secret.arn, version)
