"""The cluster's system nodes: two or three small machines for what keeps the cluster itself going.

Everything else runs on nodes that are made on demand.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._arns import arn, managed_policy
from ._keys import encryption_key
from ._order import after
from ._policy_documents import allow, service_trust

SYSTEM_TAINT = "CriticalAddonsOnly"
SYSTEM_LABELS = {"ai4h/node-role": "system"}
# Arm is the cheapest, and all add-ons are built for it. EC2 tries the types in this order.
SYSTEM_INSTANCE_TYPES = ["t4g.large", "m7g.large", "m6g.large"]
SYSTEM_NODES = {"min_size": 2, "desired_size": 2, "max_size": 3}
SYSTEM_AMI = "AL2023_ARM_64_STANDARD"
VOLUME_GIB = 40
# With prefix delegation addresses no longer limit pods; 110 is what Kubernetes recommends for nodes
# below 30 vCPU. https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html
MAX_PODS = 110
SCALING_ROLE = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
# Of the node role, and no more: the network plugin has a role of its own.
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")


def volume_key(name: str, *, opts: pulumi.ResourceOptions) -> aws.kms.Key:
    """The key of the disks of nodes and pods; node groups start machines through Auto Scaling."""
    return encryption_key(
        name,
        "Disks of the cluster's nodes and pods",
        statements=[
            {"Principal": {"AWS": arn("iam", SCALING_ROLE)}, **statement}
            for statement in volume_statements("*")
        ],
        opts=opts,
    )


def volume_statements(key_arn: pulumi.Input[str]) -> list[dict[str, Any]]:
    """What a principal that makes encrypted volumes needs of their key.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
    """
    return [
        allow(
            [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            key_arn,
            sid="UseKey",
        ),
        allow(
            "kms:CreateGrant",
            key_arn,
            sid="LendKeyToEc2",
            condition={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]


def node_role(name: str, *, opts: pulumi.ResourceOptions) -> aws.iam.Role:
    """A role for EC2 nodes: join the cluster, pull images, and hand pods their own identities."""
    return aws.iam.Role(
        name,
        description="Nodes of the cluster",
        assume_role_policy=service_trust("ec2.amazonaws.com"),
        opts=opts,
    )


def node_policies(
    name: str, role: aws.iam.Role, *, opts: pulumi.ResourceOptions
) -> list[aws.iam.RolePolicyAttachment]:
    """What a node role needs before its first node starts."""
    return [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}",
            role=role.name,
            policy_arn=managed_policy(policy),
            opts=opts,
        )
        for policy in NODE_POLICIES
    ]


def system_nodes(
    name: str,
    *,
    cluster_name: pulumi.Input[str],
    kubernetes_version: str,
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    security_group_id: pulumi.Input[str],
    role: aws.iam.Role,
    key: aws.kms.Key,
    depends_on: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> aws.eks.NodeGroup:
    """The managed node group that only pods which tolerate `CriticalAddonsOnly` run on.

    `depends_on` are the add-ons without which a node never becomes ready.
    """
    attachments = node_policies(name, role, opts=opts)
    template = _launch_template(
        name, security_group_id=security_group_id, key_arn=key.arn, opts=opts
    )
    return aws.eks.NodeGroup(
        name,
        cluster_name=cluster_name,
        version=kubernetes_version,
        ami_type=SYSTEM_AMI,
        instance_types=SYSTEM_INSTANCE_TYPES,
        node_role_arn=role.arn,
        subnet_ids=subnet_ids,
        launch_template={
            "id": template.id,
            "version": template.latest_version.apply(str),
        },
        scaling_config={
            "min_size": SYSTEM_NODES["min_size"],
            "desired_size": SYSTEM_NODES["desired_size"],
            "max_size": SYSTEM_NODES["max_size"],
        },
        update_config={"max_unavailable": 1},
        labels=SYSTEM_LABELS,
        taints=[{"key": SYSTEM_TAINT, "value": "true", "effect": "NO_SCHEDULE"}],
        opts=after(opts, *attachments, *depends_on),
    )


def _launch_template(
    name: str,
    *,
    security_group_id: pulumi.Input[str],
    key_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.LaunchTemplate:
    return aws.ec2.LaunchTemplate(
        name,
        description="System nodes: encrypted disk, instance metadata out of the pods' reach",
        update_default_version=True,
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            # A pod is one hop further away than the node: it can't take the node's role.
            "http_put_response_hop_limit": 1,
        },
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "volume_type": "gp3",
                    "volume_size": VOLUME_GIB,
                    "encrypted": "true",
                    "kms_key_id": key_arn,
                    "delete_on_termination": "true",
                },
            }
        ],
        network_interfaces=[
            {
                "device_index": 0,
                "associate_public_ip_address": "false",
                "delete_on_termination": "true",
                "security_groups": [security_group_id],
            }
        ],
        monitoring={"enabled": True},
        user_data=base64.b64encode(node_config({"maxPods": MAX_PODS}).encode()).decode(),
        tag_specifications=[
            {"resource_type": kind, "tags": {"Name": name}} for kind in ("instance", "volume")
        ],
        opts=opts,
    )


def node_config(kubelet: Mapping[str, int]) -> str:
    """User data of AL2023: what EKS merges with its own node configuration.

    https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/
    """
    settings = "".join(f"      {key}: {value}\n" for key, value in kubelet.items())
    return (
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="//"\n\n'
        "--//\nContent-Type: application/node.eks.aws\n\n"
        "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config:\n"
        f"{settings}\n--//--\n"
    )
