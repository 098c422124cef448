"""EvalAI: private and encrypted data, images that are built before it runs, least privilege."""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import pytest

from components._evalai_images import image_tag, source_files
from components.eval_cluster import EvalCluster
from functions.reconciler.policy import LARGEST
from tests.graph.strict import ACCOUNT, REGION, Graph, evaluate
from tests.graph.test_eval_cluster import ARGS, KEY, ROLE, statements
from tests.graph.test_policies import broken

RELEASE, POLICY = "kubernetes:helm.sh/v3:Release", "aws:iam/rolePolicy:RolePolicy"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
DATABASE, QUEUE = "aws:rds/instance:Instance", "aws:sqs/queue:Queue"
DATASETS = "arn:aws:s3:::datasets-bucket"
DATASETS_ARGS = {
    "bucket_arn": DATASETS,
    "key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/datasets",
    "control_table_name": "control",
    "control_table_arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/control",
    "table_key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/tables",
}
CHALLENGE: dict[str, Any] = {
    "name": "kidney-ct",
    "challenge_id": 1,
    "queue": "kidney-ct-1-dev-5f0c9d2e",
    "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/own/kidney:v3",
}
EVALAI: dict[str, Any] = {
    "host": "evalai.example.org",
    "certificate_arn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1",
    "environment": "dev",
    "image_tag": "0f04039-1",
    "email_sender": "no-reply@example.org",
    "challenges": [CHALLENGE],
}


def build(
    evalai: dict[str, Any], *, preview: bool = False, protect: bool = True, **further: Any
) -> Graph:
    args: Any = {
        **{**ARGS, "datasets": DATASETS_ARGS, **further},
        "protect": protect,
        "evalai": evalai,
    }
    return evaluate(lambda: EvalCluster("evaluation", args), preview=preview)


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in EVALAI.items() if key not in keys}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(EVALAI)


@pytest.fixture(scope="module")
def preview() -> Graph:
    """Without mail."""
    return build(without("email_sender"), preview=True)


@pytest.fixture(scope="module")
def unbuilt() -> Graph:
    """Before there are images, and with deletion allowed."""
    return build(without("image_tag", "challenges"), protect=False)


def policy(graph: Graph, name: str) -> list[dict[str, Any]]:
    return statements(graph.one(POLICY, f"evaluation-{name}").inputs["policy"])


def granted(found: Iterable[dict[str, Any]]) -> set[str]:
    return {action for statement in found for action in statement["Action"]}


def test_same_resources_in_preview_and_update(graph: Graph, preview: Graph) -> None:
    assert preview.urns == graph.urns


def test_the_policy_pack_is_kept(graph: Graph) -> None:
    """No stack's file has images yet, so the pack's own tests don't see all of it."""
    assert not broken(graph)


def test_nothing_runs_before_its_images(graph: Graph, unbuilt: Graph) -> None:
    def runs(made: Graph) -> bool:
        return any(release.name == "evaluation-evalai" for release in made.all(RELEASE))

    assert runs(graph)
    assert not runs(unbuilt)
    outputs = unbuilt.registered_outputs[unbuilt.one("ai4h:index:EvalCluster").urn]
    assert outputs["evalai_url"] == "https://evalai.example.org"
    assert outputs["evalai_image_project"] == "evaluation-evalai-images-name"


