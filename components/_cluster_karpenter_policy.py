"""What Karpenter's controller may do: EC2 machines that carry the cluster's tag, and no others.

After the policy of its own CloudFormation template, less the making of instance profiles (ours is
there already), plus what version 1.14 reads beyond that and the key of the disks.
https://karpenter.sh/docs/reference/cloudformation/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from ._arns import arn
from ._cluster_nodes import volume_statements
from ._policy_documents import allow, policy_document

READ_ACTIONS = [
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets",
]
LAUNCH_ACTIONS = ["ec2:CreateFleet", "ec2:RunInstances"]
# What a launch makes, and what it uses without making it.
MADE = (
    "fleet",
    "instance",
    "launch-template",
    "network-interface",
    "spot-instances-request",
    "volume",
)
USED = ("security-group", "subnet")


@dataclass(frozen=True)
class ControllerScope:
    """What the controller's permissions are limited to; ARNs and names may be Outputs."""

    cluster_name: str
    queue_arn: pulumi.Input[str]
    queue_key_arn: pulumi.Input[str]
    volume_key_arn: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]


def controller_policy(scope: ControllerScope) -> pulumi.Output[str]:
    """The policy document of the controller's role."""
    region = aws.get_region_output().region

    def ec2(*kinds: str) -> list[Any]:
        return [arn("ec2", f"{kind}/*") for kind in kinds]

    public = [arn("ec2", f"{kind}/*", account="") for kind in ("image", "snapshot")]
    return policy_document(
        [
            *_launch_statements(scope.cluster_name, ec2, public),
            *_change_statements(scope.cluster_name, ec2),
            allow(
                READ_ACTIONS,
                "*",
                sid="Read",
                condition={"StringEquals": {"aws:RequestedRegion": region}},
            ),
            allow(["pricing:GetProducts"], "*", sid="ReadPrices"),
            allow(
                ["ssm:GetParameter"],
                arn("ssm", "parameter/aws/service/*", account=""),
                sid="FindImages",
            ),
            allow(
                ["iam:GetInstanceProfile"],
                arn("iam", "instance-profile/*"),
                sid="ReadProfiles",
            ),
            allow(["iam:ListInstanceProfiles"], "*", sid="FindProfiles"),
            allow(
                ["iam:PassRole"],
                scope.node_role_arn,
                sid="GiveNodesTheirRole",
                condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            ),
            allow(
                ["eks:DescribeCluster"],
                arn("eks", f"cluster/{scope.cluster_name}"),
                sid="FindCluster",
            ),
            allow(
                ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
                scope.queue_arn,
                sid="HearInterruptions",
            ),
            allow(["kms:Decrypt"], scope.queue_key_arn, sid="ReadQueue"),
            *_disk_statements(scope.volume_key_arn, region),
        ]
    )


def _launch_statements(cluster: str, ec2: Any, public: Sequence[Any]) -> list[dict[str, Any]]:
    """Launch from own templates only, and tag everything that is made at that moment."""
    created = {"ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]}
    return [
        allow(LAUNCH_ACTIONS, [*public, *ec2(*USED)], sid="LaunchFromAny"),
        allow(
            LAUNCH_ACTIONS,
            ec2("launch-template"),
            sid="LaunchFromOwnTemplates",
            condition=_owned(cluster),
        ),
        allow(
            [*LAUNCH_ACTIONS, "ec2:CreateLaunchTemplate"],
            ec2(*MADE),
            sid="Launch",
            condition=_tagged(cluster),
        ),
        allow(
            ["ec2:CreateTags"],
            ec2(*MADE),
            sid="TagAtLaunch",
            condition=_tagged(cluster, created),
        ),
    ]


def _change_statements(cluster: str, ec2: Any) -> list[dict[str, Any]]:
    """Name and end what the cluster owns."""
    return [
        allow(
            ["ec2:CreateTags"],
            ec2("instance"),
            sid="NameNodes",
            condition={
                **_owned(cluster),
                "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": cluster},
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]
                },
            },
        ),
        allow(
            ["ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"],
            ec2("instance", "launch-template"),
            sid="End",
            condition=_owned(cluster),
        ),
    ]


def _disk_statements(key_arn: pulumi.Input[str], region: pulumi.Input[str]) -> list[dict[str, Any]]:
    """EC2 encrypts the disks of a new node with the permissions of whoever launches it."""
    through_ec2 = pulumi.Output.concat("ec2.", region, ".amazonaws.com")
    return [
        {
            **statement,
            "Condition": {
                **statement.get("Condition", {}),
                "StringEquals": {"kms:ViaService": through_ec2},
            },
        }
        for statement in volume_statements(key_arn)
    ]


def _owned(cluster: str) -> dict[str, Any]:
    """Holds for what carries the tags that Karpenter gives its own."""
    return {
        "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"},
        "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
    }


def _tagged(cluster: str, further: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Holds for requests that give those tags."""
    return {
        "StringEquals": {
            f"aws:RequestTag/kubernetes.io/cluster/{cluster}": "owned",
            "aws:RequestTag/eks:eks-cluster-name": cluster,
            **(further or {}),
        },
        "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
    }
