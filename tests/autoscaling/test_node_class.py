"""What Karpenter makes of the program's class of machines, and of wrong ones."""

from copy import deepcopy

import pytest

from tests.autoscaling.aws import IMAGES
from tests.autoscaling.conftest import Rig


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
