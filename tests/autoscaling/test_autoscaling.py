"""The program's node pools under the real Karpenter, with the pods of EvalAI's chart.

The machines are played, and so are their prices; what decides about them is not.
"""

import json
import time
from typing import Any

from tests.autoscaling.aws import IMAGES
from tests.autoscaling.conftest import Rig
from tests.autoscaling.kubelets import DAEMONS
from tests.autoscaling.workload import PODS, Workload, poll
from tests.chart.rendering import Resource

CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
SCALE_UP_SECONDS, SCALE_DOWN_SECONDS = 60, 90
# A played machine boots for 30 seconds; this much longer, and something is wrong.
SECONDS = 120


def cpus(rig: Rig, pool: str) -> int:
    """Of all machines of a pool, those that boot included."""
    claims = rig.cluster.items(CLAIMS, **{"karpenter.sh/nodepool": pool})
    launched = [
        claim["metadata"]["labels"].get("karpenter.k8s.aws/instance-cpu") for claim in claims
    ]
    return sum(int(number) for number in launched if number)


def machine_of(node: Resource) -> str:
    return node["spec"]["providerID"].rpartition("/")[2]


def test_workers_from_none_to_the_limit_and_back(rig: Rig, evalai: Workload) -> None:
    """One way through the life of the pool: each step starts where the last one ended."""
    (worker, *_) = evalai.workers
    assert not rig.cluster.nodes("evaluation")
    evalai.scale(worker, 20)
    placed = evalai.await_placed(worker, 20, SCALE_UP_SECONDS)
    nodes = rig.cluster.nodes("evaluation")
    assert set(placed) == {node["metadata"]["name"] for node in nodes}
    for node in nodes:
        check_node(rig, node)
        check_machine(rig, rig.cluster.machines()[machine_of(node)])

    # Workers are packed: what is left of the last machine, and no more.
    assert 20 < cpus(rig, "evaluation") <= 32

    limit = int(rig.pools["evaluation"]["spec"]["limits"]["cpu"])
    evalai.scale(worker, limit + 40)
    assert poll(lambda: any("exceed limits" in message for message in evalai.events()), SECONDS)
    # Long enough for another round of machines, if there were one.
    assert not poll(lambda: cpus(rig, "evaluation") > limit, 20)
    assert poll(lambda: len(evalai.placed(worker)) > limit // 2, SECONDS)
    assert cpus(rig, "evaluation") <= limit
    assert len(evalai.placed(worker)) < limit

    machines = {machine_of(node) for node in rig.cluster.nodes("evaluation")}
    evalai.scale(worker, 0)
    assert poll(lambda: not rig.cluster.nodes("evaluation"), SCALE_DOWN_SECONDS)
    assert poll(lambda: not machines & set(rig.cluster.machines()), 5)


def check_node(rig: Rig, node: Resource) -> None:
    """It keeps other pods away, and has room for what runs on every node."""
    name = node["metadata"]["name"]
    taints = {(t["key"], t.get("value"), t["effect"]) for t in node["spec"]["taints"]}
    assert taints == {("ai4h/node-role", "evaluation", "NoSchedule")}
    labels = node["metadata"]["labels"]
    assert labels["ai4h/node-role"] == "evaluation"
    assert labels["kubernetes.io/arch"] == "amd64"
    assert 1 < int(labels["karpenter.k8s.aws/instance-cpu"]) < 17

    def daemons() -> set[str]:
        pods = rig.cluster.items("/api/v1/namespaces/kube-system/pods")
        return {p["metadata"]["labels"]["app"] for p in pods if p["spec"].get("nodeName") == name}

    assert poll(lambda: daemons() == set(DAEMONS), 10)


def check_machine(rig: Rig, machine: Resource, variant: str = "standard") -> None:
    """It is what the class of machines says."""
    assert machine["SubnetId"] in rig.seeded.private_subnets
    assert machine["ImageId"] == IMAGES["x86_64", variant]
    assert [g["GroupId"] for g in machine["SecurityGroups"]] == [rig.seeded.security_group]
    metadata = machine["MetadataOptions"]
    assert (metadata["HttpTokens"], metadata["HttpPutResponseHopLimit"]) == ("required", 1)
    assert rig.node_class["spec"]["instanceProfile"] in json.dumps(machine["IamInstanceProfile"])


def test_models_get_a_gpu_each_up_to_the_limit_and_none_is_kept(
    rig: Rig, evalai: Workload, models: list[str]
) -> None:
    limit = int(rig.pools["evaluation-gpu"]["spec"]["limits"]["nvidia.com/gpu"])
    assert len(models) == limit + 1

    def running() -> list[Resource]:
        pods = [rig.cluster.server.call("GET", f"{PODS}/{name}").json() for name in models]
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    assert poll(lambda: len(running()) == limit, SECONDS)
    nodes = {node["metadata"]["name"]: node for node in rig.cluster.nodes("evaluation-gpu")}
    assert {pod["spec"]["nodeName"] for pod in running()} == set(nodes)
    assert len(nodes) == limit
    for node in nodes.values():
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "1"
        check_machine(rig, rig.cluster.machines()[machine_of(node)], "nvidia")
    (waiting,) = set(models) - {pod["metadata"]["name"] for pod in running()}
    assert any("exceed limits" in message for message in evalai.events(waiting))
    for name in models:
        rig.cluster.server.call("DELETE", f"{PODS}/{name}", params={"gracePeriodSeconds": "0"})
    assert poll(lambda: not rig.cluster.nodes("evaluation-gpu"), SCALE_DOWN_SECONDS)


def test_every_pod_of_the_chart_gets_a_node(rig: Rig, evalai: Workload) -> None:
    """Requests, daemon sets and all, as the scheduler sees it: not by arithmetic."""
    assert {"web", "frontend", "celery", "memcached", "migrate", "test"} <= evalai.components
    for component in evalai.components:
        placed = evalai.await_placed(component, 1, SECONDS)
        platform = {node["metadata"]["name"] for node in rig.cluster.nodes("platform")}
        assert set(placed) <= platform, component
    taints = [node["spec"].get("taints") for node in rig.cluster.nodes("platform")]
    assert not any(taints)


def test_platform_pods_move_when_their_machine_is_taken(rig: Rig, evalai: Workload) -> None:
    (name,) = evalai.await_placed("web", 1, SECONDS)
    (taken,) = [n for n in rig.cluster.nodes("platform") if n["metadata"]["name"] == name]
    rig.aws.client("sqs").send_message(
        QueueUrl=rig.seeded.queue_url, MessageBody=json.dumps(warning(machine_of(taken)))
    )
    assert poll(lambda: name not in (evalai.placed("web") or [name]), SECONDS)
    assert poll(lambda: machine_of(taken) not in rig.cluster.machines(), SECONDS)
    for component in ("web", "celery", "frontend", "memcached"):
        evalai.await_placed(component, 1, SECONDS)


def warning(machine: str) -> dict[str, Any]:
    """What EventBridge sends two minutes before a spot machine is taken back."""
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000001",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "account": "111122223333",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "region": "eu-central-1",
        "resources": [f"arn:aws:ec2:eu-central-1:111122223333:instance/{machine}"],
        "detail": {"instance-id": machine, "instance-action": "terminate"},
    }


def test_a_pod_that_does_not_tolerate_the_taint_waits(rig: Rig, evalai: Workload) -> None:
    stray = pod("stray", {"cpu": "1"})
    stray["spec"]["nodeSelector"] = {"karpenter.sh/nodepool": "evaluation"}
    rig.cluster.apply(stray)
    assert poll(lambda: any("did not tolerate" in text for text in evalai.events("stray")), 30)
    rig.cluster.server.call("DELETE", f"{PODS}/stray", params={"gracePeriodSeconds": "0"})


def test_a_pod_that_no_machine_holds_waits(rig: Rig, evalai: Workload) -> None:
    giant = pod("giant", {"cpu": "16"})  # the largest machines of the pool have 16 in all
    giant["spec"]["nodeSelector"] = {"karpenter.sh/nodepool": "platform"}
    rig.cluster.apply(giant)
    assert poll(lambda: any("no instance type" in text for text in evalai.events("giant")), 30)
    rig.cluster.server.call("DELETE", f"{PODS}/giant", params={"gracePeriodSeconds": "0"})


def pod(name: str, requests: dict[str, str]) -> Resource:
    container = {"name": name, "image": "example.org/none", "resources": {"requests": requests}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "evalai"},
        "spec": {"containers": [container]},
    }
