"""The rules of the policy pack: every stack keeps them, and what breaks one is refused."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.output import Unknown

from policies.cluster import POD_SECURITY
from policies.exceptions import EXCEPTIONS, RuleException, excepted, parse
from policies.lifetimes import KUBERNETES, ended
from policies.network import overlaps
from policies.operations import ALARM
from policies.rule import UNKNOWN, Resource, Rule
from policies.rules import (
    ACCESS_BLOCK,
    BUCKET,
    LOGGING,
    RULES,
    WEB_ACL_ASSOCIATION,
    unblocked_buckets,
    unfiltered,
    unlogged_buckets,
    unwatched_certificates,
)
from tests.graph.strict import Graph, stack_graph

ROOT = Path(__file__).resolve().parents[2]
CHECKOV = re.compile(r"CKV2?_AWS_\d+")
BY_NAME = {rule.name: rule for rule in RULES}


def known(value: Any) -> Any:
    """The value as the pack hands it to the rules."""
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        return {key: known(item) for key, item in value.items()}
    return [known(item) for item in value] if isinstance(value, list) else value


def broken(graph: Graph) -> dict[tuple[str, str], list[str]]:
    """Problems by rule and URN."""

    found: dict[tuple[str, str], list[str]] = {}
    for registered in graph:
        resource = Resource(registered.type, known(dict(registered.inputs)), registered.protect)
        for rule in RULES:
            if problems := rule.check(resource):
                found[rule.name, registered.urn] = problems
    return found


@pytest.mark.parametrize(("stack", "preview"), [("dev", False), ("dev", True), ("prod", False)])
def test_every_stack_keeps_the_rules(stack: str, preview: bool) -> None:
    graph = stack_graph(stack, preview=preview)
    found = broken(graph)
    assert not {key: problems for key, problems in found.items() if not excepted(*key)}
    assert len(graph.all(BUCKET)) >= 5
    assert not unblocked(graph, without=None)
    assert not unfiltered((r.urn, r.type, r.depends_on) for r in graph)
    assert not unlogged_buckets((r.urn, r.type, r.depends_on) for r in graph)
    assert not unwatched_certificates(inspected(graph))


def test_the_rules_concern_what_there_is() -> None:
    """A misspelt type would be a rule that nothing can break."""
    types = {r.type for stack in ("dev", "prod") for r in stack_graph(stack)}
    elsewhere = {"no-users", "renewing-certificate"}  # what no stack has
    idle = {rule.name for rule in RULES if rule.types and not rule.types & types}
    assert idle == elsewhere


def test_a_bucket_that_loses_its_log_is_noticed() -> None:
    graph = stack_graph("dev")
    (log,) = [r for r in graph.all(LOGGING) if r.name == "uploads-datasets-logs"]
    kept = [r for r in graph if r.urn != log.urn]
    (bucket,) = unlogged_buckets((r.urn, r.type, r.depends_on) for r in kept)
    assert bucket.endswith("::uploads-datasets")


def unblocked(graph: Graph, without: str | None) -> list[str]:
    kept = [r for r in graph if r.urn != without]
    return unblocked_buckets((r.urn, r.type, r.depends_on) for r in kept)


def test_a_bucket_that_loses_its_block_is_noticed() -> None:
    graph = stack_graph("dev")
    block = graph.all(ACCESS_BLOCK)[0]
    (bucket,) = unblocked(graph, without=block.urn)
    assert bucket in block.depends_on


def test_a_door_that_loses_its_firewall_is_noticed() -> None:
    graph = stack_graph("dev")
    for name in ("auth-firewall", "gateway-firewall"):
        association = graph.one(WEB_ACL_ASSOCIATION, name)
        kept = [r for r in graph if r is not association]
        (door,) = unfiltered((r.urn, r.type, r.depends_on) for r in kept)
        assert door in association.depends_on


def inspected(graph: Graph) -> list[tuple[str, Resource]]:
    return [(r.urn, Resource(r.type, known(dict(r.inputs)), r.protect)) for r in graph]


def test_a_certificate_that_loses_its_alarm_is_noticed() -> None:
    graph = stack_graph("prod")
    kept = [(urn, r) for urn, r in inspected(graph) if "expiring-certificate" not in urn]
    assert len(kept) == len(inspected(graph)) - 2  # of the edge and of EvalAI
    ((urn, arn),) = unwatched_certificates(kept)
    assert urn.endswith("::edge-distribution")
    assert arn.startswith("arn:aws:acm:us-east-1:")
    release = Resource("kubernetes:helm.sh/v3:Release", {"values": {"ingress": [{"arn": arn}]}})
    assert unwatched_certificates([("urn", release)]) == [("urn", arn)]
    alarm = Resource(ALARM, {"metricName": "DaysToExpiry", "dimensions": UNKNOWN})
    assert not unwatched_certificates([("urn", release), ("other", alarm)])


def policy(**statement: Any) -> dict[str, str]:
    full = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"} | statement
    return {"policy": json.dumps({"Statement": [full]})}


CLOSED = {
    **{"blockPublicAcls": True, "blockPublicPolicy": True},
    **{"ignorePublicAcls": True, "restrictPublicBuckets": True},
}
KEY = "arn:aws:kms:eu-central-1:111122223333:key/k"
QUEUE = "arn:aws:sqs:eu-central-1:111122223333:q"
GITHUB = {"Federated": "arn:aws:iam::111122223333:oidc-provider/x"}
PRIVATE = {
    "vpcOptions": {"subnetIds": ["subnet-1"]},
    "domainEndpointOptions": {
        "enforceHttps": True,
        "tlsSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10",
    },
    "nodeToNodeEncryption": {"enabled": True},
}
ATTACKS = {"managedRuleGroupStatement": {"name": "AWSManagedRulesKnownBadInputsRuleSet"}}
LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
POOL = {"limits": {"cpu": "64"}, "template": {"spec": {"expireAfter": "336h"}}}
CHART = {"chart": "oci://registry/karpenter", "version": "1.14.1"}

# By rule: inputs that keep it, what is changed in them, and what is said then.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no-public-bucket": (CLOSED, {"blockPublicPolicy": False}, "blockPublicPolicy is false"),
    "no-public-acl": ({"acl": "private"}, {"acl": "public-read"}, "opens the bucket"),
    "encrypted-table": (
        {"serverSideEncryption": {"enabled": True, "kmsKeyArn": KEY}},
        {"serverSideEncryption": {"enabled": True}},
        "kmsKeyArn is missing",
    ),
    "encrypted-database": ({"kmsKeyId": KEY}, {"kmsKeyId": None}, "kmsKeyId is missing"),
    "encrypted-queue": ({"kmsMasterKeyId": KEY}, {"kmsMasterKeyId": ""}, "kmsMasterKeyId"),
    "encrypted-logs": ({"kmsKeyId": KEY}, {"kmsKeyId": None}, "a key of one's own"),
    "encrypted-credentials": ({"kmsKeyId": KEY}, {"kmsKeyId": None}, "a key of one's own"),
    "encrypted-domain": (
        {"encryptAtRest": {"enabled": True, "kmsKeyId": KEY}},
        {"encryptAtRest": {"enabled": True}},
        "encryptAtRest.kmsKeyId",
    ),
    "rotated-key": ({"enableKeyRotation": True}, {"enableKeyRotation": None}, "rotates"),
    "recoverable-table": (
        {"pointInTimeRecovery": {"enabled": True}},
        {"pointInTimeRecovery": {"enabled": False}},
        "pointInTimeRecovery.enabled is false",
    ),
    "recoverable-database": (
        {"backupRetentionPeriod": 7},
        {"backupRetentionPeriod": 0},
        "keep backups",
    ),
    "kept-logs": ({"retentionInDays": 365}, {"retentionInDays": 7}, "retentionInDays is 7"),
    "fixed-images": (
        {
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
        },
        {"imageTagMutability": "MUTABLE"},
        "must not change",
    ),
    "no-public-policy": (
        policy(Principal={"Service": "x.amazonaws.com"}),
        policy(Principal={"AWS": ["*"]}),
        "lets everybody s3:GetObject",
    ),
    "no-action-wildcard": (policy(), policy(Action=["s3:Get*"]), "allows s3:Get*"),
    "no-resource-wildcard": (
        policy(Action="xray:PutTraceSegments", Resource="*"),
        policy(Resource="*"),
        "s3:GetObject on every resource",
    ),
    "narrow-federation": (
        policy(Principal=GITHUB, Condition={"StringEquals": {"x:sub": "repo:a/b"}}),
        policy(Principal=GITHUB),
        "name the subject",
    ),
    "cluster-access-by-role": (
        {"principalArn": "arn:aws:iam::111122223333:role/engineer"},
        {"principalArn": "arn:aws:iam::111122223333:root"},
        "isn't a role",
    ),
    "no-open-port": (
        {"cidrIpv4": "10.0.0.0/16"},
        {"cidrIpv6": "::/0"},
        "cidrIpv6 is the whole internet",
    ),
    "rules-apart": ({}, {"ingress": [{"fromPort": 443}]}, "ingress is set in the group"),
    "no-public-addresses": ({}, {"mapPublicIpOnLaunch": True}, "mapPublicIpOnLaunch is true"),
    "private-domain": (PRIVATE, {"vpcOptions": None}, "into the VPC"),
    "private-database": ({}, {"publiclyAccessible": True}, "publiclyAccessible is true"),
    "https-only": (
        {"defaultCacheBehavior": {"viewerProtocolPolicy": "redirect-to-https"}},
        {"orderedCacheBehaviors": [{"viewerProtocolPolicy": "allow-all"}]},
        "allow-all",
    ),
    "modern-tls": (
        {"viewerCertificate": {"minimumProtocolVersion": "TLSv1.2_2021"}},
        {"viewerCertificate": {"cloudfrontDefaultCertificate": True}},
        "minimumProtocolVersion is missing",
    ),
    "renewing-certificate": (
        {"validationMethod": "DNS"},
        {"validationMethod": None},
        "ends one day",
    ),
    "known-attacks-refused": (
        {"rules": [{"statement": ATTACKS, "overrideAction": {"none": {}}}]},
        {"rules": [{"statement": ATTACKS, "overrideAction": {"count": {}}}]},
        "or only counts",
    ),
    "monitored-database": ({"monitoringInterval": 60}, {"monitoringInterval": 0}, "each minute"),
    "filtered-edge": ({"webAclId": "arn:acl"}, {"webAclId": None}, "name a web ACL"),
    "no-self-sign-up": (
        {"adminCreateUserConfig": {"allowAdminCreateUserOnly": True}},
        {"adminCreateUserConfig": {}},
        "anybody could make an account",
    ),
    "long-passwords": (
        {"passwordPolicy": {"minimumLength": 12}},
        {"passwordPolicy": {"minimumLength": 8}},
        "12 at least",
    ),
    "second-factor": ({"mfaConfiguration": "ON"}, {"mfaConfiguration": "OFF"}, '"OFF"'),
    "staff-second-factor": (
        {
            "mfaConfiguration": "OPTIONAL",
            "lambdaConfig": {"preTokenGenerationConfig": {"lambdaArn": "arn:function"}},
        },
        {"lambdaConfig": None},
        "a password alone",
    ),
    "no-user-enumeration": (
        {"preventUserExistenceErrors": "ENABLED"},
        {"preventUserExistenceErrors": "LEGACY"},
        "LEGACY",
    ),
    "revocable-tokens": ({"enableTokenRevocation": True}, {"enableTokenRevocation": False}, "end"),
    "no-implicit-flow": (
        {"allowedOauthFlows": ["code"]},
        {"allowedOauthFlows": ["code", "implicit"]},
        "has implicit",
    ),
    "no-password-flow": (
        {"explicitAuthFlows": ["ALLOW_USER_SRP_AUTH"]},
        {"explicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]},
        "use SRP",
    ),
    "short-tokens": (
        {"idTokenValidity": 60, "tokenValidityUnits": {"idToken": "minutes"}},
        {"idTokenValidity": 2, "tokenValidityUnits": {}},
        "120 minutes",
    ),
    "claims-not-writable": (
        {"writeAttributes": ["locale"]},
        {"writeAttributes": ["locale", "custom:tenant"]},
        "has custom:tenant",
    ),
    "no-open-method": (
        {"httpMethod": "ANY", "authorization": "COGNITO_USER_POOLS", "apiKeyRequired": True},
        {"authorization": "NONE"},
        "name an authorizer",
    ),
    "validated-requests": (
        {"authorization": "COGNITO_USER_POOLS", "requestValidatorId": "v"},
        {"requestValidatorId": None},
        "name a request validator",
    ),
    "metered-keys": (
        {
            "quotaSettings": {"limit": 1000},
            "throttleSettings": {"rateLimit": 5, "burstLimit": 10},
        },
        {"quotaSettings": None},
        "quotaSettings.limit is missing",
    ),
    "access-logged": (
        {"accessLogSettings": {"destinationArn": "arn:logs"}, "xrayTracingEnabled": True},
        {"accessLogSettings": None},
        "who asked for what",
    ),
    "no-bodies-in-logs": (
        {"settings": {"dataTraceEnabled": False}},
        {"settings": {"dataTraceEnabled": True}},
        "would be logged",
    ),
    "supported-runtime": ({"runtime": "python3.13"}, {"runtime": "python3.8"}, "python3.8"),
    "kept-failures": (
        {"deadLetterConfig": {"targetArn": QUEUE}},
        {"deadLetterConfig": None},
        "name a queue",
    ),
    "encrypted-environment": ({"kmsKeyArn": KEY}, {"kmsKeyArn": None}, "kmsKeyArn"),
    "kept-records": (
        {
            "destinationConfig": {"onFailure": {"destinationArn": QUEUE}},
            "bisectBatchOnFunctionError": True,
            "maximumRecordAgeInSeconds": 3600,
        },
        {"bisectBatchOnFunctionError": None},
        "neighbours",
    ),
    "supported-kubernetes": ({"version": "1.36"}, {"version": "1.29"}, "version is 1.29"),
    "closed-endpoint": (
        {"endpointPublicAccess": True, "publicAccessCidrs": ["192.0.2.0/24"]},
        {"publicAccessCidrs": None},
        "whole internet",
    ),
    "private-endpoint": (
        {"endpointPrivateAccess": True},
        {"endpointPrivateAccess": False},
        "leave the VPC",
    ),
    "logged-control-plane": (
        {"enabledClusterLogTypes": LOGS},
        {"enabledClusterLogTypes": LOGS[:-1]},
        "lacks scheduler",
    ),
    "encrypted-secrets": (
        {"encryptionConfigKeyArn": KEY},
        {"encryptionConfigKeyArn": None},
        "name a KMS key",
    ),
    "access-by-entries": (
        {"authenticationMode": "API"},
        {"authenticationMode": "CONFIG_MAP"},
        "CONFIG_MAP",
    ),
    "metadata-out-of-reach": (
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1}},
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}},
        "httpPutResponseHopLimit is 2",
    ),
    "node-metadata-out-of-reach": (
        {"spec": {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1}}},
        {"spec": {"metadataOptions": {"httpTokens": "optional", "httpPutResponseHopLimit": 1}}},
        "IMDSv2",
    ),
    "private-nodes": (
        {"spec": {"associatePublicIPAddress": False}},
        {"spec": {}},
        "nodes are private",
    ),
    "limited-pools": ({"spec": POOL}, {"spec": {**POOL, "limits": {}}}, "without end"),
    "pinned-charts": (CHART, {"version": None}, "version is missing"),
    "restricted-pods": (
        {"metadata": {"labels": {POD_SECURITY: "restricted"}}},
        {"metadata": {"labels": {POD_SECURITY: "baseline"}}},
        "get at their machine",
    ),
    "heard-alarms": ({"alarmActions": ["arn:topic"]}, {"alarmActions": []}, "nobody hears it"),
    "copied-backups": (
        {"rules": [{"copyActions": [{"destinationVaultArn": "arn:vault"}]}]},
        {"rules": [{"ruleName": "nightly"}]},
        "another region",
    ),
    "encrypted-backups": ({"kmsKeyArn": KEY}, {"kmsKeyArn": None}, "name a KMS key"),
}


def some_type(rule: Rule) -> str:
    return min(rule.types, default="aws:s3/bucketPolicy:BucketPolicy")


@pytest.mark.parametrize("name", CASES)
def test_a_rule_tells_good_from_bad(name: str) -> None:
    good, change, said = CASES[name]
    rule = BY_NAME[name]
    type_ = some_type(rule)
    assert not rule.check(Resource(type_, good))
    (problem,) = rule.check(Resource(type_, {**good, **change}))
    assert said in problem
    assert not rule.check(Resource("aws:sns/topic:Topic", {**good, **change})) or not rule.types


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_known_yet_keeps_a_rule(name: str) -> None:
    good, change, _ = CASES[name]
    later = dict.fromkeys({**good, **change}, UNKNOWN)
    assert not BY_NAME[name].check(Resource(some_type(BY_NAME[name]), later))


def test_what_holds_data_is_protected() -> None:
    rule = BY_NAME["protected-data"]
    (problem,) = rule.check(Resource(some_type(rule), {}))
    assert "set protect" in problem
    assert not rule.check(Resource(some_type(rule), {}, protect=True))


def test_nobody_is_a_user() -> None:
    assert BY_NAME["no-users"].check(Resource("aws:iam/user:User", {}))


def test_every_rule_is_shown_and_has_one_name() -> None:
    names = [rule.name for rule in RULES]
    assert sorted(names) == sorted({*CASES, "protected-data", "no-users"})
    assert len(names) >= 25


def test_denials_are_no_permissions() -> None:
    denied = policy(Effect="Deny", Principal="*", Action="*", Resource="*")
    for type_ in ("aws:s3/bucketPolicy:BucketPolicy", "aws:iam/rolePolicy:RolePolicy"):
        resource = Resource(type_, denied)
        assert not [problem for rule in RULES for problem in rule.check(resource)]


def test_support_ends_on_its_day() -> None:
    resource = Resource("eks:index:Cluster", {"version": "1.36"})
    last = KUBERNETES["1.36"]
    assert not list(ended("version", KUBERNETES, today=last)(resource))
    after = date.fromordinal(last.toordinal() + 1)
    (problem,) = ended("version", KUBERNETES, today=after)(resource)
    assert "whose support ended on" in problem


def test_exceptions_are_used_reasoned_and_end() -> None:
    used = {
        (rule, urn.split(":")[2], urn.rpartition("::")[2])
        for stack in ("dev", "prod")
        for rule, urn in broken(stack_graph(stack))
    }
    for exception in EXCEPTIONS:
        assert len(exception.reason) > 40
        if CHECKOV.fullmatch(exception.rule) or exception.rule.startswith("prowler:"):
            continue  # found by `python -m tools.scan_report`
        assert exception.rule in BY_NAME
        assert any(
            rule == exception.rule
            and exception.stack in ("*", stack)
            and exception.resource == resource
            for rule, stack, resource in used
        ), f"no resource needs the exception from {exception.rule}"


def test_exceptions_from_what_checkov_finds_are_few() -> None:
    assert len([e for e in EXCEPTIONS if CHECKOV.fullmatch(e.rule)]) <= 10


def test_an_exception_is_for_one_stack_and_ends() -> None:
    urn = "urn:pulumi:dev::ai4h-mvp::aws:s3/bucket:Bucket::open"
    one = RuleException("no-public-acl", "dev", "open", "why", date(2026, 6, 30))
    assert excepted("no-public-acl", urn, [one], today=date(2026, 6, 30))
    assert not excepted("no-public-acl", urn, [one], today=date(2026, 7, 1))
    assert not excepted("no-public-acl", urn.replace("dev", "prod"), [one], today=date(2026, 1, 1))
    assert not excepted("no-public-bucket", urn, [one], today=date(2026, 1, 1))
    with pytest.raises(ValueError, match="reason"):
        parse("- {rule: no-public-acl, stack: dev, resource: open, expires: 2026-06-30}")


def test_networks_of_stacks_can_be_peered() -> None:
    default = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]["vpcCidr"]["default"]
    stacks = {
        path.stem: yaml.safe_load(path.read_text())["config"]
        for path in ROOT.glob("Pulumi.*.yaml")
        if path.stem != "Pulumi.local"  # has no network of its own to be reached by
    }
    assert len(stacks) >= 2
    networks = {name: config.get("ai4h-mvp:vpcCidr", default) for name, config in stacks.items()}
    peers = {cidr for config in stacks.values() for cidr in config.get("ai4h-mvp:peerCidrs", [])}
    assert not list(overlaps(networks, peers))
    (problem,) = overlaps({"dev": "10.0.0.0/16"}, others=["10.0.128.0/17"])
    assert "could never be peered" in problem
