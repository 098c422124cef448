"""Signing in: where tokens are kept, when they are renewed, what a second factor does."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import keyring
import pytest
from botocore.exceptions import ClientError
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import PasswordDeleteError
from pycognito import AWSSRP
from pycognito.exceptions import SoftwareTokenMFAChallengeException

from cli import sign_in, stack
from cli.errors import CommandError, NotSignedIn

STACK = stack.Stack("https://api.test", "key", "eu-central-1", "eu-central-1_pool", "client")


class MemoryKeyring(KeyringBackend):
    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError


class Cognito:
    """Answers as Cognito does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def _answer(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        tokens = {"IdToken": token(3600), "RefreshToken": "refresh", "AccessToken": "access"}
        return {"AuthenticationResult": tokens, "SecretCode": "NBSWY3DP"}

    initiate_auth = respond_to_auth_challenge = revoke_token = _answer
    associate_software_token = verify_software_token = set_user_mfa_preference = _answer


def token(seconds: float) -> str:
    claims = json.dumps({"exp": time.time() + seconds}).encode()
    return f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"


@pytest.fixture(params=["keyring", "file"])
def place(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def cognito(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cognito:
    monkeypatch.setenv("AI4H_HOME", str(tmp_path))
    backend = MemoryKeyring() if place == "keyring" else NoKeyring()
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    answers = Cognito()
    monkeypatch.setattr(sign_in, "_cognito", lambda _: answers)
    monkeypatch.setattr(
        AWSSRP, "authenticate_user", lambda _: answers.initiate_auth(AuthFlow="USER_SRP_AUTH")
    )
    return answers


def no_question(what: str) -> str:
    pytest.fail(f"asked for {what}")


def test_tokens_are_kept_for_this_user_only_and_forgotten(
    cognito: Cognito, place: str, tmp_path: Path
) -> None:
    with pytest.raises(NotSignedIn, match="ai4h login"):
        sign_in.Session(STACK)
    sign_in.login(STACK, "ann", "secret", no_question)

    files = list(tmp_path.glob("*.token"))
    assert len(files) == (1 if place == "file" else 0)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert "secret" not in "".join(file.read_text() for file in files)
    assert sign_in.Session(STACK).token()
    sign_in.logout(STACK)
    assert cognito.asked[-1]["Token"] == "refresh"
    with pytest.raises(NotSignedIn):
        sign_in.Session(STACK)


def test_the_token_is_renewed_before_it_ends_and_when_it_is_refused(
    cognito: Cognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in.login(STACK, "ann", "secret", no_question)
    session = sign_in.Session(STACK)
    first = session.token()
    assert session.token() == first
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 - 200)

    second = session.token()

    assert second != first
    assert cognito.asked[-1]["AuthFlow"] == "REFRESH_TOKEN_AUTH"
    asked = len(cognito.asked)
    monkeypatch.setattr(time, "time", lambda: now + 10)
    assert session.token(refused=first) == second, "another thread has renewed it already"
    assert len(cognito.asked) == asked
    assert session.token(refused=second) != second


def test_a_second_factor_is_asked_for(cognito: Cognito, monkeypatch: pytest.MonkeyPatch) -> None:
    def challenged(_: AWSSRP) -> None:
        raise SoftwareTokenMFAChallengeException("Do Software Token MFA", {"Session": "s"})

    monkeypatch.setattr(AWSSRP, "authenticate_user", challenged)

    sign_in.login(STACK, "ann", "secret", lambda what: "123456")

    [asked] = cognito.asked
    assert asked["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    assert asked["ChallengeResponses"] == {
        "USERNAME": "ann",
        "SOFTWARE_TOKEN_MFA_CODE": "123456",
    }
    assert sign_in.Session(STACK).token()


def test_an_app_is_tied_to_the_user_before_its_code_is_asked_for(cognito: Cognito) -> None:
    shown: list[str] = []

    sign_in.set_up_app(STACK, "ann o", "secret", lambda what: "123456", shown.append)

    assert shown == ["otpauth://totp/AI4H:ann%20o?secret=NBSWY3DP&issuer=AI4H"]
    _, associated, verified, preferred, renewed = cognito.asked
    assert associated == {"AccessToken": "access"}
    assert verified == {"AccessToken": "access", "UserCode": "123456"}
    assert preferred["SoftwareTokenMfaSettings"] == {"Enabled": True, "PreferredMfa": True}
    assert renewed["AuthFlow"] == "REFRESH_TOKEN_AUTH", "tokens of before lack groups"
    assert sign_in.Session(STACK).token()


def test_a_wrong_code_changes_nothing(cognito: Cognito, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> None:
        problem = {"Error": {"Code": "EnableSoftwareTokenMFAException", "Message": "Code mismatch"}}
        raise ClientError({**problem, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Verify")

    monkeypatch.setattr(cognito, "verify_software_token", refused)

    with pytest.raises(NotSignedIn, match="Code mismatch"):
        sign_in.set_up_app(STACK, "ann", "secret", lambda what: "000000", lambda _: None)

    assert len(cognito.asked) == 2, "neither preferred nor renewed"
    with pytest.raises(NotSignedIn):
        sign_in.Session(STACK)


def test_stacks_are_read_from_either_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI4H_HOME", str(tmp_path / "home"))
    outputs = {
        "api_url": "https://api.test/",
        "api_keys": {"portal": "key"},
        "region": "eu-central-1",
        "user_pool_id": "eu-central-1_pool",
        "cli_client_id": "client",
    }
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(outputs))
    assert stack.load(file) == STACK
    stack.remember(STACK)
    assert stack.load(None) == STACK
    assert (tmp_path / "home" / "stack.json").stat().st_mode & 0o777 == 0o600
    for wrong in ("", "[]", "{}", '{"api_url": 1}'):
        file.write_text(wrong)
        with pytest.raises(CommandError, match="isn't the JSON of a stack's outputs"):
            stack.load(file)
