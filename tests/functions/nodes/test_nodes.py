"""Counting machines: those of the cluster by pool, empty pools too, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from tests.issuer import REGION

CLUSTER = "ai4h-mvp-k8s-dev"


@pytest.fixture
def ec2() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("CLUSTER_NAME", CLUSTER)
        patch.setenv("NODE_POOLS", '["platform", "evaluation"]')
        from functions.shared import clients

        clients.ec2.cache_clear()
        yield clients.ec2()
        clients.ec2.cache_clear()


def start(ec2: Any, count: int, cluster: str, **tags: str) -> list[str]:
    wanted = {f"kubernetes.io/cluster/{cluster}": "owned", **tags}
    started = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": key, "Value": value} for key, value in wanted.items()],
            }
        ],
    )
    return [machine["InstanceId"] for machine in started["Instances"]]


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """Machines by pool, as CloudWatch reads it from the log."""
    from functions.nodes.handler import handler

    handler({}, None)
    found = {}
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        (described,) = line["_aws"]["CloudWatchMetrics"]
        assert described["Namespace"] == "AI4H"
        assert described["Dimensions"] == [["ClusterName", "NodePool"]]
        assert described["Metrics"] == [{"Name": "Nodes", "Unit": "Count"}]
        assert line["ClusterName"] == CLUSTER
        found[line["NodePool"]] = line["Nodes"]
    return found


def test_machines_are_counted_by_pool(ec2: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert counted(capsys) == {"evaluation": 0, "platform": 0, "system": 0}
    start(ec2, 2, CLUSTER, **{"eks:nodegroup-name": "system"})
    evaluating = start(ec2, 3, CLUSTER, **{"karpenter.sh/nodepool": "evaluation"})
    start(ec2, 1, CLUSTER, **{"karpenter.sh/nodepool": "evaluation-gpu"})
    start(ec2, 4, "another-cluster", **{"karpenter.sh/nodepool": "evaluation"})
    ec2.terminate_instances(InstanceIds=evaluating[:1])

    assert counted(capsys) == {"evaluation": 2, "evaluation-gpu": 1, "platform": 0, "system": 2}
