"""Challenges with containers: machines of their own, least rights, a budget that stops them."""

import json
from typing import Any

import pytest

from tests.graph.strict import ACCOUNT, REGION, Graph
from tests.graph.test_eval_cluster import ROLE, statements
from tests.graph.test_evalai import CHALLENGE, EVALAI, POLICY, RELEASE, build, granted, policy
from tests.graph.test_karpenter import CLASS, POOL, pool, requirements
from tests.graph.test_policies import broken
from tests.graph.test_policy_documents import findings

QUEUE, BUDGET = "aws:sqs/queue:Queue", "aws:budgets/budget:Budget"
CONTAINER: dict[str, Any] = {
    "manifests": {"d1": "7c1d/1"},
    "gpus": 1,
    "cpu": 4,
    "memory_gib": 24,
    "max_parallel": 3,
    "monthly_budget_usd": 500,
    "budget_email": "host@example.org",
}
PLAIN = {"name": "skin", "challenge_id": 2, "queue": "skin-2-dev-1a2b", "container": {}}


def with_container(**changes: Any) -> dict[str, Any]:
    challenge = {**CHALLENGE, "container": {**CONTAINER, **changes}}
    return {**EVALAI, "challenges": [challenge, PLAIN]}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(with_container())


def worker(graph: Graph, index: int = 0) -> dict[str, Any]:
    return graph.one(RELEASE, "evaluation-evalai").inputs["values"]["workers"][index]


def test_same_resources_in_preview_and_update(graph: Graph) -> None:
    assert build(with_container(), preview=True).urns == graph.urns


def test_the_policy_pack_is_kept(graph: Graph) -> None:
    assert not broken(graph)


def test_every_policy_does_what_it_says(graph: Graph) -> None:
    own = [r for r in graph if "evalai-kidney-ct" in r.name and "policy" in r.inputs]
    assert {r.type for r in own} >= {POLICY, "aws:sqs/queuePolicy:QueuePolicy"}
    found = [(r.name, *each) for r in own for each in findings(r.inputs["policy"])]
    assert [each for each in found if each[1] != "RESOURCE_STAR"] == []


def test_a_runner_takes_messages_and_no_data(graph: Graph) -> None:
    found = policy(graph, "evalai-kidney-ct-runner")
    assert granted(found) == {
        *("kms:Decrypt", "kms:GenerateDataKey", "sqs:ChangeMessageVisibility"),
        *("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"),
        *("sqs:SendMessage", "sqs:SetQueueAttributes"),
    }
    (own,) = [s["Resource"] for s in found if "sqs:ReceiveMessage" in s["Action"]]
    assert own == f"arn:aws:sqs:{REGION}:{ACCOUNT}:{CHALLENGE['queue']}"
    (trust,) = statements(graph.one(ROLE, "evaluation-evalai-kidney-ct-runner").inputs[
        "assumeRolePolicy"
    ])  # fmt: skip
    subjects = [v for k, v in trust["Condition"]["StringEquals"].items() if k.endswith(":sub")]
    assert subjects == [["system:serviceaccount:evalai-models:evalai-runner-kidney-ct"]]


def test_datasets_are_fetched_with_the_workers_role(graph: Graph) -> None:
    (trust,) = statements(graph.one(ROLE, "evaluation-challenge-1").inputs[
        "assumeRolePolicy"
    ])  # fmt: skip
    subjects = [v for k, v in trust["Condition"]["StringEquals"].items() if k.endswith(":sub")]
    assert subjects == [[
        "system:serviceaccount:evalai:evalai-worker-kidney-ct",
        "system:serviceaccount:evalai-models:evalai-fetch-kidney-ct",
    ]]  # fmt: skip


def test_workers_score_from_a_queue_of_their_own(graph: Graph) -> None:
    scoring = f"{CHALLENGE['queue']}-scoring"
    assert worker(graph)["queue"] == scoring
    assert worker(graph)["container"]["queue"] == CHALLENGE["queue"]
    queue = graph.one(QUEUE, "evaluation-evalai-kidney-ct-scoring").inputs
    assert queue["name"] == scoring
    assert queue["visibilityTimeoutSeconds"] > 3600
    failed = graph.one(QUEUE, "evaluation-evalai-kidney-ct-failed")
    redrive = json.loads(queue["redrivePolicy"])
    assert "evaluation-evalai-kidney-ct-failed" in redrive["deadLetterTargetArn"]
    assert failed.inputs["messageRetentionSeconds"] == 14 * 24 * 3600
    (taking,) = [
        s["Resource"] for s in policy(graph, "challenge-1") if "sqs:ReceiveMessage" in s["Action"]
    ]
    assert taking.endswith(f":{scoring}")
    assert "sqs:SetQueueAttributes" not in granted(policy(graph, "challenge-1"))
    assert "failedQueueArn" not in worker(graph)


def test_somebody_is_told_of_failed_submissions_and_an_ending_certificate(graph: Graph) -> None:
    assert not graph.all("aws:cloudwatch/metricAlarm:MetricAlarm")
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
    heard = build(with_container(), alarm_topic_arn=topic)
    alarms = [
        a for a in heard.all("aws:cloudwatch/metricAlarm:MetricAlarm") if "-evalai-" in a.name
    ]
    assert {a.name.removeprefix("evaluation-evalai-") for a in alarms} == {
        "expiring-certificate",
        "kidney-ct-failed-submissions",
        "skin-failed-submissions",
    }
    assert {tuple(a.inputs["alarmActions"]) for a in alarms} == {(topic,)}


