"""Daily backups of tables and buckets, in vaults that keep none longer than erasure allows."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._alarm_catalogue import backup_alarms
from ._alarms import raise_alarms
from ._arns import arn
from ._keys import KEY_USE_ACTIONS, encryption_key
from ._order import after
from ._policy_documents import allow, policy_document, service_trust

NIGHTLY = "cron(0 2 * * ? *)"
# Erased data may live on in backups for this long, and no backup longer.
RETENTION_DAYS = 35
START_WITHIN_MINUTES, COMPLETE_WITHIN_MINUTES = 60, 12 * 60

TABLE_ACTIONS = (
    "dynamodb:CreateBackup",
    "dynamodb:DescribeTable",
    "dynamodb:ListTagsOfResource",
    "dynamodb:StartAwsBackupJob",
)
# S3 backups follow a bucket by inventory and notification.
BUCKET_ACTIONS = (
    "s3:GetBucketAcl",
    "s3:GetBucketLocation",
    "s3:GetBucketNotification",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetInventoryConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutBucketNotification",
    "s3:PutInventoryConfiguration",
)
OBJECT_ACTIONS = (
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionTagging",
)
RULE_ACTIONS = (
    "events:DeleteRule",
    "events:DescribeRule",
    "events:DisableRule",
    "events:EnableRule",
    "events:ListTargetsByRule",
    "events:PutRule",
    "events:PutTargets",
    "events:RemoveTargets",
)


def daily_backup(
    name: str,
    *,
    tables: Sequence[aws.dynamodb.Table],
    buckets: Sequence[aws.s3.Bucket],
    key: aws.kms.Key,
    copy_region: str | None,
    alarm_topic_arn: pulumi.Input[str] | None,
    protect: bool,
    opts: pulumi.ResourceOptions,
) -> None:
    """A vault with a plan that fills it, and one in another region with copies of what is in it.

    Restoring is left to a person with rights of their own.
    """
    kept = pulumi.ResourceOptions.merge(
        opts, pulumi.ResourceOptions(protect=protect, retain_on_delete=protect)
    )
    vaults = [_vault(name, key, protect=protect, opts=opts, kept=kept)]
    keys = [key]
    copies: list[Any] = []
    lifecycle: Any = {"delete_after": RETENTION_DAYS}
    if copy_region is not None:
        copy = f"{name}-copy"
        # No key of the first region: it is gone with it.
        copy_key = encryption_key(copy, f"Copies of {name}", region=copy_region, opts=kept)
        vault = _vault(copy, copy_key, region=copy_region, protect=protect, opts=opts, kept=kept)
        # AWS counts the days of a copy from the day of its original.
        # https://docs.aws.amazon.com/aws-backup/latest/devguide/recov-point-create-a-copy.html
        copies = [{"destination_vault_arn": vault.arn, "lifecycle": lifecycle}]
        vaults.append(vault)
        keys.append(copy_key)
    plan = aws.backup.Plan(
        name,
        rules=[
            {
                "rule_name": "nightly",
                "target_vault_name": vaults[0].name,
                "schedule": NIGHTLY,
                "start_window": START_WITHIN_MINUTES,
                "completion_window": COMPLETE_WITHIN_MINUTES,
                "lifecycle": lifecycle,
                "copy_actions": copies,
            }
        ],
        opts=opts,
    )
    role = aws.iam.Role(
        f"{name}-role",
        description=f"Makes the backups of {name}",
        assume_role_policy=service_trust("backup.amazonaws.com"),
        opts=opts,
    )
    permissions = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=backup_policy(
            table_arns=[table.arn for table in tables],
            bucket_arns=[bucket.arn for bucket in buckets],
            vault_arns=[vault.arn for vault in vaults],
            key_arns=[each.arn for each in keys],
            copy_region=copy_region,
        ),
        opts=opts,
    )
    # Named one by one: what is named is backed up whatever the account's settings for its type.
    aws.backup.Selection(
        name,
        plan_id=plan.id,
        iam_role_arn=role.arn,
        resources=[item.arn for item in (*tables, *buckets)],
        opts=after(opts, permissions),
    )
    if alarm_topic_arn is not None:
        watched = backup_alarms(vaults[0].name, copied=copy_region is not None)
        raise_alarms(name, watched, alarm_topic_arn, opts)


def _vault(
    name: str,
    key: aws.kms.Key,
    *,
    region: str | None = None,
    protect: bool,
    opts: pulumi.ResourceOptions,
    kept: pulumi.ResourceOptions,
) -> aws.backup.Vault:
    """A vault that keeps nothing for longer than erasure allows."""
    vault = aws.backup.Vault(
        name, kms_key_arn=key.arn, region=region, force_destroy=not protect, opts=kept
    )
    aws.backup.VaultLockConfiguration(
        name,
        backup_vault_name=vault.name,
        max_retention_days=RETENTION_DAYS,
        region=region,
        opts=opts,
    )
    return vault


def backup_policy(
    *,
    table_arns: Sequence[pulumi.Input[str]],
    bucket_arns: Sequence[pulumi.Input[str]],
    vault_arns: Sequence[pulumi.Input[str]],
    key_arns: Sequence[pulumi.Input[str]],
    copy_region: str | None,
) -> pulumi.Output[str]:
    """What AWS's own policies for backups of DynamoDB and S3 allow, for these resources only.

    https://docs.aws.amazon.com/aws-backup/latest/devguide/security-iam-awsmanpol.html
    """
    regions = [None, *filter(None, [copy_region])]  # None is the stack's own
    points = [arn("backup", "recovery-point:*", region=region) for region in regions]
    statements = [
        allow(TABLE_ACTIONS, table_arns),
        allow(
            ["dynamodb:DeleteBackup", "dynamodb:DescribeBackup"],
            [pulumi.Output.concat(table, "/backup/*") for table in table_arns],
        ),
        allow(BUCKET_ACTIONS, bucket_arns),
        allow(OBJECT_ACTIONS, [pulumi.Output.concat(bucket, "/*") for bucket in bucket_arns]),
        allow(RULE_ACTIONS, arn("events", "rule/AwsBackupManagedRule*")),
        # They know no resource to restrict them to.
        allow(["cloudwatch:GetMetricData", "events:ListRules", "tag:GetResources"], "*"),
        allow(["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"], vault_arns),
        allow(["backup:TagResource"], points),
        allow(KEY_USE_ACTIONS, key_arns),
        allow(
            ["kms:CreateGrant"],
            key_arns,
            condition={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]
    if copy_region is not None:
        statements.append(allow(["backup:CopyFromBackupVault"], points[0]))
    return policy_document(statements)
