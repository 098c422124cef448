"""Node pools: which machines Karpenter makes, how many at most, and when they go again.

Plain specifications of custom resources; charts/evalai places its pods by their names and taint.
https://karpenter.sh/docs/concepts/nodepools/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from ._cluster_nodes import MAX_PODS

NODE_CLASS = "private"
NODE_ROLE_LABEL = "ai4h/node-role"
DISCOVERY_TAG = "karpenter.sh/discovery"
GPU = "nvidia.com/gpu"
GPU_POOL = "evaluation-gpu"
_INSTANCE = "karpenter.k8s.aws/instance"
# Images, checkpoints and the datasets that an evaluation unpacks.
VOLUME = "100Gi"


@dataclass(frozen=True)
class NodePool:
    """What one pool offers."""

    name: str
    limits: Mapping[str, int]
    """Of all its nodes together. Memory is bounded with vCPU, by 8 GiB each."""
    machines: Sequence[Mapping[str, Any]]
    """Requirements on instance types. While nodes start, each counts as the largest that might
    come of it, so with large ones a limit is used up by plans and scaling goes in small steps."""
    spot: bool
    tainted: bool
    """Whether only pods that tolerate the pool's taint run on it."""
    disruption: Mapping[str, Any]
    grace: str
    """How long a node that has to go waits for its pods, even for those not to be disrupted."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of its machines and their disks, beside those of all; with any, it has a class of its own."""

    @property
    def node_class(self) -> str:
        """Name of the class of its machines."""
        return self.name if self.tags else NODE_CLASS

    def spec(self) -> dict[str, Any]:
        """The spec of the NodePool."""
        taint = {"key": NODE_ROLE_LABEL, "value": self.name, "effect": "NoSchedule"}
        return {
            "limits": {resource: str(limit) for resource, limit in self.limits.items()},
            "disruption": self.disruption,
            "template": {
                "metadata": {"labels": {NODE_ROLE_LABEL: self.name}},
                "spec": {
                    "nodeClassRef": {
                        "group": "karpenter.k8s.aws",
                        "kind": "EC2NodeClass",
                        "name": self.node_class,
                    },
                    "requirements": self._requirements(),
                    "taints": [taint] if self.tainted else [],
                    "expireAfter": "336h",  # two weeks: no node misses patches for longer
                    "terminationGracePeriod": self.grace,
                },
            },
        }

    def _requirements(self) -> list[Mapping[str, Any]]:
        capacity = ["spot", "on-demand"] if self.spot else ["on-demand"]
        return [
            _require("kubernetes.io/arch", "In", "amd64"),
            _require("kubernetes.io/os", "In", "linux"),
            _require("karpenter.sh/capacity-type", "In", *capacity),
            *self.machines,
        ]


def platform_pool(*, cpu_limit: int, max_node_cpu: int) -> NodePool:
    """For what serves."""
    return NodePool(
        "platform",
        limits={"cpu": cpu_limit},
        machines=_without_gpu(max_node_cpu),
        spot=False,
        tainted=False,
        disruption={
            "consolidationPolicy": "WhenEmptyOrUnderutilized",
            "consolidateAfter": "2m",
            "budgets": [
                {"nodes": "1", "reasons": ["Underutilized", "Drifted"]},
                {"nodes": "100%", "reasons": ["Empty"]},
            ],
        },
        grace="1h",
    )


def evaluation_pool(*, cpu_limit: int, max_node_cpu: int, spot: bool) -> NodePool:
    """For evaluations."""
    return _for_evaluations("evaluation", {"cpu": cpu_limit}, _without_gpu(max_node_cpu), spot)


def gpu_pool(*, gpu_limit: int, families: Sequence[str], max_node_cpu: int, spot: bool) -> NodePool:
    """For evaluations on a GPU. Each machine has one, so that no two models share a machine's:
    a container's own environment can name any GPU of its machine, asked for or not.
    """
    machines = [
        *_with_gpus(1, families),
        _require(f"{_INSTANCE}-cpu", "Lt", str(max_node_cpu + 1)),
    ]
    return _for_evaluations(GPU_POOL, {GPU: gpu_limit}, machines, spot)


