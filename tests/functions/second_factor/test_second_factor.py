"""The pre token generation trigger: which groups a token has, with and without a second factor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from moto import mock_aws

from tests.issuer import REGION

PASSWORD = "Correct-horse-9"


@dataclass(frozen=True)
class Pool:
    """A user pool with one user, and the function as it is deployed."""

    cognito: Any
    id: str
    client_id: str
    module: ModuleType

    def tokens_of(self, username: str) -> dict[str, Any]:
        answer = self.cognito.admin_initiate_auth(
            UserPoolId=self.id,
            ClientId=self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
        )
        return answer["AuthenticationResult"]

    def add(self, username: str) -> str:
        user = {"UserPoolId": self.id, "Username": username}
        self.cognito.admin_create_user(**user, MessageAction="SUPPRESS")
        self.cognito.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)
        return username

    def set_up_app(self, username: str) -> None:
        access = self.tokens_of(username)["AccessToken"]
        self.cognito.associate_software_token(AccessToken=access)
        self.cognito.verify_software_token(AccessToken=access, UserCode="123456")
        self.prefer(username, enabled=True)

    def prefer(self, username: str, *, enabled: bool) -> None:
        self.cognito.admin_set_user_mfa_preference(
            UserPoolId=self.id,
            Username=username,
            SoftwareTokenMfaSettings={"Enabled": enabled, "PreferredMfa": enabled},
        )

    def event(
        self, username: str, groups: list[str], source: str = "Authentication"
    ) -> dict[str, Any]:
        """As Cognito sends it.

        https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
        """
        return {
            "version": "2",
            "triggerSource": f"TokenGeneration_{source}",
            "region": REGION,
            "userPoolId": self.id,
            "userName": username,
            "callerContext": {
                "awsSdkVersion": "aws-sdk-unknown-unknown",
                "clientId": self.client_id,
            },
            "request": {
                "userAttributes": {
                    "sub": "5d6a4c0e-0000-4000-8000-000000000001",
                    "cognito:user_status": "CONFIRMED",
                    "email_verified": "true",
                    "email": "jo@example.org",
                },
                "groupConfiguration": {
                    "groupsToOverride": groups,
                    "iamRolesToOverride": [],
                    "preferredRole": None,
                },
                "scopes": ["aws.cognito.signin.user.admin"],
            },
            "response": {"claimsAndScopeOverrideDetails": None},
        }

    def groups(self, username: str, *groups: str, source: str = "Authentication") -> list[str]:
        """The groups that Cognito is told to put into the tokens."""
        answer = self.module.handler(self.event(username, list(groups), source), None)
        json.dumps(answer)
        return answer["response"]["claimsAndScopeOverrideDetails"]["groupOverrideDetails"][
            "groupsToOverride"
        ]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("SINGLE_FACTOR_GROUPS", '["data-owner"]')
        from functions.shared import clients

        clients.cognito.cache_clear()
        from functions.second_factor import handler

        cognito = clients.cognito()
        pool_id = cognito.create_user_pool(PoolName="users", MfaConfiguration="OPTIONAL")[
            "UserPool"
        ]["Id"]
        client = cognito.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName="cli",
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"],
        )
        yield Pool(cognito, pool_id, client["UserPoolClient"]["ClientId"], handler)
        clients.cognito.cache_clear()


@pytest.mark.parametrize(
    "source", ["Authentication", "HostedAuth", "NewPasswordChallenge", "RefreshTokens"]
)
def test_without_a_second_factor_only_exempt_groups_are_in_a_token(pool: Pool, source: str) -> None:
    jo = pool.add(f"jo-{source}")
    assert pool.groups(jo, "admin", "data-owner", source=source) == ["data-owner"]
    assert pool.groups(jo, "admin", source=source) == []
    assert pool.groups(jo, "made-by-hand", source=source) == []

    pool.set_up_app(jo)
    assert pool.groups(jo, "admin", "data-owner", source=source) == ["admin", "data-owner"]

    pool.prefer(jo, enabled=False)
    assert pool.groups(jo, "admin", "data-owner", source=source) == ["data-owner"]


def test_what_is_withheld_is_logged_without_the_name(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.module.configure()
    pool.groups(pool.add("withheld"), "admin", "data-owner")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["groups"] == ["admin"]
    assert json.loads(line)["subject"].startswith("5d6a4c0e")
    assert "jo@example.org" not in line
    assert "withheld-" not in line


def test_who_needs_none_is_not_looked_up(pool: Pool) -> None:
    assert pool.groups("nobody-of-this-name", "data-owner") == ["data-owner"]
    assert pool.groups("nobody-of-this-name") == []


def test_who_cannot_be_looked_up_gets_no_token(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.module.configure()
    with pytest.raises(pool.module.SecondFactorUnknownError) as caught:
        pool.groups("nobody-of-this-name", "admin", "data-owner")
    assert str(caught.value) == "Sign-in can't be checked now. Try again later."
    assert caught.value.__cause__ is None
    assert json.loads(capsys.readouterr().out)["error"] == "UserNotFoundException"


def test_an_answer_names_the_groups_even_if_nothing_changed(pool: Pool) -> None:
    """A roleless answer would leave it to Cognito what to do."""
    answer = pool.module.handler(pool.event("nobody", ["data-owner"]), None)
    assert answer["version"] == "2"
    assert answer["response"]["claimsAndScopeOverrideDetails"] == {
        "groupOverrideDetails": {
            "groupsToOverride": ["data-owner"],
            "iamRolesToOverride": [],
            "preferredRole": None,
        }
    }


def test_it_is_done_before_cognito_stops_waiting(pool: Pool) -> None:
    """Two tries, each with a second to connect and one to read, and a pause between them."""
    config = pool.cognito.meta.config
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) < 5
