"""AuthPool: the user pool's doors and who they let in."""

import json
import re

import pytest

from components.auth_pool import GROUPS, AuthPool, AuthPoolArgs, Mfa
from tests.graph.strict import Graph, evaluate

POOL = "aws:cognito/userPool:UserPool"
CLIENT = "aws:cognito/userPoolClient:UserPoolClient"
MINIMAL: AuthPoolArgs = {"callback_urls": ["https://portal.example.org/"]}
FUNCTION = "aws:lambda/function:Function"
PERMISSION = "aws:lambda/permission:Permission"
POLICY = "aws:iam/rolePolicy:RolePolicy"
WEB_ACL = "aws:wafv2/webAcl:WebAcl"
FULL: AuthPoolArgs = {
    "callback_urls": ["https://portal.example.org/"],
    "groups": {"reader": "Reads"},
    "mfa": Mfa.OPTIONAL,
    "single_factor_groups": ["reader"],
    "rate_limit": 500,
    "log_retention_days": 90,
    "domain_prefix": "hospital",
    "threat_protection": True,
    "password_sign_in": True,
    "protect": False,
}


def build(args: AuthPoolArgs, preview: bool = False) -> Graph:
    return evaluate(lambda: AuthPool("auth", args), preview=preview)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(MINIMAL)


@pytest.fixture(scope="module")
def optional() -> Graph:
    return build({**MINIMAL, "mfa": Mfa.OPTIONAL})


@pytest.mark.parametrize("args", [MINIMAL, FULL], ids=["defaults", "full"])
def test_same_resources_in_preview_and_update(args: AuthPoolArgs) -> None:
    preview, update = build(args, preview=True), build(args)
    assert preview.urns == update.urns
    component = update.one("ai4h:index:AuthPool")
    assert all(r.parent in update.resources for r in update if r is not component)


def test_defaults_are_the_strict_ones(graph: Graph) -> None:
    pool = graph.one(POOL)
    assert pool.inputs["mfaConfiguration"] == "ON"
    assert pool.inputs["softwareTokenMfaConfiguration"] == {"enabled": True}
    assert pool.inputs["adminCreateUserConfig"] == {"allowAdminCreateUserOnly": True}
    assert pool.inputs["passwordPolicy"]["minimumLength"] >= 12
    assert pool.inputs["deletionProtection"] == "ACTIVE"
    assert pool.protect
    assert pool.retain_on_delete


def test_unprotected_pool_can_go() -> None:
    pool = build(FULL).one(POOL)
    assert (pool.protect, pool.retain_on_delete) == (False, False)
    assert pool.inputs["deletionProtection"] == "INACTIVE"


def test_mfa_off() -> None:
    inputs = build({**MINIMAL, "mfa": Mfa.OFF}).one(POOL).inputs
    assert inputs["mfaConfiguration"] == "OFF"
    assert "softwareTokenMfaConfiguration" not in inputs


def test_an_optional_second_factor_is_checked_before_tokens_are_signed(optional: Graph) -> None:
    pool, function = optional.one(POOL), optional.one(FUNCTION)
    trigger = pool.inputs["lambdaConfig"]["preTokenGenerationConfig"]
    assert trigger["lambdaVersion"] == "V2_0"
    assert optional.waits_for(pool, function)
    assert pool.inputs["userPoolTier"] == "ESSENTIALS", "the first tier with that version"
    told = function.inputs["environment"]["variables"]
    assert json.loads(told["SINGLE_FACTOR_GROUPS"]) == ["data-owner"]
    assert function.inputs["timeout"] == 5, "Cognito waits no longer"


def test_the_exempt_groups_are_data() -> None:
    told = build(FULL).one(FUNCTION).inputs["environment"]["variables"]
    assert json.loads(told["SINGLE_FACTOR_GROUPS"]) == ["reader"]


def test_only_the_pool_calls_the_function_which_asks_only_the_pool(optional: Graph) -> None:
    pool, permission = optional.one(POOL), optional.one(PERMISSION)
    arn = f"arn:aws:cognito:eu-central-1:111122223333:{pool.name}/arn"
    assert permission.inputs["principal"] == "cognito-idp.amazonaws.com"
    assert permission.inputs["sourceArn"] == arn
    assert permission.inputs["sourceAccount"] == "111122223333"
    asking = optional.one(POLICY, "auth-second-factor-users")
    assert json.loads(asking.inputs["policy"])["Statement"] == [
        {"Effect": "Allow", "Action": ["cognito-idp:AdminGetUser"], "Resource": arn}
    ]
    for later in (permission, asking):
        assert optional.waits_for(later, pool)
    others = json.loads(optional.one(POLICY, "auth-second-factor-policy").inputs["policy"])
    assert "cognito" not in json.dumps(others)


