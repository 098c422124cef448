"""account/: what exists once per account, and what the pipeline's roles may do."""

import fnmatch
import json
import runpy
from typing import Any

import pulumi
import pytest
import yaml

from tests.graph.strict import ACCOUNT, ROOT, Graph, Registration, evaluate, stack_graph

FOLDER = ROOT / "account"
PROJECT_FILE = yaml.safe_load((FOLDER / "Pulumi.yaml").read_text())
PROJECT = PROJECT_FILE["name"]
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
# IAM's name of a service, where it isn't the provider's.
PREFIXES = {"cognito": "cognito-idp", "opensearch": "es", "sfn": "states", "vpc": "ec2"}


def build(preview: bool = False, **changes: Any) -> Graph:
    values = {key: spec["default"] for key, spec in PROJECT_FILE["config"].items()} | changes
    return evaluate(
        lambda: runpy.run_path(str(FOLDER / "__main__.py"), run_name="__main__"),
        preview=preview,
        project=PROJECT,
        stack="main",
        config={
            f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
        },
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(repository="ai4h/platform")


def statements(resource: Registration, key: str = "policy") -> list[dict[str, Any]]:
    return json.loads(resource.inputs[key])["Statement"]


def concerned(graph: Graph, effect: str, action: str, resource: str) -> list[dict[str, Any]]:
    """Statements of the deploy role of `dev` with the effect on the action and resource."""

    def matches(value: str, patterns: str | list[str]) -> bool:
        patterns = [patterns] if isinstance(patterns, str) else patterns
        return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)

    return [
        statement
        for statement in statements(graph.one(ROLE_POLICY, "ci-deploy-dev"))
        if statement["Effect"] == effect
        and matches(action, statement["Action"])
        and matches(resource, statement.get("Resource", "*"))
        and not matches(resource, statement.get("NotResource", []))
    ]


def allowed(graph: Graph, action: str, resource: str, only: str | list[str] = "") -> bool:
    """Whether there is an Allow, for what its condition names if it has one."""
    return any(
        not only or json.dumps(only) in json.dumps(statement["Condition"])
        for statement in concerned(graph, "Allow", action, resource)
    )


def test_same_resources_in_preview_and_update(graph: Graph) -> None:
    preview = build(preview=True, repository="ai4h/platform")
    assert preview.urns == graph.urns
    assert set(preview.outputs) == set(graph.outputs)


def test_without_a_repository_there_is_no_pipeline(graph: Graph) -> None:
    bare = build()
    assert set(graph.outputs) - set(bare.outputs) == {"preview_role_arn", "deploy_role_arns"}
    assert not [role.name for role in bare.all(ROLE) if role.name.startswith("ci-")]
    assert not bare.all(PROVIDER)


def test_settings_of_the_account(graph: Graph) -> None:
    block = graph.one("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock").inputs
    assert {
        value for key, value in block.items() if key.startswith(("block", "ignore", "restrict"))
    }
    assert all(block[key] for key in block if key.endswith(("Acls", "Policy", "Buckets")))
    assert graph.one("aws:ebs/encryptionByDefault:EncryptionByDefault").inputs["enabled"]
    settings = graph.one("aws:apigateway/account:Account")
    attachment = graph.one("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "api-gateway-logs")
    assert graph.waits_for(settings, attachment)


def test_service_linked_roles_are_a_choice(graph: Graph) -> None:
    kind = "aws:iam/serviceLinkedRole:ServiceLinkedRole"
    assert {role.name for role in graph.all(kind)} == {
        f"{service}.amazonaws.com" for service in ("autoscaling", "opensearchservice", "spot")
    }
    assert all(role.retain_on_delete for role in graph.all(kind))
    assert not build(serviceLinkedRoles=[]).all(kind)


def test_state_is_versioned_encrypted_and_protected(graph: Graph) -> None:
    bucket = graph.one("aws:s3/bucket:Bucket", "state")
    keys = [graph.one("aws:kms/key:Key", name) for name in ("state", "state-secrets")]
    assert all(r.protect and r.retain_on_delete for r in (bucket, *keys))
    encryption = graph.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "state",
    )
    rule = encryption.inputs["rules"][0]["applyServerSideEncryptionByDefault"]
    assert rule["sseAlgorithm"] == "aws:kms"
    assert graph.waits_for(encryption, keys[0])
    assert graph.outputs["state_secrets_provider"] == (
        "awskms://alias/ai4h-pulumi-secrets?region=eu-central-1"
    )
    assert graph.outputs["state_backend_url"].startswith("s3://")


