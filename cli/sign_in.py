"""Signing in: Secure Remote Password, a second factor if the user has one, tokens kept and renewed.

The password never travels and is never kept. Tokens are in the system's keyring or, where there is
none, in a file that only the user reads.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any
from urllib.parse import quote, urlencode

import boto3
import keyring
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from keyring.errors import KeyringError
from pycognito import AWSSRP
from pycognito.exceptions import (
    ForceChangePasswordException,
    MFAChallengeException,
    SMSMFAChallengeException,
)

from .errors import CommandError, NotSignedIn, Unreachable
from .stack import Stack, home, write_private

SERVICE = "ai4h"
RENEW_BEFORE_SECONDS = 300

Ask = Callable[[str], str]
"""Asks the user for a secret, named by the text."""


@dataclass(frozen=True)
class Tokens:
    """Of one user on one platform."""

    username: str
    id_token: str
    refresh_token: str

    @property
    def seconds_left(self) -> float:
        """Life of the ID token; the server, not this, decides whether it is valid."""
        payload = self.id_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims["exp"] - time.time()


class Session:
    """The signed-in user's ID token, renewed when it ends; safe among threads."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._lock = stack, Lock()
        kept = _recall(stack)
        if kept is None:
            raise NotSignedIn("You aren't signed in. Run: ai4h login")
        self._tokens = kept

    def token(self, refused: str | None = None) -> str:
        """An ID token that lives a while; another one than the server has just refused."""
        with self._lock:
            tokens = self._tokens
            if tokens.id_token == refused or tokens.seconds_left < RENEW_BEFORE_SECONDS:
                self._tokens = renew(self._stack, tokens)
            return self._tokens.id_token


def login(stack: Stack, username: str, password: str, ask: Ask) -> Tokens:
    """Signs in and keeps the tokens. Raises NotSignedIn when the proof is refused."""
    result = _signed_in(stack, username, password, ask)
    tokens = Tokens(username, result["IdToken"], result["RefreshToken"])
    _keep(stack, tokens)
    return tokens


def set_up_app(
    stack: Stack, username: str, password: str, ask: Ask, show: Callable[[str], None]
) -> Tokens:
    """Ties an authenticator app to the user, which is asked for from then on, and signs in.

    `show` gets the address that such apps read (otpauth:). Raises NotSignedIn for a wrong code.
    """
    result = _signed_in(stack, username, password, ask)
    cognito, access = _cognito(stack), {"AccessToken": result["AccessToken"]}
    secret = _reached(lambda: cognito.associate_software_token(**access))["SecretCode"]
    show(f"otpauth://totp/AI4H:{quote(username)}?{urlencode({'secret': secret, 'issuer': 'AI4H'})}")
    code = ask("Code of your app")
    _reached(lambda: cognito.verify_software_token(**access, UserCode=code))
    wanted = {"SoftwareTokenMfaSettings": {"Enabled": True, "PreferredMfa": True}}
    _reached(lambda: cognito.set_user_mfa_preference(**access, **wanted))
    # Only tokens from now on have the groups that need a second factor.
    return renew(stack, Tokens(username, result["IdToken"], result["RefreshToken"]))


def logout(stack: Stack) -> None:
    """Ends the kept refresh token at the server, and forgets the tokens here."""
    tokens = _recall(stack)
    if tokens is None:
        return
    try:
        _cognito(stack).revoke_token(Token=tokens.refresh_token, ClientId=stack.client_id)
    except (BotoCoreError, ClientError) as error:
        raise Unreachable(f"Not signed out, the sign-in service doesn't answer: {error}") from None
    finally:
        _forget(stack)


def renew(stack: Stack, tokens: Tokens) -> Tokens:
    """A new ID token for the refresh token."""
    answer = _reached(
        lambda: _cognito(stack).initiate_auth(
            ClientId=stack.client_id,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": tokens.refresh_token},
        )
    )
    result = answer["AuthenticationResult"]
    renewed = Tokens(
        tokens.username, result["IdToken"], result.get("RefreshToken", tokens.refresh_token)
    )
    _keep(stack, renewed)
    return renewed


def _signed_in(stack: Stack, username: str, password: str, ask: Ask) -> dict[str, Any]:
    srp = AWSSRP(
        username=username,
        password=password,
        pool_id=stack.user_pool_id,
        client_id=stack.client_id,
        client=_cognito(stack),
    )
    answer = _reached(lambda: _proved(srp, username, stack, ask))
    result = answer.get("AuthenticationResult")
    if result is None:
        raise NotSignedIn(
            f"Sign-in needs another step ({answer.get('ChallengeName')}): set up your authenticator"
            " on the platform's sign-in page, then try again."
        )
    return result


def _proved(srp: AWSSRP, username: str, stack: Stack, ask: Ask) -> dict[str, Any]:
    try:
        return srp.authenticate_user()
    except ForceChangePasswordException:
        return srp.set_new_password_challenge(ask("New password"))
    except MFAChallengeException as challenge:
        name = (
            "SMS_MFA" if isinstance(challenge, SMSMFAChallengeException) else "SOFTWARE_TOKEN_MFA"
        )
        return _cognito(stack).respond_to_auth_challenge(
            ClientId=stack.client_id,
            ChallengeName=name,
            Session=challenge.get_tokens()["Session"],
            ChallengeResponses={"USERNAME": username, f"{name}_CODE": ask("Code of your device")},
        )


def _reached(request: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return request()
    except ClientError as error:
        problem = error.response["Error"]
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise Unreachable("The sign-in service failed; try again.") from None
        raise NotSignedIn(f"Not signed in: {problem.get('Message', problem['Code'])}") from None
    except BotoCoreError as error:
        raise Unreachable(f"The sign-in service doesn't answer: {error}") from None


def _cognito(stack: Stack) -> Any:
    return boto3.client(
        "cognito-idp",
        region_name=stack.region,
        endpoint_url=stack.aws_endpoint_url,
        config=Config(signature_version=UNSIGNED, retries={"mode": "standard"}),
    )


def _keep(stack: Stack, tokens: Tokens) -> None:
    text = json.dumps(asdict(tokens))
    try:
        keyring.set_password(SERVICE, _place(stack), text)
    except KeyringError:  # none here, or locked: a server, a container
        write_private(home() / f"{_place(stack)}.token", text)


def _recall(stack: Stack) -> Tokens | None:
    try:
        text = keyring.get_password(SERVICE, _place(stack))
    except KeyringError:
        text = None
    file = home() / f"{_place(stack)}.token"
    if text is None and file.is_file():
        text = file.read_text()
    try:
        return Tokens(**json.loads(text)) if text else None
    except (TypeError, ValueError):
        raise CommandError("The kept tokens are damaged. Run: ai4h login") from None


def _forget(stack: Stack) -> None:
    (home() / f"{_place(stack)}.token").unlink(missing_ok=True)
    try:
        keyring.delete_password(SERVICE, _place(stack))
    except KeyringError:
        return  # nothing was kept there


def _place(stack: Stack) -> str:
    return f"{stack.user_pool_id}-{stack.client_id}"
