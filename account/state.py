"""The Pulumi state backend: a bucket for the state, a key for the secrets in it."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._buckets import bucket_policy, log_access, private_bucket
from components._keys import encryption_key

SECRETS_ALIAS = "alias/ai4h-pulumi-secrets"
SUPERSEDED_STATE_DAYS = 180


@dataclass(frozen=True)
class StateBackend:
    """What stacks and pipelines need to know of the backend."""

    bucket_arn: pulumi.Output[str]
    bucket_key_arn: pulumi.Output[str]
    """Encrypts the bucket's objects."""
    secrets_key_arn: pulumi.Output[str]
    """Encrypts the secrets inside the state, so that reading the bucket isn't enough."""
    url: pulumi.Output[str]
    """For `pulumi login`."""
    secrets_provider: pulumi.Output[str]
    """For `pulumi stack init --secrets-provider`."""


def state_backend() -> StateBackend:
    """A versioned, encrypted, private bucket with access logs, and the key of the secrets."""
    kept = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
    key = encryption_key("state", "Pulumi state", opts=kept)
    secrets = encryption_key("state-secrets", "Secrets in Pulumi state", opts=kept)
    alias = aws.kms.Alias("state-secrets", name=SECRETS_ALIAS, target_key_id=secrets.id)
    bucket = private_bucket(
        "state", key_arn=key.arn, noncurrent_days=SUPERSEDED_STATE_DAYS, opts=kept
    )
    bucket_policy("state", bucket)
    log_access("state-access", bucket, opts=pulumi.ResourceOptions())
    region = aws.get_region_output().region
    return StateBackend(
        bucket_arn=bucket.arn,
        bucket_key_arn=key.arn,
        secrets_key_arn=secrets.arn,
        url=pulumi.Output.concat("s3://", bucket.bucket, "?region=", region),
        secrets_provider=pulumi.Output.concat("awskms://", alias.name, "?region=", region),
    )
