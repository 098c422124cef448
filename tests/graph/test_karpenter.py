"""Karpenter: what it may do, what it hears, which nodes it makes, and in which order it comes."""

import json
from typing import Any

import pytest
import yaml

from tests.graph.strict import ACCOUNT, ROOT, Graph, Registration
from tests.graph.test_eval_cluster import ADDON, ARGS, KEY, ROLE, build, statements

POOL, CLASS = "kubernetes:karpenter.sh/v1:NodePool", "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
RELEASE = "kubernetes:helm.sh/v3:Release"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
CLUSTER = ARGS["cluster_name"]
# The calls in Karpenter 1.14 (pkg/aws/sdk.go) that a class with an instance profile leads to, what
# EC2 asks for beside them, and the two keys.
NEEDED = {
    *("ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:CreateTags", "ec2:DeleteLaunchTemplate"),
    *("ec2:DescribeCapacityReservations", "ec2:DescribeImages", "ec2:DescribeInstanceStatus"),
    *("ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes", "ec2:DescribeInstances"),
    *("ec2:DescribeLaunchTemplates", "ec2:DescribePlacementGroups", "ec2:DescribeSecurityGroups"),
    *("ec2:DescribeSpotPriceHistory", "ec2:DescribeSubnets", "ec2:RunInstances"),
    *("ec2:TerminateInstances", "eks:DescribeCluster", "iam:GetInstanceProfile"),
    *("iam:ListInstanceProfiles", "iam:PassRole", "kms:CreateGrant", "kms:Decrypt"),
    *("kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
    *("kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
    *("pricing:GetProducts", "sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"),
    "ssm:GetParameter",
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build()


def pool(graph: Graph, name: str) -> dict[str, Any]:
    return graph.one(POOL, f"evaluation-karpenter-{name}").inputs["spec"]


def requirements(spec: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    listed = spec["template"]["spec"]["requirements"]
    return {(item["key"].rpartition("/")[2], item["operator"]): item["values"] for item in listed}


def controller(graph: Graph) -> list[dict[str, Any]]:
    policy = graph.one("aws:iam/rolePolicy:RolePolicy", "evaluation-karpenter-controller")
    return statements(policy.inputs["policy"])


def test_controller_may_do_what_its_code_does_and_no_more(graph: Graph) -> None:
    granted: set[str] = set()
    for statement in controller(graph):
        actions = statement["Action"]
        granted |= {actions} if isinstance(actions, str) else set(actions)
    assert granted == NEEDED


def test_controller_changes_only_what_the_cluster_owns(graph: Graph) -> None:
    checked = 0
    for statement in controller(graph):
        actions = statement["Action"]
        if statement["Sid"] == "LaunchFromAny":
            kinds = {resource.rpartition(":")[2] for resource in statement["Resource"]}
            assert kinds == {"image/*", "snapshot/*", "security-group/*", "subnet/*"}
        elif any(a.startswith("ec2:") and not a.startswith("ec2:Describe") for a in actions):
            condition = statement["Condition"]
            tag = f"Tag/kubernetes.io/cluster/{CLUSTER}"
            owned = {key for key in condition["StringEquals"] if key.endswith(tag)}
            assert {condition["StringEquals"][key] for key in owned} == {"owned"}, statement["Sid"]
            checked += 1
    assert checked == 5
    by_name = {statement["Sid"]: statement for statement in controller(graph)}
    assert "evaluation-karpenter-node" in by_name["GiveNodesTheirRole"]["Resource"]
    assert by_name["FindCluster"]["Resource"] == (
        f"arn:aws:eks:eu-central-1:{ACCOUNT}:cluster/{CLUSTER}"
    )
    for name in ("UseKey", "LendKeyToEc2"):
        assert "evaluation-volumes" in by_name[name]["Resource"]
        through = by_name[name]["Condition"]["StringEquals"]["kms:ViaService"]
        assert through == "ec2.eu-central-1.amazonaws.com"


def test_controller_has_its_role_by_pod_identity(graph: Graph) -> None:
    association = graph.one(ASSOCIATION, "evaluation-karpenter-controller").inputs
    assert (association["namespace"], association["serviceAccount"]) == ("kube-system", "karpenter")
    values = graph.one(RELEASE, "evaluation-karpenter-karpenter").inputs["values"]
    assert values["serviceAccount"]["name"] == association["serviceAccount"]
    (trust,) = statements(
        graph.one(ROLE, "evaluation-karpenter-controller").inputs["assumeRolePolicy"]
    )
    condition = trust["Condition"]["StringEquals"]
    assert condition["aws:RequestTag/kubernetes-service-account"] == "karpenter"


def own(graph: Graph, type_: str) -> list[Registration]:
    """Karpenter's, among the cluster's."""
    return [each for each in graph.all(type_) if each.name.startswith("evaluation-karpenter")]


def test_interruptions_reach_the_controller(graph: Graph) -> None:
    rules = own(graph, "aws:cloudwatch/eventRule:EventRule")
    heard = {event for r in rules for event in json.loads(r.inputs["eventPattern"])["detail-type"]}
    assert heard == {
        "AWS Health Event",
        "EC2 Instance Rebalance Recommendation",
        "EC2 Instance State-change Notification",
        "EC2 Spot Instance Interruption Warning",
    }
    (queue,) = own(graph, "aws:sqs/queue:Queue")
    targets = own(graph, "aws:cloudwatch/eventTarget:EventTarget")
    assert {target.inputs["rule"] for target in targets} == {f"{r.name}-name" for r in rules}
    assert all("interruptions" in target.inputs["arn"] for target in targets)
    assert graph.waits_for(queue, graph.one(KEY, "evaluation-karpenter-queue"))
    (policy,) = own(graph, "aws:sqs/queuePolicy:QueuePolicy")
    policy = statements(policy.inputs["policy"])
    (sending,) = [statement for statement in policy if statement["Effect"] == "Allow"]
    assert sending["Principal"] == {"Service": "events.amazonaws.com"}
    assert len(sending["Condition"]["ArnEquals"]["aws:SourceArn"]) == len(rules) == 4
    settings = graph.one(RELEASE, "evaluation-karpenter-karpenter").inputs["values"]["settings"]
    assert settings["interruptionQueue"] == "evaluation-karpenter-interruptions-name"
    assert settings["clusterName"] == CLUSTER


def test_nodes_may_join(graph: Graph) -> None:
    entry = graph.one("aws:eks/accessEntry:AccessEntry").inputs
    assert entry["type"] == "EC2_LINUX"
    assert "evaluation-karpenter-node" in entry["principalArn"]
    tag = graph.one("aws:ec2/tag:Tag").inputs
    assert (tag["key"], tag["value"]) == ("karpenter.sh/discovery", CLUSTER)
    attached = {
        attachment.inputs["policyArn"].rpartition("/")[2]
        for attachment in graph.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if attachment.inputs["role"].startswith("evaluation-karpenter-node")
    }
    assert attached == {"AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"}


def test_machines_are_private_encrypted_and_keep_their_role_to_themselves(graph: Graph) -> None:
    spec = graph.one(CLASS).inputs["spec"]
    assert spec["amiSelectorTerms"] == [{"alias": "al2023@latest"}]
    discovery = [{"tags": {"karpenter.sh/discovery": CLUSTER}}]
    assert spec["subnetSelectorTerms"] == spec["securityGroupSelectorTerms"] == discovery
    assert spec["associatePublicIPAddress"] is False
    assert spec["metadataOptions"]["httpTokens"] == "required"
    assert spec["metadataOptions"]["httpPutResponseHopLimit"] == 1
    (disk,) = [mapping["ebs"] for mapping in spec["blockDeviceMappings"]]
    assert (disk["volumeType"], disk["encrypted"]) == ("gp3", True)
    assert "evaluation-volumes" in disk["kmsKeyID"]
    profile = graph.one("aws:iam/instanceProfile:InstanceProfile")
    assert "evaluation-karpenter-node" in profile.inputs["role"]
    assert graph.waits_for(graph.one(CLASS), profile)


def test_pools_are_those_of_the_chart(graph: Graph) -> None:
    placement = yaml.safe_load((ROOT / "charts/evalai/values.yaml").read_text())["placement"]
    for name, expected in placement.items():
        spec = pool(graph, name)
        metadata = graph.one(POOL, f"evaluation-karpenter-{name}").inputs["metadata"]
        assert expected["nodeSelector"]["karpenter.sh/nodepool"] == metadata["name"]
        architecture = expected["nodeSelector"]["kubernetes.io/arch"]
        assert requirements(spec)["arch", "In"] == [architecture]
        assert spec["template"]["spec"]["taints"] == expected["tolerations"], name


def test_pools_are_bounded_and_renewed(graph: Graph) -> None:
    changed = build(
        platform_cpu_limit=24,
        evaluation_cpu_limit=100,
        max_node_cpu=8,
        evaluation_spot=True,
        node_image_version="v20261110",
    )
    assert pool(graph, "platform")["limits"] == {"cpu": "32"}
    assert pool(changed, "platform")["limits"] == {"cpu": "24"}
    assert pool(graph, "evaluation")["limits"] == {"cpu": "64"}
    assert pool(changed, "evaluation")["limits"] == {"cpu": "100"}
    for made, below, capacity in (
        (graph, "17", ["on-demand"]),
        (changed, "9", ["spot", "on-demand"]),
    ):
        evaluation = requirements(pool(made, "evaluation"))
        assert evaluation["instance-cpu", "Lt"] == [below]
        assert evaluation["capacity-type", "In"] == capacity
        assert requirements(pool(made, "platform"))["capacity-type", "In"] == ["on-demand"]
    assert changed.one(CLASS).inputs["spec"]["amiSelectorTerms"] == [{"alias": "al2023@v20261110"}]
    for name in ("platform", "evaluation"):
        template = pool(graph, name)["template"]["spec"]
        assert template["expireAfter"] == "336h"
        assert pool(graph, name)["disruption"]["budgets"]
    # A started evaluation isn't moved, and ends before its node does.
    assert pool(graph, "evaluation")["disruption"]["consolidationPolicy"] == "WhenEmpty"
    assert pool(graph, "evaluation")["template"]["spec"]["terminationGracePeriod"] == "13h"


def test_gpus_are_there_when_asked_for(graph: Graph) -> None:
    names = {made.inputs["metadata"]["name"] for made in graph.all(POOL)}
    assert names == {"platform", "evaluation"}
    asked = build(evaluation_gpu_limit=3, evaluation_gpu_families=["g4dn"], max_node_cpu=8)
    spec = pool(asked, "evaluation-gpu")
    assert spec["limits"] == {"nvidia.com/gpu": "3"}
    needed = requirements(spec)
    assert needed["instance-family", "In"] == ["g4dn"]
    # A container names GPUs of its machine in its own environment: no two share a machine.
    assert needed["instance-gpu-count", "In"] == ["1"]
    assert needed["instance-cpu", "Lt"] == ["9"]
    assert spec["disruption"] == pool(asked, "evaluation")["disruption"]
    (taint,) = spec["template"]["spec"]["taints"]
    plugin = asked.one(RELEASE, "evaluation-nvidia-device-plugin").inputs["values"]
    assert {"key": taint["key"], "operator": "Exists"} in plugin["tolerations"]
    node = plugin["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = node["nodeSelectorTerms"]
    (place,) = term["matchExpressions"]
    labels = spec["template"]["metadata"]["labels"]
    assert [labels[place["key"]]] == place["values"]


def test_order_of_making_and_ending(graph: Graph) -> None:
    """What comes last goes first: pools with their nodes, what ends nodes, then its rights."""
    release = graph.one(RELEASE, "evaluation-karpenter-karpenter")
    definitions = graph.one(RELEASE, "evaluation-karpenter-karpenter-crd")
    assert graph.waits_for(release, definitions)
    assert {r.inputs["version"] for r in (release, definitions)} == {"1.14.1"}
    assert release.inputs["skipCrds"]
    earlier: list[Registration] = [
        *own(graph, "aws:cloudwatch/eventTarget:EventTarget"),
        *own(graph, "aws:sqs/queuePolicy:QueuePolicy"),
        graph.one("aws:iam/rolePolicy:RolePolicy", "evaluation-karpenter-controller"),
        graph.one(ASSOCIATION, "evaluation-karpenter-controller"),
        graph.one("aws:eks/accessEntry:AccessEntry"),
        graph.one("aws:ec2/tag:Tag"),
        graph.one("aws:eks/nodeGroup:NodeGroup"),
        graph.one(ADDON, "evaluation-coredns"),
    ]
    for resource in earlier:
        assert graph.waits_for(definitions, resource), resource.name
    for made in graph.all(POOL):
        assert graph.waits_for(made, graph.one(CLASS))
        assert graph.waits_for(made, release)
        assert graph.one("pulumi:providers:kubernetes").urn in made.provider


def test_controller_runs_on_the_system_nodes(graph: Graph) -> None:
    values = graph.one(RELEASE, "evaluation-karpenter-karpenter").inputs["values"]
    labels = graph.one("aws:eks/nodeGroup:NodeGroup").inputs["labels"]
    assert values["nodeSelector"].items() <= labels.items()
    assert {"key": "CriticalAddonsOnly", "operator": "Exists"} in values["tolerations"]
    assert values["controller"]["resources"]["limits"]["memory"] == "1Gi"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_node_cpu": 1}, "max_node_cpu: 1 vCPU must be 2 or more"),
        ({"max_node_cpu": 48}, "at most platform_cpu_limit, 32"),
        ({"evaluation_cpu_limit": 8}, "at most evaluation_cpu_limit, 8"),
        ({"evaluation_gpu_limit": -1}, "evaluation_gpu_limit: 0 or more"),
        ({"evaluation_gpu_families": ["m7i"]}, "'m7i' is no family"),
    ],
)
def test_bad_limits_are_explained(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**changes)
