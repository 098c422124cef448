"""Buckets that nobody reaches by accident: no public access, no ACLs, TLS only, versioned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from ._order import after
from ._policy_documents import policy_document, tls_only

ABORT_UPLOADS_AFTER_DAYS = 1


@dataclass(frozen=True)
class Retention:
    """For how long nobody removes or replaces an object.

    `mode`: COMPLIANCE is for everybody, GOVERNANCE for all but who has the right to pass over it.
    """

    mode: str
    days: int


def private_bucket(
    name: str,
    *,
    opts: pulumi.ResourceOptions,
    key_arn: pulumi.Input[str] | None = None,
    expire_after_days: int | None = None,
    noncurrent_days: int = 30,
    abort_uploads_after_days: int = ABORT_UPLOADS_AFTER_DAYS,
    lock: Retention | None = None,
) -> aws.s3.Bucket:
    """A private bucket, encrypted with the key (or with S3's own: log targets allow no other).

    `expire_after_days` deletes objects by age; superseded versions go after `noncurrent_days`, the
    parts of unfinished uploads after `abort_uploads_after_days`. `lock` keeps versions in place.
    The settings are children of the bucket. Its policy is `bucket_policy`'s, since what the
    policy names is often made after the bucket.
    """
    bucket = aws.s3.Bucket(name, object_lock_enabled=True if lock else None, opts=opts)
    child = pulumi.ResourceOptions(parent=bucket)
    aws.s3.BucketPublicAccessBlock(
        name,
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=child,
    )
    aws.s3.BucketOwnershipControls(
        name, bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
    )
    versioning = aws.s3.BucketVersioning(
        name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=child
    )
    algorithm: dict[str, Any] = (
        {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn}
        if key_arn is not None
        else {"sse_algorithm": "AES256"}
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=bucket.id,
        rules=[
            {
                "apply_server_side_encryption_by_default": algorithm,  # type: ignore[typeddict-item]
                "bucket_key_enabled": key_arn is not None,
            }
        ],
        opts=child,
    )
    if lock is not None:
        aws.s3.BucketObjectLockConfiguration(
            name,
            bucket=bucket.id,
            rule={"default_retention": {"mode": lock.mode, "days": lock.days}},
            opts=after(child, versioning),
        )
    # A rule on superseded versions needs versioning to be on.
    aws.s3.BucketLifecycleConfiguration(
        name,
        bucket=bucket.id,
        rules=lifecycle_rules(  # type: ignore[arg-type]
            expire_after_days, noncurrent_days, abort_uploads_after_days
        ),
        opts=after(child, versioning),
    )
    return bucket


def bucket_policy(
    name: str, bucket: aws.s3.Bucket, statements: Sequence[Mapping[str, Any]] = ()
) -> aws.s3.BucketPolicy:
    """The bucket's policy: TLS only, and the statements (whose values may be Outputs)."""
    everything = [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")]
    plain = tls_only("s3:*", everything, principal={"AWS": "*"})
    return aws.s3.BucketPolicy(
        name,
        bucket=bucket.id,
        policy=policy_document([plain, *statements]),
        opts=pulumi.ResourceOptions(parent=bucket),
    )


def lifecycle_rules(
    expire_after_days: int | None,
    noncurrent_days: int,
    abort_uploads_after_days: int = ABORT_UPLOADS_AFTER_DAYS,
) -> list[dict[str, Any]]:
    """Cleans up abandoned uploads and superseded versions, and objects by age if asked to."""
    rules: list[dict[str, Any]] = [
        {
            "id": "clean-up",
            "status": "Enabled",
            "filter": {},
            "abort_incomplete_multipart_upload": {
                "days_after_initiation": abort_uploads_after_days
            },
            "noncurrent_version_expiration": {"noncurrent_days": noncurrent_days},
        }
    ]
    if expire_after_days is not None:
        rules.append(
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {},
                "expiration": {"days": expire_after_days},
            }
        )
    return rules


def log_access(
    name: str, bucket: aws.s3.Bucket, *, opts: pulumi.ResourceOptions, days: int = 365
) -> aws.s3.Bucket:
    """Keeps the bucket's server access logs, in a bucket of their own, for so many days."""
    logs = private_bucket(name, expire_after_days=days, opts=opts)
    policy = bucket_policy(name, logs, [log_delivery(logs.arn, bucket.arn)])
    aws.s3.BucketLogging(
        name,
        bucket=bucket.id,
        target_bucket=policy.bucket,  # by way of the policy, without which S3 can't write there
        target_prefix="access/",
        opts=pulumi.ResourceOptions(parent=bucket),
    )
    return logs


def log_delivery(target_arn: pulumi.Input[str], source_arn: pulumi.Input[str]) -> Mapping[str, Any]:
    """Lets S3 write the access logs of one bucket of this account into another.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    return {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": pulumi.Output.concat(target_arn, "/*"),
        "Condition": {
            "ArnLike": {"aws:SourceArn": source_arn},
            "StringEquals": {"aws:SourceAccount": aws.get_caller_identity_output().account_id},
        },
    }
