"""Karpenter: makes nodes for pods that wait for one, and ends them when they are idle."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ._cluster_addons import NAMESPACE, ON_SYSTEM_NODES, pod_trust
from ._cluster_karpenter_policy import ControllerScope, controller_policy
from ._cluster_nodes import node_policies, node_role
from ._cluster_pools import DISCOVERY_TAG, NodePool, node_class_spec
from ._documents import json_document
from ._keys import encryption_key
from ._order import after
from ._queues import QUEUE_KEY_REUSE_SECONDS, queue_policy

VERSION = "1.14.1"
CHARTS = "oci://public.ecr.aws/karpenter"
SERVICE_ACCOUNT = "karpenter"
# A warning is two minutes ahead at most; later nobody needs it.
MESSAGE_SECONDS = 300
# What tells that a machine is about to go: https://karpenter.sh/docs/concepts/disruption/#interruption
INTERRUPTIONS = {
    "health": ("aws.health", "AWS Health Event"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
}
# Enough for some hundred nodes; the memory limit is the request, as upstream advises.
RESOURCES = {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}


class Karpenter:
    """The controller with its role and queue, the role of its nodes, and the node pools.

    Nodes are found and permitted by tags that name the cluster. When the stack is deleted, first
    the pools go, with their nodes, then what they need to go.
    """

    def __init__(
        self,
        name: str,
        *,
        cluster_name: str,
        cluster: pulumi.Output[str],
        security_group_id: pulumi.Input[str],
        volume_key: aws.kms.Key,
        provider: kubernetes.Provider,
        depends_on: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """`cluster` is the name once the cluster is there; `depends_on`, what runs in it before."""
        self._name, self._cluster_name, self._cluster = name, cluster_name, cluster
        self._volume_key, self._opts = volume_key, opts
        self._in_cluster = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(provider=provider)
        )
        self._queue_key, self._queue, listening = self._interruption_queue()
        self._node_role = node_role(f"{name}-node", opts=opts)
        joining = self._nodes_may_join(security_group_id)
        self._profile = aws.iam.InstanceProfile(
            f"{name}-node", role=self._node_role.name, opts=opts
        )
        self._controller = self._install([*listening, *joining, *self._identity(), *depends_on])

    def make_pools(
        self, pools: Sequence[NodePool], image_version: str
    ) -> Sequence[pulumi.Resource]:
        """The pools, the class of machines that they share, and those of pools with tags."""
        classes = {
            name: self._custom_resource(
                *("EC2NodeClass", "karpenter.k8s.aws/v1", name),
                node_class_spec(
                    cluster_name=self._cluster_name,
                    instance_profile=self._profile.name,
                    volume_key_arn=self._volume_key.arn,
                    image_version=image_version,
                    tags=tags,
                ),
                self._controller,
            )
            for name, tags in {pool.node_class: pool.tags for pool in pools}.items()
        }
        return [
            self._custom_resource(
                *("NodePool", "karpenter.sh/v1", pool.name, pool.spec()), classes[pool.node_class]
            )
            for pool in pools
        ]

    def _custom_resource(
        self, kind: str, version: str, name: str, spec: dict[str, Any], earlier: pulumi.Resource
    ) -> pulumi.Resource:
        return pulumi.CustomResource(
            f"kubernetes:{version}:{kind}",
            f"{self._name}-{name}",
            {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec},
            after(self._in_cluster, earlier),
        )

    def _interruption_queue(self) -> tuple[aws.kms.Key, aws.sqs.Queue, list[pulumi.Resource]]:
        """A queue that hears of machines about to go, once the resources with it are there."""
        rules = {
            label: aws.cloudwatch.EventRule(
                f"{self._name}-{label}",
                description=f"{event}, for Karpenter",
                event_pattern=json_document({"source": [source], "detail-type": [event]}),
                opts=self._opts,
            )
            for label, (source, event) in INTERRUPTIONS.items()
        }
        events = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
        # Without a condition: EventBridge isn't documented to name the rule to KMS. The queue's
        # own policy says whose events it takes.
        use_key = {
            "Sid": "Events",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        }
        key = encryption_key(
            f"{self._name}-queue",
            "Interruptions of the cluster's nodes",
            statements=[{**events, **use_key}],
            opts=self._opts,
        )
        queue = aws.sqs.Queue(
            f"{self._name}-interruptions",
            message_retention_seconds=MESSAGE_SECONDS,
            kms_master_key_id=key.arn,
            kms_data_key_reuse_period_seconds=QUEUE_KEY_REUSE_SECONDS,
            opts=self._opts,
        )
        send = {
            **events,
            "Sid": "Events",
            "Action": "sqs:SendMessage",
            "Resource": queue.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": [r.arn for r in rules.values()]}},
        }
        return key, queue, self._send(rules, queue, send)

    def _send(
        self,
        rules: dict[str, aws.cloudwatch.EventRule],
        queue: aws.sqs.Queue,
        send: dict[str, Any],
    ) -> list[pulumi.Resource]:
        permitted = queue_policy(f"{self._name}-interruptions", queue, [send], opts=self._opts)
        targets = [
            aws.cloudwatch.EventTarget(
                f"{self._name}-{label}", rule=rule.name, arn=queue.arn, opts=self._opts
            )
            for label, rule in rules.items()
        ]
        return [permitted, *targets]

    def _nodes_may_join(self, security_group_id: pulumi.Input[str]) -> list[pulumi.Resource]:
        """Nodes of a managed group have all this from EKS; Karpenter's get it from us."""
        entry = aws.eks.AccessEntry(
            f"{self._name}-node",
            cluster_name=self._cluster,
            principal_arn=self._node_role.arn,
            type="EC2_LINUX",
            opts=self._opts,
        )
        # EKS makes the group, so its tags aren't in any resource of ours.
        tag = aws.ec2.Tag(
            f"{self._name}-discovery",
            resource_id=security_group_id,
            key=DISCOVERY_TAG,
            value=self._cluster_name,
            opts=self._opts,
        )
        policies = node_policies(f"{self._name}-node", self._node_role, opts=self._opts)
        return [entry, tag, *policies]

    def _identity(self) -> list[pulumi.Resource]:
        """The controller's role, which its pods get through Pod Identity."""
        role = aws.iam.Role(
            f"{self._name}-controller",
            description="Karpenter: makes and ends nodes of the cluster",
            assume_role_policy=pod_trust(self._cluster, NAMESPACE, SERVICE_ACCOUNT),
            opts=self._opts,
        )
        scope = ControllerScope(
            cluster_name=self._cluster_name,
            queue_arn=self._queue.arn,
            queue_key_arn=self._queue_key.arn,
            volume_key_arn=self._volume_key.arn,
            node_role_arn=self._node_role.arn,
        )
        permissions = aws.iam.RolePolicy(
            f"{self._name}-controller",
            role=role.name,
            policy=controller_policy(scope),
            opts=self._opts,
        )
        association = aws.eks.PodIdentityAssociation(
            f"{self._name}-controller",
            cluster_name=self._cluster,
            namespace=NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            role_arn=role.arn,
            opts=self._opts,
        )
        return [permissions, association]

    def _install(self, depends_on: Sequence[pulumi.Resource]) -> kubernetes.helm.v3.Release:
        # In a chart of their own, since Helm never upgrades those inside a chart.
        definitions = self._release("karpenter-crd", {}, depends_on)
        return self._release("karpenter", self._values(), [definitions])

    def _values(self) -> dict[str, Any]:
        return {
            **ON_SYSTEM_NODES,
            "serviceAccount": {"name": SERVICE_ACCOUNT},
            "controller": {"resources": RESOURCES},
            "settings": {
                "clusterName": self._cluster_name,
                "eksControlPlane": True,
                "interruptionQueue": self._queue.name,
            },
        }

    def _release(
        self, chart: str, values: dict[str, Any], depends_on: Sequence[pulumi.Resource]
    ) -> kubernetes.helm.v3.Release:
        return kubernetes.helm.v3.Release(
            f"{self._name}-{chart}",
            name=chart,
            chart=f"{CHARTS}/{chart}",
            version=VERSION,
            namespace=NAMESPACE,
            values=values,
            skip_crds=True,
            atomic=True,
            opts=after(self._in_cluster, *depends_on),
        )
