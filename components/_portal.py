"""The portal: a private bucket with the page's files, and the headers it is served with."""

import mimetypes
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from ._buckets import bucket_policy, log_access, private_bucket

TWO_YEARS_SECONDS = 2 * 365 * 24 * 3600


def portal_bucket(
    name: str,
    files: Path,
    *,
    key_arn: pulumi.Input[str],
    log_retention_days: int,
    opts: pulumi.ResourceOptions,
) -> aws.s3.Bucket:
    """A bucket with the files and an access log; its policy is `serve`'s."""
    bucket = private_bucket(name, key_arn=key_arn, opts=opts)
    log_access(f"{name}-logs", bucket, opts=opts, days=log_retention_days)
    child = pulumi.ResourceOptions(parent=bucket)
    for path in sorted(path for path in files.rglob("*") if path.is_file()):
        key = path.relative_to(files).as_posix()
        aws.s3.BucketObjectv2(
            f"{name}-{key}",
            bucket=bucket.id,
            key=key,
            source=pulumi.FileAsset(str(path)),
            content_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            cache_control="no-cache",
            opts=child,
        )
    return bucket


def serve(
    name: str, bucket: aws.s3.Bucket, distribution_arn: pulumi.Input[str]
) -> aws.s3.BucketPolicy:
    """Let one CloudFront distribution read the bucket."""
    return bucket_policy(
        name,
        bucket,
        [
            {
                "Sid": "CloudFront",
                "Effect": "Allow",
                "Principal": {"Service": "cloudfront.amazonaws.com"},
                "Action": "s3:GetObject",
                "Resource": pulumi.Output.concat(bucket.arn, "/*"),
                "Condition": {"StringEquals": {"aws:SourceArn": distribution_arn}},
            }
        ],
    )


def security_headers(region: str) -> Any:
    """Headers of every answer; the page may talk to its API, sign-in and S3 of the region."""
    connect = (
        f"'self' https://*.s3.{region}.amazonaws.com https://cognito-idp.{region}.amazonaws.com "
        f"https://*.auth.{region}.amazoncognito.com"
    )
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {
        "content_security_policy": {"content_security_policy": policy, "override": True},
        "content_type_options": {"override": True},
        "frame_options": {"frame_option": "DENY", "override": True},
        "referrer_policy": {"referrer_policy": "no-referrer", "override": True},
        "strict_transport_security": {
            "access_control_max_age_sec": TWO_YEARS_SECONDS,
            "include_subdomains": True,
            "preload": True,
            "override": True,
        },
    }
