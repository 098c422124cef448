"""What kwok plays of a cluster's machines: nodes that become ready, and pods that start and end."""

import json
from pathlib import Path

from tests.chart.rendering import Resource

# As kwok's own releases put together; the lease keeps a played node from being called lost.
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
# What runs on every node, with upstream's requests (EKS adds no others): the manifests of
# aws/amazon-vpc-cni-k8s 1.23 and kubernetes-sigs/aws-ebs-csi-driver 1.64, EKS' own of kube-proxy.
DAEMONS = {
    "aws-node": {"cpu": "50m"},
    "ebs-csi-node": {"cpu": "30m", "memory": "120Mi"},
    "eks-pod-identity-agent": {},
    "kube-proxy": {"cpu": "100m"},
}


def stages(folder: Path, node_class: Resource) -> str:
    """kwok's configuration, from the folder of its stages."""
    shipped = [(folder / stage).read_text(encoding="utf-8") for stage in STAGES]
    return "\n---\n".join([*shipped, json.dumps(_kubelet(node_class))])


def _kubelet(node_class: Resource) -> Resource:
    """Gives a node the disk and the number of pods that its class says.

    Karpenter plans with them, but its fake EC2 reports 20 GiB and what addresses alone allow.
    """
    (disk,) = [
        mapping["ebs"]["volumeSize"] for mapping in node_class["spec"]["blockDeviceMappings"]
    ]
    pods = str(node_class["spec"]["kubelet"]["maxPods"])
    # A kubelet keeps a tenth free and reserves a GiB for the system.
    usable = f"{int(disk.removesuffix('Gi')) * 9 // 10 - 1}Gi"
    status = {
        "capacity": {"ephemeral-storage": disk, "pods": pods},
        "allocatable": {"ephemeral-storage": usable, "pods": pods},
    }
    other_disk = {
        "key": '.status.allocatable["ephemeral-storage"]',
        "operator": "NotIn",
        "values": [usable],
    }
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "node-disk"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Node"},
            "selector": {"matchExpressions": [other_disk]},
            "next": {"statusTemplate": json.dumps(status)},
        },
    }


def daemon_sets() -> list[Resource]:
    """The daemon sets of the cluster's add-ons, by what the scheduler counts of them."""
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": "kube-system"},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "priorityClassName": "system-node-critical",
                        "tolerations": [{"operator": "Exists"}],
                        "containers": [
                            {"name": name, "image": name, "resources": {"requests": requests}}
                        ],
                    },
                },
            },
        }
        for name, requests in DAEMONS.items()
    ]
