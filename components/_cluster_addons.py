"""The cluster's add-ons: managed by EKS, in pinned versions, each with a role of its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from ._arns import arn, managed_policy
from ._cluster_nodes import SYSTEM_LABELS, SYSTEM_TAINT, volume_statements
from ._order import after
from ._policy_documents import policy_document

# What EKS lists for each Kubernetes version:
#   aws eks describe-addon-versions --kubernetes-version 1.36 --addon-name coredns
ADDON_VERSIONS: Mapping[str, Mapping[str, str]] = {
    "1.36": {
        "aws-ebs-csi-driver": "v1.66.0-eksbuild.1",
        "coredns": "v1.14.7-eksbuild.10",
        "eks-pod-identity-agent": "v1.4.0-eksbuild.3",
        "kube-proxy": "v1.36.0-eksbuild.25",
        "metrics-server": "v0.9.0-eksbuild.11",
        "vpc-cni": "v1.23.2-eksbuild.1",
    }
}
NAMESPACE = "kube-system"

# Deployments stay on the system nodes, out of the way of evaluations; daemon sets run everywhere.
ON_SYSTEM_NODES = {
    "nodeSelector": SYSTEM_LABELS,
    "tolerations": [{"key": SYSTEM_TAINT, "operator": "Exists"}],
}


@dataclass(frozen=True)
class AddonRole:
    """Permissions of an add-on's service account."""

    service_account: str
    managed_policy: str
    """Path and name of a policy of AWS."""
    statements: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Addon:
    """An add-on and how it is set up."""

    name: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    role: AddonRole | None = None


# A node is ready only when these run on it, so they come before the first one.
NODE_ADDONS = (
    Addon("eks-pod-identity-agent"),
    Addon(
        "vpc-cni",
        {
            "enableNetworkPolicy": "true",
            # Blocks of 16 addresses instead of single ones: more pods per node, fewer API calls.
            "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
        },
        AddonRole("aws-node", "AmazonEKS_CNI_Policy"),
    ),
    Addon("kube-proxy"),
)


def workload_addons(volume_key_arn: pulumi.Input[str]) -> tuple[Addon, ...]:
    """Add-ons that are scheduled on nodes, so they come after the first ones."""
    return (
        Addon("coredns", ON_SYSTEM_NODES),
        Addon("metrics-server", ON_SYSTEM_NODES),
        Addon(
            "aws-ebs-csi-driver",
            {"controller": ON_SYSTEM_NODES},
            AddonRole(
                "ebs-csi-controller-sa",
                "service-role/AmazonEBSCSIDriverPolicy",
                volume_statements(volume_key_arn),
            ),
        ),
    )


def addon_versions(kubernetes_version: str, pinned: Mapping[str, str]) -> dict[str, str]:
    """Version per add-on; ValueError when one isn't known for this version of Kubernetes."""
    versions = {**ADDON_VERSIONS.get(kubernetes_version, {}), **pinned}
    names = {addon.name for addon in (*NODE_ADDONS, *workload_addons(""))}
    if missing := sorted(names - set(versions)):
        raise ValueError(
            f"addon_versions: none known for Kubernetes {kubernetes_version} and "
            f"{', '.join(missing)}; see `aws eks describe-addon-versions`"
        )
    if unknown := sorted(set(versions) - names):
        raise ValueError(
            f"addon_versions: {', '.join(unknown)}: none of {', '.join(sorted(names))}"
        )
    return versions


class AddonInstaller:
    """Installs add-ons into one cluster."""

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        versions: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        self._name, self._cluster_name = name, cluster_name
        self._versions, self._opts = versions, opts

    def install(
        self, addons: Sequence[Addon], depends_on: Sequence[pulumi.Resource] = ()
    ) -> list[aws.eks.Addon]:
        """The add-ons, once everything in `depends_on` is there."""
        return [self._install(addon, depends_on) for addon in addons]

    def _install(self, addon: Addon, depends_on: Sequence[pulumi.Resource]) -> aws.eks.Addon:
        identities, policies = [], []
        if addon.role is not None:
            role, policies = self._role(addon.name, addon.role)
            identities = [{"role_arn": role.arn, "service_account": addon.role.service_account}]
        return aws.eks.Addon(
            f"{self._name}-{addon.name}",
            cluster_name=self._cluster_name,
            addon_name=addon.name,
            addon_version=self._versions[addon.name],
            configuration_values=json.dumps(addon.configuration, sort_keys=True)
            if addon.configuration
            else None,
            pod_identity_associations=identities,  # type: ignore[arg-type]
            # The program is the only one that sets them up.
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            opts=after(self._opts, *policies, *depends_on),
        )

    def _role(self, addon: str, wanted: AddonRole) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        role = aws.iam.Role(
            f"{self._name}-{addon}",
            description=f"Add-on {addon} of the cluster",
            assume_role_policy=pod_trust(self._cluster_name, NAMESPACE, wanted.service_account),
            opts=self._opts,
        )
        policies: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{addon}",
                role=role.name,
                policy_arn=managed_policy(wanted.managed_policy),
                opts=self._opts,
            )
        ]
        if wanted.statements:
            policies.append(
                aws.iam.RolePolicy(
                    f"{self._name}-{addon}",
                    role=role.name,
                    policy=policy_document(wanted.statements),
                    opts=self._opts,
                )
            )
        return role, policies


def pod_trust(
    cluster_name: pulumi.Input[str], namespace: str, service_account: str
) -> pulumi.Output[str]:
    """Lets pods of one service account of one cluster take a role, by EKS Pod Identity.

    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
    """
    account = aws.get_caller_identity_output().account_id
    cluster_arn = arn("eks", "cluster/", cluster_name, account=account)
    taking = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringEquals": {
                "aws:SourceAccount": account,
                "aws:RequestTag/eks-cluster-arn": cluster_arn,
                "aws:RequestTag/kubernetes-namespace": namespace,
                "aws:RequestTag/kubernetes-service-account": service_account,
            }
        },
    }
    return policy_document([taking])
