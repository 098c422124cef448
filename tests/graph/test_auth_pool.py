"""AuthPool: the user pool's doors and who they let in."""

import re

import pytest

from components.auth_pool import GROUPS, AuthPool, AuthPoolArgs, Mfa
from tests.graph.strict import Graph, evaluate

POOL = "aws:cognito/userPool:UserPool"
CLIENT = "aws:cognito/userPoolClient:UserPoolClient"
MINIMAL: AuthPoolArgs = {"callback_urls": ["https://portal.example.org/"]}
FULL: AuthPoolArgs = {
    "callback_urls": ["https://portal.example.org/"],
    "groups": {"reader": "Reads"},
    "mfa": Mfa.OPTIONAL,
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


@pytest.mark.parametrize("args", [MINIMAL, FULL], ids=["defaults", "full"])
def test_same_resources_in_preview_and_update(args: AuthPoolArgs) -> None:
    preview, update = build(args, preview=True), build(args)
    assert preview.urns == update.urns
    component = update.one("ai4h:index:AuthPool")
    assert {r.parent for r in update if r is not component} == {component.urn}


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
