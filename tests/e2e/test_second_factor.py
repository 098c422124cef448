"""A second factor that is optional: without one, a token lacks the groups that ask for it."""

import base64
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from cli import sign_in
from cli.errors import NotSignedIn, Unreachable
from cli.stack import Stack
from tests.e2e.aws import aws

PASSWORD = "Correct-horse-9"


class App:
    """An authenticator app, by RFC 6238. Each code is good once, so it never gives one twice."""

    def __init__(self) -> None:
        self._secret, self._last = b"", 0

    def read(self, address: str) -> None:
        (secret,) = parse_qs(urlsplit(address).query)["secret"]
        self._secret = base64.b32decode(secret)

    def code(self, _: str) -> str:
        self._last = max(self._last + 1, int(time.time()) // 30)
        digest = hmac.digest(self._secret, self._last.to_bytes(8, "big"), "sha1")
        place = digest[-1] & 15
        number = int.from_bytes(digest[place : place + 4], "big") & 0x7FFFFFFF
        return f"{number % 10**6:06d}"


@pytest.fixture
def platform(stack: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("AI4H_HOME", str(tmp_path))
    monkeypatch.setattr(keyring.core, "_keyring_backend", NoKeyring())
    return Stack(
        *(stack["api_url"], stack["api_key"], stack["region"]),
        *(stack["user_pool_id"], stack["cli_client_id"], stack["aws_endpoint_url"]),
    )


@pytest.fixture
def user(stack: dict[str, Any]) -> Iterator[str]:
    """In a group that needs a second factor, since it isn't named, and in one that doesn't."""
    cognito, name = aws(stack, "cognito-idp"), f"staff-{uuid.uuid4()}"
    pool = {"UserPoolId": stack["user_pool_id"]}
    cognito.create_group(**pool, GroupName=name)
    cognito.admin_create_user(**pool, Username=name, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**pool, Username=name, Password=PASSWORD, Permanent=True)
    for group in (name, "data-owner"):
        cognito.admin_add_user_to_group(**pool, Username=name, GroupName=group)
    yield name
    cognito.admin_delete_user(**pool, Username=name)
    cognito.delete_group(**pool, GroupName=name)


def groups(tokens: sign_in.Tokens) -> set[str]:
    payload = tokens.id_token.split(".")[1]
    return set(json.loads(base64.urlsafe_b64decode(payload + "=="))["cognito:groups"])


def no_question(what: str) -> str:
    pytest.fail(f"asked for {what}")


def test_who_sets_up_an_app_gets_the_groups_and_loses_them_without_it(
    stack: dict[str, Any], platform: Stack, user: str
) -> None:
    assert groups(sign_in.login(platform, user, PASSWORD, no_question)) == {"data-owner"}

    app = App()
    tokens = sign_in.set_up_app(platform, user, PASSWORD, app.code, app.read)
    assert groups(tokens) == {"data-owner", user}
    with pytest.raises(NotSignedIn):
        sign_in.login(platform, user, PASSWORD, lambda _: "000000")
    tokens = sign_in.login(platform, user, PASSWORD, app.code)
    assert groups(tokens) == {"data-owner", user}

    aws(stack, "cognito-idp").admin_set_user_mfa_preference(
        UserPoolId=stack["user_pool_id"],
        Username=user,
        SoftwareTokenMfaSettings={"Enabled": False},
    )
    assert groups(sign_in.renew(platform, tokens)) == {"data-owner"}, "renewed after it was lost"


def test_a_function_that_fails_gives_nobody_a_token(
    stack: dict[str, Any], platform: Stack, user: str
) -> None:
    """Without the right to look users up, it can't know, and Cognito signs nothing."""
    iam = aws(stack, "iam")
    (role,) = (
        role["RoleName"]
        for page in iam.get_paginator("list_roles").paginate()
        for role in page["Roles"]
        if role["RoleName"].startswith("auth-second-factor-role")
    )
    (policy,) = (
        name
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        if name.startswith("auth-second-factor-users")
    )
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName=policy)
    try:
        with pytest.raises(Unreachable):
            sign_in.login(platform, user, PASSWORD, no_question)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    assert groups(sign_in.login(platform, user, PASSWORD, no_question)) == {"data-owner"}
