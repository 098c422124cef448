"""EvalCluster: who reaches the cluster, what its nodes and add-ons may do, what is encrypted."""

import base64
import json
from typing import Any

import pytest
import yaml

from components._cluster_addons import ADDON_VERSIONS
from components.eval_cluster import EvalCluster, EvalClusterArgs
from tests.graph.strict import ACCOUNT, Graph, Registration, evaluate

ADMIN = f"arn:aws:iam::{ACCOUNT}:role/platform/Admin"
VIEWER = f"arn:aws:iam::{ACCOUNT}:role/preview"
ARGS: EvalClusterArgs = {
    "vpc_id": "vpc-1",
    "subnet_ids": ["subnet-a", "subnet-b", "subnet-c"],
    "public_subnet_ids": ["subnet-x", "subnet-y", "subnet-z"],
    "cluster_name": "ai4h-mvp-k8s-dev",
    "public_access_cidrs": ["192.0.2.0/24"],
    "admin_role_arns": [ADMIN],
    "view_role_arns": [VIEWER],
}
KEY, ROLE, ADDON = "aws:kms/key:Key", "aws:iam/role:Role", "aws:eks/addon:Addon"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def build(preview: bool = False, **changes: Any) -> Graph:
    args: EvalClusterArgs = {**ARGS, **changes}  # type: ignore[typeddict-item]
    return evaluate(lambda: EvalCluster("evaluation", args), preview=preview)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build()


@pytest.fixture(scope="module")
def changed() -> Graph:
    """With every default changed."""
    return build(
        protect=False,
        log_retention_days=30,
        kubernetes_version="1.37",
        addon_versions=dict.fromkeys(ADDON_VERSIONS["1.36"], "v9.9.9-eksbuild.1"),
    )


def cluster_of(graph: Graph) -> Registration:
    return graph.one("eks:index:Cluster")


def statements(document: str) -> list[dict[str, Any]]:
    return json.loads(document)["Statement"]


def test_same_resources_in_preview_and_update(graph: Graph) -> None:
    assert build(preview=True).urns == graph.urns
    component = graph.one("ai4h:index:EvalCluster")
    assert {r.parent for r in graph if r is not component} == {component.urn}
    outputs = graph.registered_outputs[component.urn]
    assert outputs["cluster_name"] == "ai4h-mvp-k8s-dev"
    assert outputs["kubeconfig_command"] == (
        "aws eks update-kubeconfig --name ai4h-mvp-k8s-dev --region eu-central-1"
    )
    assert all(outputs.values())


def test_endpoint_is_private_and_public_for_named_ranges_only(graph: Graph) -> None:
    inputs = cluster_of(graph).inputs
    assert inputs["name"] == "ai4h-mvp-k8s-dev"
    assert inputs["version"] == "1.36"
    assert inputs["endpointPrivateAccess"]
    assert inputs["publicAccessCidrs"] == ["192.0.2.0/24"]


def test_access_is_by_entry(graph: Graph) -> None:
    inputs = cluster_of(graph).inputs
    assert inputs["authenticationMode"] == "API"
    given = {
        (
            entry["principalArn"],
            policy["policyArn"].rpartition("/")[2],
            policy["accessScope"]["type"],
        )
        for entry in inputs["accessEntries"].values()
        for policy in entry["accessPolicies"].values()
    }
    assert given == {
        (ADMIN, "AmazonEKSClusterAdminPolicy", "cluster"),
        (VIEWER, "AmazonEKSViewPolicy", "cluster"),
    }
    # The names are part of URNs: another order of roles must not replace anything.
    assert set(inputs["accessEntries"]) == {"admin-platform-Admin", "view-preview"}