def models_pool(
    name: str,
    *,
    cpu: int,
    gpus: int,
    families: Sequence[str],
    parallel: int,
    tags: Mapping[str, str],
) -> NodePool:
    """For the models of one challenge: `parallel` at the same time, of so many vCPU and GPUs each.

    On demand: on spot, a long run might never end. With GPUs, a machine has as many as one model.
    """
    # Beside a model, a machine has room for the system's own pods.
    largest = max(8, 2 * (cpu + 2))
    return _for_evaluations(
        name,
        {GPU: parallel * gpus} if gpus else {"cpu": parallel * largest},
        _with_gpus(gpus, families) if gpus else _without_gpu(largest),
        spot=False,
        # Longer: the next step of a submission uses the machine of the last one.
        idle="60s",
        tags=tags,
    )


def _for_evaluations(
    name: str,
    limits: Mapping[str, int],
    machines: Sequence[Mapping[str, Any]],
    spot: bool,
    *,
    idle: str = "30s",
    tags: Mapping[str, str] | None = None,
) -> NodePool:
    """A pool for nothing else. Only its empty nodes go, after `idle`: an evaluation isn't moved."""
    return NodePool(
        name,
        limits=limits,
        machines=machines,
        spot=spot,
        tainted=True,
        disruption={
            "consolidationPolicy": "WhenEmpty",
            "consolidateAfter": idle,
            "budgets": [
                {"nodes": "100%", "reasons": ["Empty"]},
                {"nodes": "20%", "reasons": ["Drifted"]},
            ],
        },
        # No evaluation takes longer: SQS hides a submission for 12 hours at most.
        grace="13h",
        tags=tags or {},
    )


def _with_gpus(count: int, families: Sequence[str]) -> list[Mapping[str, Any]]:
    return [
        _require(f"{_INSTANCE}-family", "In", *families),
        _require(f"{_INSTANCE}-gpu-manufacturer", "In", "nvidia"),
        _require(f"{_INSTANCE}-gpu-count", "In", str(count)),
    ]


def _without_gpu(max_node_cpu: int) -> list[Mapping[str, Any]]:
    return [
        _require(f"{_INSTANCE}-category", "In", "c", "m", "r"),
        # From the fifth on all are Nitro, which prefix delegation and metadata options need.
        _require(f"{_INSTANCE}-generation", "Gt", "4"),
        _require(f"{_INSTANCE}-cpu", "Gt", "1"),
        _require(f"{_INSTANCE}-cpu", "Lt", str(max_node_cpu + 1)),
    ]


def node_class_spec(
    *,
    cluster_name: str,
    instance_profile: pulumi.Input[str],
    volume_key_arn: pulumi.Input[str],
    image_version: str,
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The spec of an EC2NodeClass: private, encrypted, metadata for the node only."""
    discovery = [{"tags": {DISCOVERY_TAG: cluster_name}}]
    return {
        **({"tags": dict(tags)} if tags else {}),
        "amiSelectorTerms": [{"alias": f"al2023@{image_version}"}],
        "instanceProfile": instance_profile,
        "subnetSelectorTerms": discovery,
        "securityGroupSelectorTerms": discovery,
        "associatePublicIPAddress": False,
        "detailedMonitoring": True,
        "kubelet": {"maxPods": MAX_PODS},
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpProtocolIPv6": "disabled",
            "httpTokens": "required",
            # A pod is one hop further away than the node: it can't take the node's role.
            "httpPutResponseHopLimit": 1,
        },
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "rootVolume": True,
                "ebs": {
                    "volumeType": "gp3",
                    "volumeSize": VOLUME,
                    "encrypted": True,
                    "kmsKeyID": volume_key_arn,
                    "deleteOnTermination": True,
                },
            }
        ],
    }


def _require(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}