def test_topics_hear_this_accounts_alarms_and_tell_who_consents() -> None:
    assert not build().all("aws:sns/topic:Topic")
    graph = build(alarmEmails=["on-call@example.org", "ops@example.org"])
    for name, region in (("alarms", None), ("edge-alarms", "us-east-1")):
        topic, key = graph.one("aws:sns/topic:Topic", name), graph.one("aws:kms/key:Key", name)
        assert topic.inputs.get("region") == key.inputs.get("region") == region
        assert graph.waits_for(topic, key)
        for resource in (graph.one("aws:sns/topicPolicy:TopicPolicy", name), key):
            alarms = [
                statement
                for statement in statements(resource)
                if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
            ]
            assert [each["Condition"] for each in alarms] == [
                {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
            ]
    told = graph.all("aws:sns/topicSubscription:TopicSubscription")
    assert len(told) == 4
    assert {subscription.inputs["protocol"] for subscription in told} == {"email"}
    assert {"alarm_topic_arn", "edge_alarm_topic_arn"} <= set(graph.outputs)


def test_each_role_trusts_one_environment(graph: Graph) -> None:
    trusted = {}
    for role in graph.all(ROLE):
        if role.name.startswith("ci-"):
            (trust,) = statements(role, "assumeRolePolicy")
            assert trust["Principal"]["Federated"].endswith("github/arn")
            condition = trust["Condition"]["StringEquals"]
            assert condition["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
            trusted[role.name] = condition["token.actions.githubusercontent.com:sub"]
    assert trusted == {
        "ci-preview": "repo:ai4h/platform:environment:preview",
        "ci-deploy-dev": "repo:ai4h/platform:environment:dev",
        "ci-deploy-prod": "repo:ai4h/platform:environment:prod",
    }


def test_an_existing_provider_is_used() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    graph = build(repository="ai4h/platform", githubProviderArn=arn)
    assert not graph.all(PROVIDER)
    (trust,) = statements(graph.one(ROLE, "ci-preview"), "assumeRolePolicy")
    assert trust["Principal"] == {"Federated": arn}


def test_previews_write_nothing(graph: Graph) -> None:
    actions = {
        action
        for statement in statements(graph.one(ROLE_POLICY, "ci-preview"))
        for action in statement["Action"]
    }
    assert actions == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}


def test_deployments_may_do_what_the_platform_needs(graph: Graph) -> None:
    platform = stack_graph("prod")
    for resource in platform:
        package, module, kind = resource.type.split(":")
        module = "events" if kind in ("EventRule", "EventTarget") else module.split("/")[0]
        if module == "cloudtrail":
            arn = f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/{resource.name}-0a1b2c3"
            assert allowed(graph, "cloudtrail:CreateTrail", arn)
        elif package == "aws" and module != "iam":
            assert allowed(graph, f"{PREFIXES.get(module, module)}:Create", "*"), resource.type
    for role in platform.all(ROLE):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role.name}-0a1b2c3"
        assert allowed(graph, "iam:CreateRole", arn), role.name
        for trust in statements(role, "assumeRolePolicy"):
            service = trust["Principal"]["Service"]
            assert allowed(graph, "iam:PassRole", arn, service), service
    for attachment in platform.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment"):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{attachment.name}"
        policy = attachment.inputs["policyArn"]
        assert allowed(graph, "iam:AttachRolePolicy", arn, policy), policy


