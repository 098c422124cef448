"""KMS keys of one's own, administered by the account, used by named services or one role."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._arns import arn
from ._policy_documents import allow, policy_document

KEY_USE_ACTIONS = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey")

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


# Of those, the ones of a key that signs, and who may read the public half.
SIGNING_KEY_ACTIONS = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
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
    return aws.kms.Key(
        name,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=policy_document([_account(ACCOUNT_ACTIONS), *statements]),
        region=region,
        opts=opts,
    )


def signing_key(
    name: str, description: str, *, signer_arn: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> aws.kms.Key:
    """An elliptic key with which one role signs, and nobody else in the account.

    KMS doesn't rotate such keys: what was signed must stay verifiable with one public key.
    """
    signer = {
        "Sid": "Signer",
        "Effect": "Allow",
        "Principal": {"AWS": signer_arn},
        "Action": "kms:Sign",
        "Resource": "*",
    }
    return aws.kms.Key(
        name,
        description=description,
        customer_master_key_spec="ECC_NIST_P256",
        key_usage="SIGN_VERIFY",
        deletion_window_in_days=30,
        policy=policy_document([_account(SIGNING_KEY_ACTIONS), signer]),
        opts=opts,
    )


def _account(actions: Sequence[str]) -> Mapping[str, Any]:
    return {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": arn("iam", "root")},
        "Action": actions,
        "Resource": "*",
    }


def key_through(
    service: str, key_arn: pulumi.Input[str], actions: Sequence[str] = KEY_USE_ACTIONS
) -> dict[str, Any]:
    """Use a key, through one service of AWS only."""
    region = aws.get_region_output().region
    name = pulumi.Output.concat(service, ".", region, ".amazonaws.com")
    return allow(actions, key_arn, condition={"StringEquals": {"kms:ViaService": name}})


def log_statement(region: pulumi.Input[str]) -> Mapping[str, Any]:
    """Lets CloudWatch Logs of a region use the key, for log groups of this account only.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    groups = arn("logs", "log-group:*", region=region)
    return {
        "Sid": "Logs",
        "Effect": "Allow",
        "Principal": {"Service": pulumi.Output.concat("logs.", region, ".amazonaws.com")},
        "Action": [
            "kms:Decrypt",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    }