def test_database_is_private_encrypted_and_recoverable(graph: Graph, unbuilt: Graph) -> None:
    inputs = graph.one(DATABASE).inputs
    assert inputs["storageEncrypted"]
    assert "evaluation-evalai-data" in inputs["kmsKeyId"]
    assert inputs["publiclyAccessible"] is False
    assert graph.one("aws:rds/subnetGroup:SubnetGroup").inputs["subnetIds"] == ARGS["subnet_ids"]
    assert inputs["multiAz"]
    assert inputs["backupRetentionPeriod"] == 35
    assert inputs["manageMasterUserPassword"]
    assert "password" not in inputs
    parameters = graph.one("aws:rds/parameterGroup:ParameterGroup").inputs["parameters"]
    assert {"name": "rds.force_ssl", "value": "1"} in parameters
    (rule,) = graph.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (5432, 5432)
    assert rule.inputs["referencedSecurityGroupId"] == "sg-0123456789abcdef0"
    assert not graph.all("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    for made, protect in ((graph, True), (unbuilt, False)):
        database = made.one(DATABASE)
        assert database.inputs["deletionProtection"] is protect
        assert database.inputs["skipFinalSnapshot"] is not protect
        for resource in (database, made.one(KEY, "evaluation-evalai-data")):
            assert (resource.protect, resource.retain_on_delete) == (protect, protect)


def test_tasks_that_nobody_finishes_are_set_aside(graph: Graph) -> None:
    tasks = graph.one(QUEUE, "evaluation-evalai-tasks").inputs
    redrive = json.loads(tasks["redrivePolicy"])
    assert "evaluation-evalai-tasks-failed" in redrive["deadLetterTargetArn"]
    assert tasks["visibilityTimeoutSeconds"] == 3900
    assert "evaluation-evalai-data" in tasks["kmsMasterKeyId"]


def test_submissions_that_nobody_evaluates_are_set_aside(graph: Graph) -> None:
    failed = graph.one(QUEUE, "evaluation-evalai-kidney-ct-failed").inputs
    assert failed["name"] == f"{CHALLENGE['queue']}-failed"
    (worker,) = graph.one(RELEASE, "evaluation-evalai").inputs["values"]["workers"]
    assert "evaluation-evalai-kidney-ct-failed" in worker["failedQueueArn"]


def test_images_are_scanned_and_never_replaced(graph: Graph) -> None:
    repositories = graph.all("aws:ecr/repository:Repository")
    names = {repository.inputs["name"].rpartition("/")[2] for repository in repositories}
    assert names == {
        *("evalai-frontend", "evalai-runner", "evalai-web", "evalai-worker", "memcached"),
    }
    for repository in repositories:
        assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
        assert repository.inputs["imageScanningConfiguration"]["scanOnPush"]
        (encryption,) = repository.inputs["encryptionConfigurations"]
        assert encryption["encryptionType"] == "KMS"
    project = graph.one("aws:codebuild/project:Project").inputs
    variables = {v["name"]: v["value"] for v in project["environment"]["environmentVariables"]}
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{ARGS['cluster_name']}"
    assert variables == {"REGISTRY": registry, "TAG": image_tag()}
    assert project["source"]["buildspec"] in source_files()
    assert {"images/build.sh", "images/evalai/Dockerfile", "runner/jobs.py"} < set(source_files())
    pushed = granted(policy(graph, "evalai-images"))
    assert not {action for action in pushed if fnmatchcase(action, "*:Delete*")}


def test_the_build_has_all_that_its_dockerfiles_copy() -> None:
    files = source_files()
    copying = re.compile(r"^COPY ([\w./]+) |type=bind,source=([\w./]+)", re.MULTILINE)
    for name in (name for name in files if name.endswith("Dockerfile")):
        text = files[name].read_text(encoding="utf-8")
        sources = [copied or mounted for copied, mounted in copying.findall(text)]
        assert sources, name
        for source in sources:
            assert any(path == source or path.startswith(f"{source}/") for path in files), source


def test_release_is_told_what_was_made(graph: Graph) -> None:
    release = graph.one(RELEASE, "evaluation-evalai")
    values = release.inputs["values"]
    assert values["image"]["web"] == {
        "repository": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/ai4h-mvp-k8s-dev/evalai-web",
        "tag": "0f04039-1",
    }
    assert values["database"]["host"] == "evaluation-evalai-database-address"
    (worker,) = values["workers"]
    assert worker["queue"] == CHALLENGE["queue"]
    own = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/own/kidney"
    assert worker["image"] == {"repository": own, "tag": "v3"}
    assert "evaluation-challenge-1" in worker["roleArn"]
    for pool in graph.all("kubernetes:karpenter.sh/v1:NodePool"):
        assert graph.waits_for(release, pool)


def test_only_mail_makes_web_reach_the_internet(graph: Graph, preview: Graph) -> None:
    for made, reached in ((graph, ["0.0.0.0/0"]), (preview, [])):
        values = made.one(RELEASE, "evaluation-evalai").inputs["values"]
        assert values["networkPolicy"]["webCidrs"] == reached
    (sending,) = [s for s in policy(graph, "evalai-application") if "ses:SendEmail" in s["Action"]]
    sender = sending["Condition"]["StringEquals"]["ses:FromAddress"]
    assert sender == EVALAI["email_sender"]


@pytest.mark.parametrize(
    ("role", "accounts"),
    [
        ("evalai-application", ["evalai-app", "evalai-migrate"]),
        ("challenge-1", ["evalai-worker-kidney-ct"]),
    ],
)
def test_roles_are_for_named_service_accounts(graph: Graph, role: str, accounts: list[str]) -> None:
    (trust,) = statements(graph.one(ROLE, f"evaluation-{role}").inputs["assumeRolePolicy"])
    condition = trust["Condition"]["StringEquals"]
    (subjects,) = [value for key, value in condition.items() if key.endswith(":sub")]
    assert subjects == [f"system:serviceaccount:evalai:{account}" for account in accounts]
    assert "sts.amazonaws.com" in condition.values()
    assert trust["Principal"]["Federated"].startswith(f"arn:aws:iam::{ACCOUNT}:oidc-provider/")


def test_a_worker_has_its_queue_and_no_dataset_by_the_program(graph: Graph) -> None:
    found = policy(graph, "challenge-1")
    assert granted(found) == {
        *("kms:Decrypt", "kms:GenerateDataKey", "s3:GetObject", "s3:ListBucket", "s3:PutObject"),
        *("sqs:ChangeMessageVisibility", "sqs:DeleteMessage"),
        *("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"),
        "sqs:SetQueueAttributes",
    }
    assert DATASETS not in json.dumps(found)
    (queue,) = [s["Resource"] for s in found if "sqs:ReceiveMessage" in s["Action"]]
    assert queue == f"arn:aws:sqs:{REGION}:{ACCOUNT}:{CHALLENGE['queue']}"
    (written,) = [s["Resource"] for s in found if "s3:PutObject" in s["Action"]]
    assert written.endswith("evaluation-evalai-media/arn/media/*")


def test_workers_have_a_limit_that_lets_them_do_their_work(graph: Graph) -> None:
    role = graph.one(ROLE, "evaluation-challenge-1").inputs
    assert role["name"] == "evaluation-ai4h-mvp-dev-challenge-1"
    assert role["permissionsBoundary"].endswith("evaluation-boundary/arn")
    limit = statements(graph.one("aws:iam/policy:Policy", "evaluation-boundary").inputs["policy"])
    allowed = [(action, s["Resource"]) for s in limit for action in s["Action"]]
    for statement in policy(graph, "challenge-1"):
        for action in statement["Action"]:
            assert any(
                action == known and fnmatchcase(statement["Resource"], resource)
                for known, resource in allowed
            ), (action, statement["Resource"])
    assert ("s3:GetObject", f"{DATASETS}/datasets/*") in allowed
    assert ("kms:Decrypt", DATASETS_ARGS["key_arn"]) in allowed
    assert not [action for action, resource in allowed if resource == "*"]


def test_both_policies_of_a_worker_fit_into_its_role(graph: Graph) -> None:
    own = json.dumps(policy(graph, "challenge-1"), separators=(",", ":"))
    # Names that AWS or EvalAI make are longer than the stand-ins: bucket, key and queue.
    spare = 2 * 63 + 3 * 76 + 80
    assert len(own) + spare + LARGEST <= 10_240


def test_without_datasets_there_is_nothing_to_reconcile(unbuilt: Graph) -> None:
    functions = unbuilt.all("aws:lambda/function:Function")
    assert not [f for f in functions if "reconciler" in f.name]


def test_the_application_reaches_no_dataset(graph: Graph) -> None:
    found = policy(graph, "evalai-application")
    assert DATASETS not in json.dumps(found)
    everywhere = [s for s in found if s["Resource"] == "*"]
    assert granted(everywhere) == {"ses:GetSendQuota", "sqs:ListQueues"}
    (made,) = [s["Resource"] for s in found if "sqs:CreateQueue" in s["Action"]]
    assert made == f"arn:aws:sqs:{REGION}:{ACCOUNT}:*-dev-*"
    assert fnmatchcase(CHALLENGE["queue"], made.rpartition(":")[2])


def test_namespace_takes_hardened_pods_only(graph: Graph) -> None:
    namespace = graph.one("kubernetes:core/v1:Namespace")
    assert namespace.inputs["metadata"]["name"] == "evalai"
    levels = namespace.inputs["metadata"]["labels"]
    assert levels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert graph.one("pulumi:providers:kubernetes").urn in namespace.provider


def test_namespace_goes_while_its_finalizers_are_served(graph: Graph) -> None:
    namespace = graph.one("kubernetes:core/v1:Namespace")
    for name in ("external-secrets", "keda", "aws-load-balancer-controller"):
        assert graph.waits_for(namespace, graph.one(RELEASE, f"evaluation-{name}")), name
    store = graph.one("kubernetes:external-secrets.io/v1:SecretStore")
    release = graph.one(RELEASE, "evaluation-evalai")
    assert graph.waits_for(store, namespace)
    assert graph.waits_for(release, store)


def test_operators_have_roles_of_their_own(graph: Graph) -> None:
    accounts = {
        a.name: (a.inputs["namespace"], a.inputs["serviceAccount"]) for a in graph.all(ASSOCIATION)
    }
    expected = {
        "evaluation-aws-load-balancer-controller": "kube-system/aws-load-balancer-controller",
        "evaluation-external-secrets": "external-secrets/external-secrets",
        "evaluation-keda": "keda/keda-operator",
    }
    for name, account in expected.items():
        assert "/".join(accounts[name]) == account
        release = graph.one(RELEASE, name)
        assert release.inputs["namespace"] == accounts[name][0]
        assert release.inputs["version"].count(".") == 2
        (trust,) = statements(graph.one(ROLE, name).inputs["assumeRolePolicy"])
        tags = trust["Condition"]["StringEquals"]
        assert tags["aws:RequestTag/kubernetes-service-account"] == accounts[name][1]
        assert graph.waits_for(release, graph.one(POLICY, name))
        toleration = {"key": "CriticalAddonsOnly", "operator": "Exists"}
        assert toleration in release.inputs["values"]["tolerations"]


def test_secrets_operator_reads_two_secrets(graph: Graph) -> None:
    reading, decrypting = policy(graph, "external-secrets")
    assert granted([reading]) == {"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}
    database, application = reading["Resource"]
    assert "evaluation-evalai-database" in database
    assert "evaluation-evalai-application" in application
    assert "evaluation-evalai-data" in decrypting["Resource"]
    assert "kms:ViaService" in decrypting["Condition"]["StringEquals"]
    store = graph.one("kubernetes:external-secrets.io/v1:SecretStore").inputs
    assert store["metadata"]["namespace"] == "evalai"


def test_scaler_only_counts(graph: Graph) -> None:
    (counting,) = policy(graph, "keda")
    assert granted([counting]) == {"sqs:GetQueueAttributes"}
    assert counting["Resource"] == f"arn:aws:sqs:{REGION}:{ACCOUNT}:*-dev-*"


def test_load_balancers_of_other_clusters_are_out_of_reach(graph: Graph) -> None:
    free = {"Read", "Firewall", "MakeRole", "MakeGroupIn", "LetIntoNodes"}
    bound = 0
    for statement in policy(graph, "aws-load-balancer-controller"):
        if statement["Sid"] in free:
            continue
        values = statement["Condition"]["StringEquals"]
        tags = [values[key] for key in values if key.endswith("Tag/elbv2.k8s.aws/cluster")]
        assert tags == [ARGS["cluster_name"]], statement["Sid"]
        assert statement["Resource"] != "*", statement["Sid"]
        bound += 1
    assert bound == 6
    by_name = {s["Sid"]: s for s in policy(graph, "aws-load-balancer-controller")}
    assert by_name["LetIntoNodes"]["Resource"].endswith("security-group/sg-0123456789abcdef0")
    changing = granted([by_name["Read"]])
    assert all(a.partition(":")[2].startswith(("Describe", "Get")) for a in changing)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"environment": "Dev"}, "evalai.environment: 'Dev'"),
        ({"challenges": [CHALLENGE, CHALLENGE]}, "a name is given twice"),
        ({"challenges": [{**CHALLENGE, "queue": "kidney-ct-1-prod-5f0c"}]}, "no queue of EvalAI"),
        ({"challenges": [{**CHALLENGE, "image": "worker"}]}, "'worker' must be"),
    ],
)
def test_bad_arguments_are_explained(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build({**EVALAI, **changes})
