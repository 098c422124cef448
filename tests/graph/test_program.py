"""The whole program, per stack: what it makes, what it refuses, and what the config schema says."""

import json
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.output import Unknown

import components
from tests.graph.strict import PROJECT, ROOT, Graph, evaluate_stack, stack_graph

STACKS = ("dev", "prod", "local")
FUNCTION = "aws:lambda/function:Function"
COMPONENTS = {
    *("Network", "Edge", "AuthPool", "DataStore", "UploadBucket", "Gateway", "Dashboard"),
}
OUTPUTS = {
    *("api_function_name", "api_key_ids", "api_key_secret_arns", "api_keys", "api_url"),
    *("browser_client_id", "dashboard_name"),
    *("bucket_name", "cli_client_id", "control_table_name", "evidence_public_key"),
    "hosted_ui_url",
    *("index_admin_function_name", "index_keeper_function_name", "indexer_function_name"),
    *("issuer", "overflow_bucket", "portal_url", "region"),
    *("search_endpoint", "stage_url", "table_name", "usage_plan_id", "user_pool_id"),
}
LOCAL_OUTPUTS = {"challenge_role_arns", "reconciler_function_name"}
CLUSTER_OUTPUTS = {
    *("cluster_name", "kubeconfig_command", "oidc_provider_arn"),
    *("evalai_image_project", "evalai_url"),
}
PROJECT_FILE = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
RULES = {
    "nurse": [{"operations": ["read", "search"], "types": ["Patient"]}],
    "admin": [{"operations": ["*"], "types": ["*"]}],
}
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return {stack: stack_graph(stack) for stack in STACKS}


@pytest.fixture(scope="module")
def configured() -> Graph:
    """A stack with settings that none of ours has."""
    origins = {"developmentOrigins": '["http://localhost:5173"]'}
    return evaluate_stack("local", config=origins | {"accessRules": json.dumps(RULES)})


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_same_resources_in_preview_and_update(graphs: dict[str, Graph], stack: str) -> None:
    preview = stack_graph(stack, preview=True)
    assert preview.urns == graphs[stack].urns
    assert set(preview.outputs) == set(graphs[stack].outputs)


@pytest.mark.parametrize("stack", STACKS)
def test_everything_belongs_to_a_component(graphs: dict[str, Graph], stack: str) -> None:
    graph = graphs[stack]
    top = [r for r in graph if r.parent not in graph.resources]
    workers = {"ChallengeRoles" if stack == "local" else "EvalCluster"}
    assert {r.type for r in top} == {f"ai4h:index:{name}" for name in COMPONENTS | workers}
    assert all(r.urn in graph.registered_outputs for r in top)


def test_in_production_all_that_is_in_a_zone_is_in_others_too(graphs: dict[str, Graph]) -> None:
    graph, count = graphs["prod"], 3
    subnets = graph.all("aws:ec2/subnet:Subnet")
    private = {f"{s.name}-id": s.inputs["availabilityZone"] for s in subnets if "private" in s.name}
    assert len(set(private.values())) == len(private) == count

    def are_all(ids: list[str]) -> bool:
        return set(ids) == set(private)

    assert len(graph.all("aws:ec2/natGateway:NatGateway")) == count
    functions = [f.inputs["vpcConfig"] for f in graph.all(FUNCTION) if "vpcConfig" in f.inputs]
    assert functions
    assert all(are_all(place["subnetIds"]) for place in functions)
    domain = graph.one("aws:opensearch/domain:Domain").inputs
    assert domain["clusterConfig"]["zoneAwarenessConfig"] == {"availabilityZoneCount": count}
    assert are_all(domain["vpcOptions"]["subnetIds"])
    database = graph.one("aws:rds/instance:Instance").inputs
    assert database["multiAz"]
    assert are_all(graph.one("aws:rds/subnetGroup:SubnetGroup").inputs["subnetIds"])
    assert are_all(graph.one("aws:eks/nodeGroup:NodeGroup").inputs["subnetIds"])
    for endpoint in graph.all("aws:ec2/vpcEndpoint:VpcEndpoint"):
        assert endpoint.inputs["vpcEndpointType"] == "Gateway" or are_all(
            endpoint.inputs["subnetIds"]
        )


@pytest.mark.parametrize("stack", STACKS)
def test_outputs(graphs: dict[str, Graph], stack: str) -> None:
    graph = graphs[stack]
    assert set(graph.outputs) == OUTPUTS | (LOCAL_OUTPUTS if stack == "local" else CLUSTER_OUTPUTS)
    assert not [n for n, v in graph.outputs.items() if v is None or isinstance(v, Unknown)]
    assert "api_keys" in graph.secret_outputs


