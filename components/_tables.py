"""The tables of the data store: the log of versions, and the control table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from ._policy_documents import allow

CHANGE_INDEX = "changes"
RECOVERY_DAYS = 35  # the longest that DynamoDB offers


@dataclass(frozen=True)
class Tables:
    """What a function that uses both tables must know of them."""

    table_name: pulumi.Input[str]
    table_arn: pulumi.Input[str]
    control_table_name: pulumi.Input[str]
    control_table_arn: pulumi.Input[str]
    table_key_arn: pulumi.Input[str]


def versions_table(
    name: str, *, key_arn: pulumi.Input[str], protect: bool, opts: pulumi.ResourceOptions
) -> aws.dynamodb.Table:
    """One item per version of a resource: never changed in place, and removed by erasure only.

    Its index lists by type (in shards) and time what changed, for history and export.
    """
    return aws.dynamodb.Table(
        name,
        billing_mode="PAY_PER_REQUEST",
        hash_key="pk",
        range_key="version",
        attributes=[
            {"name": "pk", "type": "S"},
            {"name": "version", "type": "N"},
            {"name": "shard", "type": "S"},
            {"name": "updated", "type": "S"},
        ],
        global_secondary_indexes=[
            {
                "name": CHANGE_INDEX,
                "hash_key": "shard",
                "range_key": "updated",
                "projection_type": "INCLUDE",  # what access rules ask for, but no bodies
                "non_key_attributes": ["owner", "dataset", "deleted", "erased"],
            }
        ],
        stream_enabled=True,
        stream_view_type="NEW_IMAGE",
        point_in_time_recovery={"enabled": True, "recovery_period_in_days": RECOVERY_DAYS},
        server_side_encryption={"enabled": True, "kms_key_arn": key_arn},
        deletion_protection_enabled=protect,
        opts=opts,
    )


def control_table(
    name: str, *, key_arn: pulumi.Input[str], protect: bool, opts: pulumi.ResourceOptions
) -> aws.dynamodb.Table:
    """Everything that is no version and does change: upload states, quotas, guards, quarantine."""
    return aws.dynamodb.Table(
        name,
        billing_mode="PAY_PER_REQUEST",
        hash_key="pk",
        range_key="sk",
        attributes=[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}],
        ttl={"attribute_name": "expires", "enabled": True},
        point_in_time_recovery={"enabled": True, "recovery_period_in_days": RECOVERY_DAYS},
        server_side_encryption={"enabled": True, "kms_key_arn": key_arn},
        deletion_protection_enabled=protect,
        opts=opts,
    )


def follow_stream(table_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    """The statements that let a function's event source mapping read a table's stream."""
    return [
        allow(
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            pulumi.Output.concat(table_arn, "/stream/*"),
        ),
        allow(["dynamodb:ListStreams"], "*"),  # knows no resource
    ]


def partitions(
    actions: Sequence[str], table_arn: pulumi.Input[str], keys: Sequence[str]
) -> dict[str, Any]:
    """An Allow statement on the items of a table whose hash keys are like one of these."""
    leading = {"dynamodb:LeadingKeys": list(keys)}
    return allow(actions, table_arn, condition={"ForAllValues:StringLike": leading})
