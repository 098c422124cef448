"""A user pool that signs tokens in process: what `functions.shared.identity` trusts in tests."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest

REGION = "eu-central-1"
ISSUER = f"https://cognito-idp.{REGION}.amazonaws.com/{REGION}_pool"
CLIENTS = ("browser-client", "cli-client")


@dataclass(frozen=True)
class Issuer:
    """A user pool: signs ID tokens and publishes its key at the HTTP border of `identity`."""

    kid: str = "key-1"

    @cached_property
    def key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(65537, 2048)

    @cached_property
    def jwks(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        number = base64url(numbers.n.to_bytes(256, "big"))
        key = {"kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": number}
        return json.dumps({"keys": [key | {"e": "AQAB"}]}).encode()

    def request(self, method: str, url: str) -> Any:
        """In place of urllib3's pool."""
        assert (method, url) == ("GET", f"{ISSUER}/.well-known/jwks.json")
        return SimpleNamespace(status=200, data=self.jwks)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """An ID token's claims; those that are None are left out."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": CLIENTS[1],
            "sub": "subject-1",
            "token_use": "id",
            "iat": now,
            "exp": now + 3600,
            "cognito:groups": ["practitioner"],
            "cognito:username": "jo",
        }
        return {k: v for k, v in {**claims, **changed}.items() if v is not None}

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """RSA with SHA-256, whatever the header says."""
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.hashes import SHA256

        signed = f"{encoded(header)}.{encoded(claims)}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
        return f"{signed}.{base64url(signature)}"

    def token(self, **changed: Any) -> str:
        return self.sign({"alg": "RS256", "kid": self.kid}, self.claims(**changed))


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def encoded(part: Mapping[str, Any]) -> str:
    return base64url(json.dumps(part).encode())


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def pool(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """The issuer that the functions trust; nothing is known of its keys and tokens yet."""
    from functions.shared import identity

    monkeypatch.setenv("ISSUER", ISSUER)
    monkeypatch.setenv("CLIENT_IDS", ",".join(CLIENTS))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(identity, "_http", issuer)
    monkeypatch.setattr(identity, "_keys", {})
    monkeypatch.setattr(identity, "_fetched", 0.0)
    monkeypatch.setattr(identity, "_verified", {})
    return issuer
