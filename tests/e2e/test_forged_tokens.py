"""Forged and misused tokens: none is let in, by the gateway or by the function alone behind it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK

from tests.e2e.aws import aws
from tests.e2e.conftest import sign_in
from tests.e2e.fhir import outcome
from tests.issuer import Issuer, encoded

PATH = "/Patient/unknown"


class Sample(NamedTuple):
    """A real token in parts, and the pool's public key in the forms that a forger may try."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signature: str
    jwk: dict[str, Any]

    @property
    def pem(self) -> bytes:
        key = PyJWK(self.jwk, algorithm="RS256").key
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def own(self, header: Mapping[str, Any] | None = None, /, **claims: Any) -> str:
        """Signed by a key of the forger's."""
        return Issuer().sign({**self.header, **(header or {})}, {**self.claims, **claims})

    def kept(self, header: Mapping[str, Any] | None = None, /, **claims: Any) -> str:
        """With the real token's signature."""
        head = encoded({**self.header, **(header or {})})
        return f"{head}.{encoded({**self.claims, **claims})}.{self.signature}"

    def hashed(self, secret: bytes) -> str:
        """HMAC where RSA is expected: key confusion."""
        signed = f"{encoded({**self.header, 'alg': 'HS256'})}.{encoded(self.claims)}"
        digest = hmac.digest(secret, signed.encode(), hashlib.sha256)
        return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


FORGERIES: dict[str, Callable[[Sample], str]] = {
    "alg none": lambda s: f"{encoded({**s.header, 'alg': 'none'})}.{encoded(s.claims)}.",
    "alg none, signature kept": lambda s: s.kept({"alg": "none"}),
    "no signature": lambda s: s.kept().rpartition(".")[0] + ".",
    "two parts": lambda s: s.kept().rpartition(".")[0],
    "signature shortened": lambda s: s.kept()[:-4],
    "more groups": lambda s: s.kept(**{"cognito:groups": ["admin"]}),
    "another subject": lambda s: s.kept(sub="somebody"),
    "expiry put off": lambda s: s.kept(exp=s.claims["exp"] + 86_400),
    "public key as secret": lambda s: s.hashed(s.pem),
    "public key's JSON as secret": lambda s: s.hashed(json.dumps(s.jwk).encode()),
    "empty secret": lambda s: s.hashed(b""),
    "another key by that name": lambda s: s.own(),
    "another key of another name": lambda s: s.own({"kid": "forged"}),
    "no key's name": lambda s: s.own({"kid": None}),
    "own key in the header": lambda s: s.own({"jwk": json.loads(Issuer().jwks)["keys"][0]}),
    "own key's address": lambda s: s.own({"jku": "http://127.0.0.1/jwks.json"}),
    "another algorithm": lambda s: s.own({"alg": "RS512"}),
    "expired": lambda s: s.own(exp=int(time.time()) - 60),
    "another issuer": lambda s: s.own(iss=s.claims["iss"] + "x"),
    "no token": lambda s: "nonsense",
}


@pytest.fixture(scope="module")
def sample(stack: dict[str, Any], token: Callable[[str], str]) -> Sample:
    header, claims, signature = token("practitioner").split(".")
    pool = f"{stack['aws_endpoint_url']}/{stack['user_pool_id']}"
    keys = requests.get(f"{pool}/.well-known/jwks.json", timeout=10).json()["keys"]
    named = {key["kid"]: key for key in keys}
    head = _decoded(header)
    return Sample(head, _decoded(claims), signature, named[head["kid"]])


def _decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def by_gateway(stack: dict[str, Any], token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "x-api-key": stack["api_key"]}
    answer = requests.get(stack["api_url"] + PATH, headers=headers, timeout=20)
    outcome(answer, answer.status_code)
    return answer.status_code


def by_function(stack: dict[str, Any], token: str) -> int:
    """Invoked past the gateway, as whoever gets behind it would."""
    event = {
        "httpMethod": "GET",
        "path": PATH,
        "headers": {"Authorization": f"Bearer {token}", "Host": "api.test"},
        "requestContext": {"requestId": "r", "path": f"/api{PATH}"},
    }
    answer = aws(stack, "lambda").invoke(
        FunctionName=stack["outputs"]["api_function_name"], Payload=json.dumps(event)
    )
    return json.loads(answer["Payload"].read())["statusCode"]


def test_a_real_token_is_let_in(stack: dict[str, Any], token: Callable[[str], str]) -> None:
    """Without it the tests below would show nothing."""
    real = token("practitioner")
    assert (by_gateway(stack, real), by_function(stack, real)) == (404, 404)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_are_refused(stack: dict[str, Any], sample: Sample, forgery: str) -> None:
    forged = FORGERIES[forgery](sample)
    assert (by_gateway(stack, forged), by_function(stack, forged)) == (401, 401)


@pytest.fixture(scope="module")
def stranger(stack: dict[str, Any]) -> Iterator[str]:
    """A client of the same pool that the API doesn't know."""
    cognito = aws(stack, "cognito-idp")
    place = {"UserPoolId": stack["user_pool_id"]}
    made = cognito.create_user_pool_client(
        **place, ClientName="stranger", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]
    yield made["ClientId"]
    cognito.delete_user_pool_client(**place, ClientId=made["ClientId"])


def test_the_pools_own_token_for_another_audience_is_refused(
    stack: dict[str, Any], stranger: str
) -> None:
    """Signed by the pool, which the gateway's authorizer takes; the function doesn't."""
    misused = sign_in({**stack, "cli_client_id": stranger}, "practitioner")
    assert (by_gateway(stack, misused), by_function(stack, misused)) == (401, 401)


def test_another_pools_token_is_refused(stack: dict[str, Any]) -> None:
    cognito = aws(stack, "cognito-idp")
    pool = cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
    try:
        user = stack["users"]["practitioner"]
        place = {"UserPoolId": pool, "Username": user["username"]}
        cognito.admin_create_user(**place, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(**place, Password=user["password"], Permanent=True)
        client = cognito.create_user_pool_client(
            UserPoolId=pool, ClientName="x", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        foreign = sign_in({**stack, "cli_client_id": client}, "practitioner")
        assert (by_gateway(stack, foreign), by_function(stack, foreign)) == (401, 401)
    finally:
        cognito.delete_user_pool(UserPoolId=pool)