@pytest.mark.parametrize("mfa", [Mfa.ON, Mfa.OFF])
def test_no_function_where_all_or_none_have_a_second_factor(mfa: Mfa) -> None:
    found = build({**MINIMAL, "mfa": mfa})
    assert not found.all(FUNCTION)
    assert "lambdaConfig" not in found.one(POOL).inputs


def test_a_firewall_stands_before_sign_in(graph: Graph) -> None:
    association = graph.one("aws:wafv2/webAclAssociation:WebAclAssociation")
    assert graph.waits_for(association, graph.one(POOL))
    assert graph.waits_for(association, graph.one(WEB_ACL))
    rules = {rule["name"]: rule for rule in graph.one(WEB_ACL).inputs["rules"]}
    assert rules["rate"]["action"]["block"]["customResponse"]["responseCode"] == 429
    assert {rule for rule in rules if rule.startswith("AWS")} == {
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
    }
    common = rules["AWSManagedRulesCommonRuleSet"]["statement"]["managedRuleGroupStatement"]
    assert [rule["name"] for rule in common["ruleActionOverrides"]] == ["GenericRFI_QUERYARGUMENTS"]
    redacted = graph.one("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
    assert {"queryString": {}} in redacted.inputs["redactedFields"]


def test_the_firewall_and_its_log_are_as_asked_for() -> None:
    full = build(FULL)
    rate = full.one(WEB_ACL).inputs["rules"][0]["statement"]["rateBasedStatement"]
    assert rate["limit"] == 500
    groups = full.all("aws:cloudwatch/logGroup:LogGroup")
    assert {group.inputs["retentionInDays"] for group in groups} == {90}
    assert all(group.inputs["kmsKeyId"] for group in groups)


def test_threat_protection_brings_its_tier() -> None:
    token = "aws:cognito/riskConfiguration:RiskConfiguration"
    assert build(FULL).one(POOL).inputs["userPoolTier"] == "PLUS"
    assert len(build(FULL).all(token)) == 1
    plain = build(MINIMAL)
    assert plain.one(POOL).inputs["userPoolTier"] == "ESSENTIALS"
    assert "userPoolAddOns" not in plain.one(POOL).inputs
    assert not plain.all(token)


def test_groups(graph: Graph) -> None:
    groups = {r.inputs["name"] for r in graph.all("aws:cognito/userGroup:UserGroup")}
    assert groups == set(GROUPS)
    assert groups == {
        *("practitioner", "non-practitioner", "auditor", "data-owner", "challenge-host", "admin")
    }


def test_browser_client_uses_the_code_flow_only(graph: Graph) -> None:
    inputs = graph.one(CLIENT, "auth-browser").inputs
    assert inputs["allowedOauthFlows"] == ["code"]
    assert inputs["explicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
    assert inputs["callbackUrls"] == ["https://portal.example.org/"]
    assert "aws.cognito.signin.user.admin" not in inputs["allowedOauthScopes"]


@pytest.mark.parametrize(
    ("args", "allowed"), [(MINIMAL, False), (FULL, True)], ids=["default", "password sign-in"]
)
def test_cli_client_takes_passwords_only_when_told_to(args: AuthPoolArgs, allowed: bool) -> None:
    flows = build(args).one(CLIENT, "auth-cli").inputs["explicitAuthFlows"]
    assert "ALLOW_USER_SRP_AUTH" in flows
    assert ("ALLOW_USER_PASSWORD_AUTH" in flows) is allowed


def test_clients_give_nothing_away(graph: Graph) -> None:
    for client in graph.all(CLIENT):
        assert client.inputs["generateSecret"] is False
        assert client.inputs["preventUserExistenceErrors"] == "ENABLED"
        assert client.inputs["enableTokenRevocation"] is True
        assert client.inputs["writeAttributes"] == ["locale"]
        assert client.inputs["tokenValidityUnits"]["idToken"] == "minutes"
        assert client.inputs["idTokenValidity"] <= 60


def test_sign_in_address() -> None:
    token = "aws:cognito/userPoolDomain:UserPoolDomain"
    assert build(FULL).one(token).inputs["domain"] == "hospital"
    derived = build(MINIMAL).one(token).inputs["domain"]
    assert re.fullmatch(r"ai4h-mvp-dev-[0-9a-f]{10}", derived)
    other = evaluate(lambda: AuthPool("auth", MINIMAL), stack="prod").one(token).inputs["domain"]
    assert other != derived


def test_issuer(graph: Graph) -> None:
    outputs = graph.registered_outputs[graph.one("ai4h:index:AuthPool").urn]
    assert outputs["issuer"] == "https://cognito-idp.eu-central-1.amazonaws.com/auth-users-id"
