"""Counts a cluster's machines by the clock, of which AWS keeps no metric.

EKS and Karpenter both tag what they start for a cluster.
https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

from functions.shared import metrics
from functions.shared.clients import ec2
from functions.shared.log import configure

configure()
ec2()

POOL_TAG = "karpenter.sh/nodepool"
SYSTEM = "system"
"""The pool of machines that Karpenter didn't start."""


def handler(event: dict[str, Any], context: object) -> None:
    """Counts the machines of each pool; those of the configured pools also if there are none."""
    cluster = os.environ["CLUSTER_NAME"]
    counted = Counter(_pools(cluster))
    for pool in sorted({SYSTEM, *json.loads(os.environ["NODE_POOLS"]), *counted}):
        metrics.count("Nodes", counted[pool], ClusterName=cluster, NodePool=pool)


def _pools(cluster: str) -> list[str]:
    """The pool of each machine that is starting or runs."""
    wanted = [
        {"Name": f"tag:kubernetes.io/cluster/{cluster}", "Values": ["owned"]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    return [
        {tag["Key"]: tag["Value"] for tag in machine["Tags"]}.get(POOL_TAG, SYSTEM)
        for page in ec2().get_paginator("describe_instances").paginate(Filters=wanted)
        for reservation in page["Reservations"]
        for machine in reservation["Instances"]
    ]