def test_names_and_addresses(graphs: dict[str, Graph]) -> None:
    assert graphs["dev"].outputs["cluster_name"] == "ai4h-mvp-k8s-dev"
    assert graphs["prod"].outputs["api_url"] == "https://ai4h.example.org/api"
    assert graphs["dev"].outputs["region"] == "eu-central-1"


@pytest.mark.parametrize(("stack", "protected"), [("dev", True), ("prod", True), ("local", False)])
def test_data_are_protected(graphs: dict[str, Graph], stack: str, protected: bool) -> None:
    stateful = [
        r
        for token in ("aws:cognito/userPool:UserPool", "aws:dynamodb/table:Table")
        for r in graphs[stack].all(token)
    ]
    assert len(stateful) == 3
    assert {r.protect for r in stateful} == {protected}
    assert {r.retain_on_delete for r in stateful} == {protected}


def policies(graph: Graph) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in graph:
        for key in ("policy", "assumeRolePolicy", "accessPolicies"):
            text = resource.inputs.get(key)
            if isinstance(text, str) and text.startswith("{"):
                for statement in json.loads(text).get("Statement", []):
                    yield resource.name, statement


@pytest.mark.parametrize("stack", STACKS)
def test_no_policy_allows_whole_services(graphs: dict[str, Graph], stack: str) -> None:
    checked = 0
    for name, statement in policies(graphs[stack]):
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                assert "*" not in action, f"{name} allows {action}"
                checked += 1
    assert checked > 50


def test_every_log_group_is_encrypted_and_expires(graphs: dict[str, Graph]) -> None:
    for group in graphs["prod"].all("aws:cloudwatch/logGroup:LogGroup"):
        assert group.inputs.get("kmsKeyId"), group.name
        assert group.inputs.get("retentionInDays"), group.name


def test_routes_reach_both_functions(graphs: dict[str, Graph]) -> None:
    graph = graphs["dev"]
    deployment = graph.one("aws:apigateway/deployment:Deployment")
    served = {
        r.inputs["function"]
        for r in graph.all("aws:lambda/permission:Permission")
        if r.inputs["principal"] == "apigateway.amazonaws.com"
    }
    assert len(served) == 2
    functions = graph.all(FUNCTION)
    reached = {function.name for function in functions if graph.waits_for(deployment, function)}
    assert {"data-api", "uploads-api"} <= reached


def test_pages_may_only_come_from_known_origins(
    graphs: dict[str, Graph], configured: Graph
) -> None:
    client = graphs["prod"].one("aws:cognito/userPoolClient:UserPoolClient", "auth-browser")
    assert client.inputs["callbackUrls"] == ["https://ai4h.example.org/"]
    client = configured.one("aws:cognito/userPoolClient:UserPoolClient", "auth-browser")
    assert client.inputs["callbackUrls"][1] == "http://localhost:5173/"


def test_access_rules_reach_the_functions_and_make_their_groups(configured: Graph) -> None:
    told = {
        function.name: json.loads(rules)
        for function in configured.all(FUNCTION)
        if (rules := function.inputs["environment"]["variables"].get("ACCESS_RULES"))
    }
    asking = ("data-api", "data-exporter", "data-importer", "uploads-api")
    assert told == dict.fromkeys(asking, RULES)
    groups = {group.inputs["name"] for group in configured.all("aws:cognito/userGroup:UserGroup")}
    assert groups >= {"nurse", "practitioner", "admin"}


def test_the_portal_is_told_where_to_sign_in_and_what_to_call(graphs: dict[str, Graph]) -> None:
    settings = graphs["prod"].one("aws:s3/bucketObjectv2:BucketObjectv2", "edge-portal-settings")
    told = json.loads(settings.inputs["content"])
    assert told["apiUrl"] == "https://ai4h.example.org/api"
    assert told["apiKey"] == graphs["prod"].outputs["api_keys"]["portal"]
    assert told["issuer"] == graphs["prod"].outputs["issuer"]
    assert told["signInUrl"] == graphs["prod"].outputs["hosted_ui_url"]
    assert told["clientId"] == graphs["prod"].outputs["browser_client_id"]


