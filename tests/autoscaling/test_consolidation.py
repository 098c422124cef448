"""Machines that have become too large: Karpenter is patient with them."""

import pytest

from tests.autoscaling.conftest import Rig
from tests.autoscaling.test_autoscaling import SECONDS, cpus
from tests.autoscaling.workload import COMPONENT, NAMESPACE, Workload, poll
from tests.chart.rendering import Resource

# Two minutes without a change, up to five until Karpenter looks again at a cluster that hasn't
# changed, and a new machine's boot.
CONSOLIDATION_SECONDS = 600


@pytest.mark.slow
def test_a_machine_that_is_too_large_gives_way_to_a_smaller_one(rig: Rig, evalai: Workload) -> None:
    evalai.await_placed("web", 1, SECONDS)
    rig.cluster.apply(bulky(3))
    evalai.await_placed("bulky", 3, SECONDS)
    before = cpus(rig, "platform")
    evalai.scale("bulky", 1)
    assert poll(lambda: cpus(rig, "platform") < before, CONSOLIDATION_SECONDS)
    assert "Underutilized" in rig.cluster.karpenter_log.read_text(encoding="utf-8")
    for component in ("bulky", "web"):
        evalai.await_placed(component, 1, SECONDS)
    evalai.scale("bulky", 0)


def bulky(replicas: int) -> Resource:
    """Pods that don't fit beside EvalAI's own on the machine that these have."""
    labels = {COMPONENT: "bulky"}
    resources = {"requests": {"cpu": "1100m", "memory": "1Gi"}}
    pods = {
        "nodeSelector": {"karpenter.sh/nodepool": "platform"},
        "containers": [{"name": "bulky", "image": "example.org/none", "resources": resources}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "evalai-bulky", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pods},
        },
    }
