"""What Karpenter makes of the program's class of machines, and of wrong ones."""

from copy import deepcopy

import pytest

from tests.autoscaling.aws import IMAGES
from tests.autoscaling.conftest import Rig
from tests.autoscaling.test_autoscaling import SCALE_DOWN_SECONDS, SECONDS
from tests.autoscaling.workload import NAMESPACE, PODS, Workload, poll
from tests.chart.rendering import Resource
from tests.graph.strict import Graph
from tests.graph.test_containers import with_container
from tests.graph.test_evalai import build
from tests.graph.test_karpenter import CLASS, POOL


def test_the_class_finds_private_subnets_group_and_image(rig: Rig) -> None:
    status = rig.cluster.apply(rig.node_class)["status"]
    assert {subnet["id"] for subnet in status["subnets"]} == rig.seeded.private_subnets
    assert [group["id"] for group in status["securityGroups"]] == [rig.seeded.security_group]
    assert set(IMAGES.values()) == {image["id"] for image in status["amis"]}
    assert status["instanceProfile"] == rig.node_class["spec"]["instanceProfile"]
    assert set(rig.pools) == {"evaluation", "evaluation-gpu", "platform"}


@pytest.mark.parametrize(
    ("key", "found"),
    [("subnetSelectorTerms", "Subnets"), ("securityGroupSelectorTerms", "SecurityGroups")],
)
def test_a_wrong_tag_is_noticed(rig: Rig, key: str, found: str) -> None:
    wrong = deepcopy(rig.node_class)
    wrong["metadata"]["name"] = f"wrong-{found.lower()}"
    wrong["spec"][key] = [{"tags": {"karpenter.sh/discovery": "another"}}]
    condition = rig.cluster.await_condition(wrong, "Ready", "False", 60)
    assert f"{found}Ready=False" in condition["message"]


def test_an_unknown_setting_is_refused(rig: Rig) -> None:
    wrong = deepcopy(rig.node_class)
    wrong["metadata"]["name"] = "wrong-tokens"
    wrong["spec"]["metadataOptions"]["httpTokens"] = "never"
    answer = rig.cluster.server.apply(wrong)
    assert answer.status_code == 422
    assert "httpTokens" in answer.text


@pytest.mark.slow
def test_models_of_a_challenge_get_machines_of_its_own(rig: Rig, evalai: Workload) -> None:
    """The Job that its runner makes is placed, by the pool and class that the program makes."""
    made = build(with_container(gpus=0))
    release = made.one("kubernetes:helm.sh/v3:Release", "evaluation-evalai").inputs["values"]
    name = "models-kidney-ct"
    for kind in (CLASS, POOL):
        resource = manifest(made, kind, f"evaluation-karpenter-{name}")
        if kind == CLASS:
            # The played account's.
            resource["spec"]["instanceProfile"] = rig.node_class["spec"]["instanceProfile"]
        rig.cluster.apply(resource)
        rig.cluster.await_condition(resource, "Ready", "True")
    container = release["workers"][0]["container"]
    spec = {
        **container["placement"],
        "containers": [
            {"name": "model", "image": "example.org/none", "resources": container["resources"]}
        ],
    }
    model = {"metadata": {"name": "kidney-ct-1-model", "namespace": NAMESPACE}, "spec": spec}
    rig.cluster.apply({"apiVersion": "v1", "kind": "Pod", **model})
    path = f"{PODS}/kidney-ct-1-model"

    def node() -> str:
        return rig.cluster.server.call("GET", path).json()["spec"].get("nodeName", "")

    assert poll(lambda: bool(node()), SECONDS)
    (own,) = rig.cluster.nodes(name)
    assert node() == own["metadata"]["name"]
    rig.cluster.server.call("DELETE", path, params={"gracePeriodSeconds": "0"})
    # Its pool waits for the next step of a submission; then it gives up the machine.
    assert poll(lambda: not rig.cluster.nodes(name), SCALE_DOWN_SECONDS)


def manifest(graph: Graph, type_: str, name: str) -> Resource:
    inputs = graph.one(type_, name).inputs
    return deepcopy({key: inputs[key] for key in ("apiVersion", "kind", "metadata", "spec")})