BAD: dict[str, tuple[str, dict[str, str | None], str]] = {
    "range": ("dev", {"vpcCidr": "10.0.0.0/8"}, "vpcCidr: 10.0.0.0/8"),
    "choice": ("dev", {"mfa": "SOMETIMES"}, "mfa: 'SOMETIMES' is none of OFF, OPTIONAL, ON"),
    "platform": ("dev", {"functionPlatform": "toaster"}, "none of lambda, host"),
    "evalai": ("dev", {"evalaiCertificateArn": ""}, "evalaiCertificateArn: the ACM certificate"),
    "half a domain": ("dev", {"domainName": "a.example.org"}, "or none of them"),
    "two lists of countries": (
        "dev",
        {"allowedCountries": '["DE"]', "blockedCountries": '["FR"]'},
        "set one of them",
    ),
    "a country's name": ("dev", {"allowedCountries": '["Germany"]'}, "'Germany' is no ISO 3166-1"),
    "certificate": (
        "dev",
        {
            "domainName": "a.example.org",
            "domainCertificateArn": "arn:aws:acm:eu-central-1:1:certificate/1",
        },
        "us-east-1 only",
    ),
    "no domain in production": (
        "prod",
        {"domainName": "", "domainCertificateArn": ""},
        "domainName",
    ),
    "no protection": ("prod", {"protect": "false"}, "protect: must be true"),
    "weak sign-in": ("prod", {"mfa": "OPTIONAL"}, "mfa: must be ON"),
    "a peer's network": ("dev", {"peerCidrs": '["10.0.128.0/17"]'}, "overlaps with 10.0.128.0/17"),
    "no network": ("dev", {"peerCidrs": '["10.0.0.1/8"]'}, "peerCidrs: 10.0.0.1/8 has host bits"),
    "nobody hears the edge": ("prod", {"edgeAlarmTopicArn": ""}, "edgeAlarmTopicArn: required"),
    "a topic elsewhere": (
        "dev",
        {"edgeAlarmTopicArn": "arn:aws:sns:eu-central-1:1:alarms"},
        "are in us-east-1",
    ),
    "backups in one region": ("prod", {"backupCopyRegion": ""}, "backupCopyRegion: required"),
    "a copy beside": ("dev", {"backupCopyRegion": "eu-central-1"}, "another region than"),
    "passwords": ("prod", {"passwordSignIn": "true"}, "passwordSignIn"),
    "no key for the portal": (
        "dev",
        {"apiKeys": '[{"name": "hospital"}]'},
        "apiKeys: 'portal' must be",
    ),
    "no holder": ("dev", {"apiKeys": '["portal"]'}, "apiKeys: 'portal' isn't a holder"),
    "no such group": ("dev", {"singleFactorGroups": '["nurse"]'}, "singleFactorGroups: ['nurse']"),
    "foreign origin": ("prod", {"developmentOrigins": '["http://x"]'}, "developmentOrigins"),
    "nobody reaches the cluster": ("dev", {"clusterPublicAccessCidrs": "[]"}, "name the ranges"),
    "workers elsewhere": ("dev", {"workerIssuer": "oidc.example.org"}, "workerIssuer: for"),
    "everybody does": ("prod", {"clusterPublicAccessCidrs": '["0.0.0.0/0"]'}, "whole internet"),
}


@pytest.mark.parametrize(("stack", "config", "message"), BAD.values(), ids=BAD.keys())
def test_bad_configuration_is_explained(
    stack: str, config: dict[str, str | None], message: str
) -> None:
    with pytest.raises(pulumi.RunError, match=f"configuration of stack {stack}") as caught:
        evaluate_stack(stack, config=config)
    assert message in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(pulumi.RunError) as caught:
        evaluate_stack("prod", config={"protect": "false", "mfa": "OFF"})
    assert str(caught.value).count("\n  - ") == 2


def test_every_key_is_described_and_has_a_default_of_its_type() -> None:
    for key, spec in PROJECT_FILE["config"].items():
        assert spec["description"], key
        assert isinstance(spec["default"], TYPES[spec["type"]]), key
    assert PROJECT_FILE["name"] == PROJECT


@pytest.mark.parametrize("stack", STACKS)
def test_stack_files_use_declared_keys(stack: str) -> None:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    for key, value in config.items():
        namespace, name = key.split(":")
        if namespace == PROJECT:
            assert isinstance(value, TYPES[PROJECT_FILE["config"][name]["type"]]), key


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_everything_is_tagged_with_whose_it_is(stack: str) -> None:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    assert config["aws:defaultTags"] == {"tags": {"project": PROJECT, "stack": stack}}


def test_every_public_name_of_the_package_resolves() -> None:
    for name in components.__all__:
        assert getattr(components, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = components.Nonsense
