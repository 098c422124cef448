"""KMS keys of one's own: rotated yearly, administered by the account, used by named services."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

# What the default policy grants the account as kms:*, spelled out: administration and use, both
# still subject to IAM. https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
ACCOUNT_ACTIONS = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


def encryption_key(
    name: str,
    description: str,
    *,
    opts: pulumi.ResourceOptions,
    statements: Sequence[Mapping[str, Any]] = (),
    region: str | None = None,
) -> aws.kms.Key:
    """A symmetric key; `statements` let services use it (their values may be Outputs)."""
    account = aws.get_caller_identity_output().account_id
    partition = aws.get_partition_output().partition
    root = {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": pulumi.Output.concat("arn:", partition, ":iam::", account, ":root")},
        "Action": ACCOUNT_ACTIONS,
        "Resource": "*",
    }
    return aws.kms.Key(
        name,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=pulumi.Output.json_dumps(
            {"Version": "2012-10-17", "Statement": [root, *statements]}
        ),
        region=region,
        opts=opts,
    )


def log_statement(region: pulumi.Input[str]) -> Mapping[str, Any]:
    """Lets CloudWatch Logs of a region use the key, for log groups of this account only.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    account = aws.get_caller_identity_output().account_id
    partition = aws.get_partition_output().partition
    groups = pulumi.Output.concat("arn:", partition, ":logs:", region, ":", account, ":log-group:*")
    return {
        "Sid": "Logs",
        "Effect": "Allow",
        "Principal": {"Service": pulumi.Output.concat("logs.", region, ".amazonaws.com")},
        "Action": [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    }
