"""Operators from their own Helm charts: load balancers, secrets, scaling by queue, GPUs.

Each that has to do with AWS has a role of its own, by EKS Pod Identity. What EKS manages is in
`_cluster_addons`; Karpenter has a module of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ._cluster_addons import ON_SYSTEM_NODES, pod_trust
from ._cluster_pools import NODE_ROLE_LABEL
from ._order import after

SMALL = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}


@dataclass(frozen=True)
class Operator:
    """A chart, its pinned version and how it is set up."""

    name: str
    repository: str
    version: str
    namespace: str
    service_account: str | None
    """The account that gets the role; none, if nothing in AWS is its business."""
    values: Mapping[str, Any] = field(default_factory=dict)


def load_balancer_controller(
    *,
    cluster_name: pulumi.Input[str],
    region: pulumi.Input[str],
    vpc_id: pulumi.Input[str],
) -> Operator:
    """Makes an Application Load Balancer of each Ingress of class `alb`."""
    account = "aws-load-balancer-controller"
    return Operator(
        account,
        "https://aws.github.io/eks-charts",
        "3.5.0",
        "kube-system",
        account,
        {
            **ON_SYSTEM_NODES,
            "clusterName": cluster_name,
            # Pods don't reach the metadata of their node, where it would look for these.
            "region": region,
            "vpcId": vpc_id,
            "serviceAccount": {"name": account},
            "resources": SMALL,
            "enableShield": False,
            "enableWaf": False,
            # While it is down, other Services must still be made.
            "enableServiceMutatorWebhook": False,
            # Otherwise each upgrade replaces the webhook's certificate under running pods.
            "keepTLSSecret": True,
        },
    )


def external_secrets() -> Operator:
    """Keeps Secrets in step with what Secrets Manager has."""
    parts = ("webhook", "certController")
    return Operator(
        "external-secrets",
        "https://charts.external-secrets.io",
        "2.9.0",
        "external-secrets",
        "external-secrets",
        {
            **ON_SYSTEM_NODES,
            "serviceAccount": {"name": "external-secrets"},
            "resources": SMALL,
            **{part: {**ON_SYSTEM_NODES, "resources": SMALL} for part in parts},
            # Only ExternalSecrets in the namespace of their SecretStore: nothing cluster-wide.
            "processClusterExternalSecret": False,
            "processClusterGenerator": False,
            "processClusterPushSecret": False,
            "processClusterStore": False,
            "processPushSecret": False,
        },
    )


def keda() -> Operator:
    """Scales Deployments by the length of their queue, from 0 and back."""
    parts = ("operator", "metricServer", "webhooks")
    return Operator(
        "keda",
        "https://kedacore.github.io/charts",
        "2.20.2",
        "keda",
        "keda-operator",
        {
            **ON_SYSTEM_NODES,
            "resources": dict.fromkeys(parts, SMALL),
            "image": {"pullPolicy": "IfNotPresent"},
        },
    )


def nvidia_device_plugin(pools: Sequence[str]) -> Operator:
    """Tells Kubernetes of the GPUs of these pools' nodes, whose drivers come with Karpenter's image
    of them."""
    on_gpu_nodes = {"key": NODE_ROLE_LABEL, "operator": "In", "values": list(pools)}
    return Operator(
        "nvidia-device-plugin",
        "https://nvidia.github.io/k8s-device-plugin",
        "0.18.2",
        "nvidia-device-plugin",
        None,
        {
            # The chart's own affinity waits for labels of an operator that isn't here.
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [on_gpu_nodes]}]
                    }
                }
            },
            "tolerations": [{"key": NODE_ROLE_LABEL, "operator": "Exists"}],
            "resources": {
                "requests": {"cpu": "10m", "memory": "64Mi"},
                "limits": {"memory": "256Mi"},
            },
        },
    )


class OperatorInstaller:
    """Installs operators into one cluster."""

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Output[str],
        provider: kubernetes.Provider,
        depends_on: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        self._name, self._cluster_name = name, cluster_name
        self._depends_on, self._opts = depends_on, opts
        self._in_cluster = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(provider=provider)
        )

    def install(
        self, operator: Operator, policy: pulumi.Input[str] | None = None
    ) -> kubernetes.helm.v3.Release:
        """The operator, after the role that its pods start with, if there is a policy for it."""
        account = operator.service_account
        identity = (
            [] if account is None or policy is None else self._identity(operator, account, policy)
        )
        return kubernetes.helm.v3.Release(
            f"{self._name}-{operator.name}",
            name=operator.name,
            chart=operator.name,
            repository_opts={"repo": operator.repository},
            version=operator.version,
            namespace=operator.namespace,
            create_namespace=operator.namespace != "kube-system",
            values=operator.values,
            atomic=True,
            opts=after(self._in_cluster, *identity, *self._depends_on),
        )

    def _identity(
        self, operator: Operator, service_account: str, policy: pulumi.Input[str]
    ) -> list[pulumi.Resource]:
        label = f"{self._name}-{operator.name}"
        role = aws.iam.Role(
            label,
            description=f"Operator {operator.name} of the cluster",
            assume_role_policy=pod_trust(self._cluster_name, operator.namespace, service_account),
            opts=self._opts,
        )
        permissions = aws.iam.RolePolicy(label, role=role.name, policy=policy, opts=self._opts)
        association = aws.eks.PodIdentityAssociation(
            label,
            cluster_name=self._cluster_name,
            namespace=operator.namespace,
            service_account=service_account,
            role_arn=role.arn,
            opts=self._opts,
        )
        return [permissions, association]