def test_machines_are_the_challenges_own_and_tagged(graph: Graph) -> None:
    tags = {"challenge": "ai4h-mvp-k8s-dev/kidney-ct"}
    node_class = graph.one(CLASS, "evaluation-karpenter-models-kidney-ct").inputs["spec"]
    assert node_class["tags"] == tags
    shared = graph.one(CLASS, "evaluation-karpenter-private").inputs["spec"]
    assert {**node_class, "tags": None} == {**shared, "tags": None}
    spec = pool(graph, "models-kidney-ct")
    assert spec["template"]["spec"]["nodeClassRef"]["name"] == "models-kidney-ct"
    for type_ in (QUEUE, ROLE, "aws:ecr/repository:Repository"):
        own = [r for r in graph.all(type_) if "kidney-ct" in r.name and "budget" not in r.name]
        assert own
        assert [r.inputs["tags"] for r in own] == [tags] * len(own), type_


@pytest.mark.parametrize(("index", "name"), [(0, "kidney-ct"), (1, "skin")])
def test_models_fit_the_pool_of_their_challenge_alone(graph: Graph, index: int, name: str) -> None:
    placement = worker(graph, index)["container"]["placement"]
    assert placement["nodeSelector"]["karpenter.sh/nodepool"] == f"models-{name}"
    metadata = graph.one(POOL, f"evaluation-karpenter-models-{name}").inputs["metadata"]
    assert metadata["name"] == f"models-{name}"
    (taint,) = pool(graph, f"models-{name}")["template"]["spec"]["taints"]
    (toleration,) = placement["tolerations"]
    assert toleration["key"] == taint["key"]
    assert toleration.get("value", taint["value"]) == taint["value"] == f"models-{name}"


def test_gpus_by_configuration(graph: Graph) -> None:
    spec = pool(graph, "models-kidney-ct")
    assert spec["limits"] == {"nvidia.com/gpu": "3"}
    wanted = requirements(spec)
    assert wanted["instance-gpu-manufacturer", "In"] == ["nvidia"]
    # Exactly as many as a model wants, so that no two share a machine.
    assert wanted["instance-gpu-count", "In"] == ["1"]
    assert worker(graph)["container"]["resources"]["limits"]["nvidia.com/gpu"] == 1
    plugin = graph.one(RELEASE, "evaluation-nvidia-device-plugin").inputs
    assert plugin["version"].count(".") == 2
    terms = plugin["values"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    (expression,) = terms[0]["matchExpressions"]
    assert expression["values"] == ["models-kidney-ct"]
    plain = build({**EVALAI, "challenges": [PLAIN]})
    assert not [r for r in plain.all(RELEASE) if "nvidia" in r.name]
    assert pool(plain, "models-skin")["limits"] == {"cpu": "16"}
    assert ("instance-gpu-manufacturer", "In") not in requirements(pool(plain, "models-skin"))


def test_a_budget_that_is_used_up_stops_further_submissions(graph: Graph) -> None:
    budget = graph.one(BUDGET).inputs
    assert (budget["limitAmount"], budget["limitUnit"], budget["timeUnit"]) == (
        *("500", "USD", "MONTHLY"),
    )
    (spent,) = budget["costFilters"]
    assert spent == {
        "name": "TagKeyValue",
        "values": ["user:challenge$ai4h-mvp-k8s-dev/kidney-ct"],
    }
    action = graph.one("aws:budgets/budgetAction:BudgetAction").inputs
    assert action["approvalModel"] == "AUTOMATIC"
    applied = action["definition"]["iamActionDefinition"]
    assert applied["roles"] == ["evaluation-evalai-kidney-ct-runner-name"]
    stop = graph.one("aws:iam/policy:Policy", "evaluation-evalai-kidney-ct-stop")
    (denied,) = statements(stop.inputs["policy"])
    # What is in work goes on: only taking is denied.
    assert (denied["Effect"], denied["Action"]) == ("Deny", ["sqs:ReceiveMessage"])
    assert denied["Resource"].endswith(f":{CHALLENGE['queue']}")
    (allowed,) = statements(
        graph.one(POLICY, "evaluation-evalai-kidney-ct-budget").inputs["policy"]
    )
    assert "evaluation-evalai-kidney-ct-runner" in allowed["Resource"]
    assert "kidney-ct-stop" in allowed["Condition"]["ArnEquals"]["iam:PolicyARN"]


def test_models_have_a_namespace_of_their_own(graph: Graph) -> None:
    space = graph.one("kubernetes:core/v1:Namespace", "evaluation-evalai-models").inputs
    assert space["metadata"]["name"] == "evalai-models"
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    values = graph.one(RELEASE, "evaluation-evalai").inputs["values"]
    assert values["containers"] == {
        "namespace": "evalai-models",
        "datasetBucket": "datasets-bucket",
        "kubernetesHost": f"EXAMPLE.gr7.{REGION}.eks.amazonaws.com",
    }
    (reading, _) = policy(graph, "external-secrets")
    assert len([arn for arn in reading["Resource"] if "-token" in arn]) == 2
    none = build({**EVALAI, "challenges": []})
    assert [n.name for n in none.all("kubernetes:core/v1:Namespace")] == ["evaluation-evalai"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifests": {"../d9": "7c1d/1"}}, "'../d9' is no id of a dataset"),
        ({"manifests": {"d1": "7c1d"}}, "manifest '7c1d' must be"),
        ({"image_repositories": ["registry/x:tag"]}, "without tag"),
        ({"max_seconds": 50_000}, "max_seconds must be from 10"),
        ({"budget_email": ""}, "needs budget_email"),
    ],
)
def test_bad_arguments_are_explained(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(with_container(**changes))