def test_deployments_may_make_what_settings_add(graph: Graph) -> None:
    """Of a zone in Route 53, and of scans."""
    assert allowed(graph, "acm:RequestCertificate", "*")
    zone = "arn:aws:route53:::hostedzone/Z1"
    assert allowed(graph, "route53:ListResourceRecordSets", zone)
    assert allowed(graph, "route53:ChangeResourceRecordSets", zone, ["A", "AAAA", "CNAME"])
    plan = f"arn:aws:guardduty:eu-central-1:{ACCOUNT}:malware-protection-plan/1"
    assert allowed(graph, "guardduty:CreateMalwareProtectionPlan", plan)
    service = "malware-protection-plan.guardduty.amazonaws.com"
    assert allowed(graph, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/uploads-scan", service)


def test_deployments_stay_in_the_stacks_regions(graph: Graph) -> None:
    def regions(graph: Graph) -> list[str]:
        (statement,) = concerned(graph, "Allow", "backup:CreateBackupVault", "*")
        return statement["Condition"]["StringEquals"]["aws:RequestedRegion"]

    assert regions(graph) == ["eu-central-1", "us-east-1"]
    copied = build(repository="ai4h/platform", backupCopyRegion="eu-west-1")
    assert regions(copied) == ["eu-central-1", "eu-west-1", "us-east-1"]


def test_deployments_may_make_budgets(graph: Graph) -> None:
    """No stack's file has any."""
    assert allowed(graph, "budgets:ModifyBudget", "*")
    stop = f"arn:aws:iam::{ACCOUNT}:policy/evaluation-evalai-kidney-ct-stop-0a1b2c3"
    assert allowed(graph, "iam:CreatePolicy", stop)
    role = f"arn:aws:iam::{ACCOUNT}:role/evaluation-evalai-kidney-ct-budget-0a1b2c3"
    assert allowed(graph, "iam:PassRole", role, "budgets.amazonaws.com")
    assert not allowed(graph, "iam:AttachRolePolicy", role, stop)


def test_deployments_may_limit_the_roles_of_challenges(graph: Graph) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/evaluation-ai4h-mvp-dev-challenge-1"
    for action in ("iam:CreateRole", "iam:TagRole", "iam:PutRolePermissionsBoundary"):
        assert allowed(graph, action, role)
    policy = f"arn:aws:iam::{ACCOUNT}:policy/evaluation-boundary-0a1b2c3"
    assert allowed(graph, "iam:CreatePolicy", policy)
    assert not allowed(graph, "iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/other")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/someone"),
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/ci-deploy-dev-0a1b2c3"),
        ("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/ci-preview-0a1b2c3"),
        ("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/admin"),
        ("iam:CreateOpenIDConnectProvider", f"arn:aws:iam::{ACCOUNT}:oidc-provider/example.org"),
        ("guardduty:DeleteDetector", f"arn:aws:guardduty:eu-central-1:{ACCOUNT}:detector/1"),
        ("organizations:LeaveOrganization", "*"),
        ("route53:DeleteHostedZone", "arn:aws:route53:::hostedzone/Z1"),
        ("cloudtrail:StopLogging", f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/account"),
    ],
)
def test_deployments_may_not_touch_the_rest(graph: Graph, action: str, resource: str) -> None:
    assert not allowed(graph, action, resource)


def test_deployments_are_kept_from_data_and_other_state(graph: Graph) -> None:
    state = graph.one("aws:s3/bucketPolicy:BucketPolicy", "state").inputs["policy"]
    bucket = json.loads(state)["Statement"][0]["Resource"][0]
    stacks = f"{bucket}/.pulumi/stacks/ai4h-mvp"
    for action, resource, denied in (
        ("dynamodb:GetItem", "arn:aws:dynamodb:::table/data-versions", True),
        ("s3:GetObject", "arn:aws:s3:::uploads-datasets-1/datasets/1", True),
        ("s3:GetObject", "arn:aws:s3:::edge-portal-1/index.html", False),
        ("s3:GetObject", f"{stacks}/dev.json", False),
        ("s3:PutObject", f"{stacks}/dev.json", False),
        ("s3:GetObject", f"{stacks}/prod.json", True),
        ("s3:PutObject", f"{stacks}/prod.json.bak", True),
        ("s3:PutBucketVersioning", bucket, True),
        ("s3:DeleteObjectVersion", f"{stacks}/dev.json", True),
    ):
        assert bool(concerned(graph, "Deny", action, resource)) is denied, (action, resource)
    secrets = next(
        statement["Resource"]
        for statement in statements(graph.one(ROLE_POLICY, "ci-preview"))
        if statement["Action"] == ["kms:Decrypt"]
    )
    assert len(secrets) == 2
    for key in secrets:
        assert concerned(graph, "Deny", "kms:ScheduleKeyDeletion", key)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repository": "platform"}, "repository: 'platform' is not of the form owner/name"),
        ({"deployEnvironments": ["*"]}, r"environment '\*': only letters"),
        ({"previewEnvironment": "dev"}, "a name occurs twice"),
        ({"alarmEmails": ["nobody"]}, "alarmEmails: 'nobody' is no address"),
    ],
)
def test_bad_configuration_is_explained(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(pulumi.RunError, match=message):
        build(**changes)


def test_every_key_is_described() -> None:
    assert all(spec["description"] for spec in PROJECT_FILE["config"].values())