def test_control_plane_logs_go_to_a_group_that_is_there_first(graph: Graph, changed: Graph) -> None:
    inputs = cluster_of(graph).inputs
    logs = {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert set(inputs["enabledClusterLogTypes"]) == logs
    group = graph.one("aws:cloudwatch/logGroup:LogGroup", "evaluation-control-plane")
    assert group.inputs["name"] == "/aws/eks/ai4h-mvp-k8s-dev/cluster"
    assert group.inputs["retentionInDays"] == 365
    groups = changed.all("aws:cloudwatch/logGroup:LogGroup")
    assert {each.inputs["retentionInDays"] for each in groups} == {30}
    assert graph.waits_for(group, graph.one(KEY, "evaluation-logs"))
    assert graph.waits_for(cluster_of(graph), group)


def test_machines_are_counted_by_the_clock(graph: Graph) -> None:
    function = graph.one("aws:lambda/function:Function", "evaluation-nodes")
    told = function.inputs["environment"]["variables"]
    assert told["CLUSTER_NAME"] == ARGS["cluster_name"]
    pools = {
        pool.inputs["metadata"]["name"] for pool in graph.all("kubernetes:karpenter.sh/v1:NodePool")
    }
    assert set(json.loads(told["NODE_POOLS"])) == pools
    rule = graph.one("aws:cloudwatch/eventRule:EventRule", "evaluation-nodes")
    assert rule.inputs["scheduleExpression"] == "rate(5 minutes)"
    called = graph.one("aws:cloudwatch/eventTarget:EventTarget", "evaluation-nodes").inputs
    assert called["rule"] == "evaluation-nodes-name"
    policy = graph.one("aws:iam/rolePolicy:RolePolicy", "evaluation-nodes-policy").inputs["policy"]
    actions = {action for each in json.loads(policy)["Statement"] for action in each["Action"]}
    assert {action for action in actions if action.startswith("ec2:")} == {"ec2:DescribeInstances"}


def test_nodes_are_private_encrypted_and_keep_their_role_to_themselves(graph: Graph) -> None:
    nodes = graph.one("aws:eks/nodeGroup:NodeGroup").inputs
    assert nodes["subnetIds"] == ARGS["subnet_ids"]
    assert nodes["amiType"].startswith("AL2023")
    assert [(taint["key"], taint["effect"]) for taint in nodes["taints"]] == [
        ("CriticalAddonsOnly", "NO_SCHEDULE")
    ]
    template = graph.one(TEMPLATE).inputs
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    disk = template["blockDeviceMappings"][0]["ebs"]
    assert (disk["volumeType"], disk["encrypted"]) == ("gp3", "true")
    assert "evaluation-volumes" in disk["kmsKeyId"]
    assert template["networkInterfaces"][0]["associatePublicIpAddress"] == "false"
    attached = [
        attachment.inputs["policyArn"].rpartition("/")[2]
        for attachment in graph.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if attachment.inputs["role"].startswith("evaluation-node")
    ]
    assert attached == ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"]


def test_user_data_is_a_node_configuration(graph: Graph) -> None:
    text = base64.b64decode(graph.one(TEMPLATE).inputs["userData"]).decode()
    head, part, _end = text.split("--//", 2)
    assert 'boundary="//"' in head
    kind, document = part.strip().split("\n\n", 1)
    assert kind == "Content-Type: application/node.eks.aws"
    config = yaml.safe_load(document)
    assert (config["apiVersion"], config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
    assert config["spec"]["kubelet"]["config"] == {"maxPods": 110}


def test_addons_are_pinned_and_fit_the_tainted_nodes(graph: Graph) -> None:
    addons = {addon.inputs["addonName"]: addon for addon in graph.all(ADDON)}
    assert {n: a.inputs["addonVersion"] for n, a in addons.items()} == ADDON_VERSIONS["1.36"]
    nodes = graph.one("aws:eks/nodeGroup:NodeGroup")
    for name, addon in addons.items():
        before = name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
        first, second = (addon, nodes) if before else (nodes, addon)
        assert graph.waits_for(second, first), name
        assert graph.waits_for(addon, cluster_of(graph)), name
    labels = nodes.inputs["labels"]
    for name in ("coredns", "metrics-server", "aws-ebs-csi-driver"):
        values = json.loads(addons[name].inputs["configurationValues"])
        values = values.get("controller", values)
        assert {"key": "CriticalAddonsOnly", "operator": "Exists"} in values["tolerations"]
        assert values["nodeSelector"].items() <= labels.items()
    network = json.loads(addons["vpc-cni"].inputs["configurationValues"])
    assert network["enableNetworkPolicy"] == "true"
    assert network["env"]["ENABLE_PREFIX_DELEGATION"] == "true"


@pytest.mark.parametrize(
    ("addon", "account"),
    [("vpc-cni", "aws-node"), ("aws-ebs-csi-driver", "ebs-csi-controller-sa")],
)
def test_addon_roles_are_for_one_service_account(graph: Graph, addon: str, account: str) -> None:
    identity = graph.one(ADDON, f"evaluation-{addon}").inputs["podIdentityAssociations"]
    assert [item["serviceAccount"] for item in identity] == [account]
    role = graph.one(ROLE, f"evaluation-{addon}")
    assert graph.waits_for(graph.one(ADDON, f"evaluation-{addon}"), role)
    (trust,) = statements(role.inputs["assumeRolePolicy"])
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    condition = trust["Condition"]["StringEquals"]
    assert condition["aws:RequestTag/kubernetes-service-account"] == account
    assert condition["aws:RequestTag/eks-cluster-arn"] == (
        f"arn:aws:eks:eu-central-1:{ACCOUNT}:cluster/ai4h-mvp-k8s-dev"
    )


def test_volumes_are_encrypted_and_only_lent(graph: Graph) -> None:
    storage = graph.one("kubernetes:storage.k8s.io/v1:StorageClass")
    assert storage.inputs["parameters"]["encrypted"] == "true"
    assert "evaluation-volumes" in storage.inputs["parameters"]["kmsKeyId"]
    assert graph.one("pulumi:providers:kubernetes").urn in storage.provider
    key = graph.one(KEY, "evaluation-volumes")
    scaling = [s for s in statements(key.inputs["policy"]) if "autoscaling" in str(s["Principal"])]
    lending = [s for s in scaling if s["Action"] == "kms:CreateGrant"]
    assert len(scaling) == 2
    assert lending[0]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_protection(graph: Graph, changed: Graph) -> None:
    assert "evaluation-secrets" in cluster_of(graph).inputs["encryptionConfigKeyArn"]
    for made, protect in ((graph, True), (changed, False)):
        cluster = cluster_of(made)
        assert cluster.inputs["deletionProtection"] is protect
        assert cluster.protect is protect
        for name in ("evaluation-secrets", "evaluation-volumes"):
            key = made.one(KEY, name)
            assert (key.protect, key.retain_on_delete) == (protect, protect)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"public_access_cidrs": []}, "name at least one range"),
        ({"cluster_name": "-cluster"}, "cluster_name: '-cluster'"),
        (
            {"admin_role_arns": [f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"]},
            "no ARN of an IAM role",
        ),
        ({"view_role_arns": [ADMIN]}, "is in both"),
        ({"kubernetes_version": "1.37"}, "none known for Kubernetes 1.37"),
        ({"addon_versions": {"core-dns": "v1"}}, "core-dns: none of aws-ebs-csi-driver, coredns"),
    ],
)
def test_bad_arguments_are_explained(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_another_version_of_kubernetes_comes_with_its_addons(changed: Graph) -> None:
    assert {a.inputs["addonVersion"] for a in changed.all(ADDON)} == {"v9.9.9-eksbuild.1"}
    assert changed.one("aws:eks/nodeGroup:NodeGroup").inputs["version"] == "1.37"
