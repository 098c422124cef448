"""Tokens: one kind is accepted, every forgery is refused with 401."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from functions.shared import identity
from functions.shared.errors import FhirError
from functions.shared.http import Request
from functions.shared.identity import Identity, authenticate
from tests.issuer import CLIENTS, ISSUER, Issuer, base64url, encoded


def request(authorization: str | None) -> Request:
    headers = {} if authorization is None else {"authorization": authorization}
    return Request("GET", "/Patient/1", (), headers, b"", "https://api.test", "r")


def test_an_id_token_tells_who_calls(pool: Issuer) -> None:
    token = pool.token(**{"cognito:groups": ["auditor", "data-owner"]})
    who = Identity("subject-1", "jo", frozenset({"auditor", "data-owner"}))

    for value in (token, f"Bearer {token}", f"bearer  {token}"):
        assert authenticate(request(value)) == who
    assert authenticate(request(pool.token(aud=CLIENTS[0], **{"cognito:groups": None}))) == (
        Identity("subject-1", "jo", frozenset())
    )


def hs256(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    signed = f"{encoded(header)}.{encoded(claims)}"
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def public_pem(pool: Issuer) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = pool.key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def embedded_key(pool: Issuer, *, kid: str) -> str:
    """Signed by a key of the attacker's, which the header offers itself."""
    own = Issuer()
    jwk = json.loads(own.jwks)["keys"][0]
    address = "https://attacker.test/jwks.json"
    return own.sign(
        {"alg": "RS256", "kid": kid, "jwk": jwk, "jku": address, "x5u": address}, pool.claims()
    )


def altered(pool: Issuer, **changed: Any) -> str:
    head, _, signature = pool.token().split(".")
    return f"{head}.{encoded(pool.claims(**changed))}.{signature}"


NONE = {"alg": "none", "kid": "key-1"}
RS256 = {"alg": "RS256", "kid": "key-1"}
HS256 = {"alg": "HS256", "kid": "key-1"}
ADMIN = {"cognito:groups": ["admin"]}

FORGERIES: dict[str, Callable[[Issuer], str | None]] = {
    "nothing": lambda p: None,
    "empty": lambda p: "",
    "no token": lambda p: "nonsense",
    "another scheme": lambda p: f"Basic {p.token()}",
    "alg none, unsigned": lambda p: f"{encoded(NONE)}.{encoded(p.claims())}.",
    "alg None, signed": lambda p: p.sign({**NONE, "alg": "None"}, p.claims()),
    "alg none, the signature kept": lambda p: p.sign(NONE, p.claims()),
    "no alg": lambda p: p.sign({"kid": "key-1"}, p.claims()),
    "public key as secret": lambda p: hs256(public_pem(p), HS256, p.claims()),
    "public key as secret, said to be RS256": lambda p: hs256(public_pem(p), RS256, p.claims()),
    "key set as secret": lambda p: hs256(p.jwks, HS256, p.claims()),
    "empty secret": lambda p: hs256(b"", HS256, p.claims()),
    "alg RS512": lambda p: p.sign({**RS256, "alg": "RS512"}, p.claims()),
    "alg ES256": lambda p: p.sign({**RS256, "alg": "ES256"}, p.claims()),
    "another key by that name": lambda p: Issuer().sign(RS256, p.claims()),
    "own key in the header": lambda p: embedded_key(p, kid="key-1"),
    "own key of another name": lambda p: embedded_key(p, kid="key-2"),
    "no key's name": lambda p: p.sign({"alg": "RS256"}, p.claims()),
    "a list as key's name": lambda p: p.sign({**RS256, "kid": ["key-1"]}, p.claims()),
    "an unknown extension": lambda p: p.sign({**RS256, "crit": ["x"], "x": 1}, p.claims()),
    "more groups": lambda p: altered(p, **ADMIN),
    "another subject": lambda p: altered(p, sub="subject-2"),
    "signature cut off": lambda p: p.token().rpartition(".")[0] + ".",
    "signature shortened": lambda p: p.token()[:-4],
    "only two parts": lambda p: p.token().rpartition(".")[0],
    "four parts": lambda p: p.token() + ".x",
    "expired": lambda p: p.token(exp=int(time.time()) - 60),
    "never expires": lambda p: p.token(exp=None),
    "expiry that is text": lambda p: p.token(exp="tomorrow"),
    "not valid yet": lambda p: p.token(nbf=int(time.time()) + 600),
    "issued in the future": lambda p: p.token(iat=int(time.time()) + 600),
    "another audience": lambda p: p.token(aud="another-client"),
    "no audience": lambda p: p.token(aud=None),
    "all client ids as one": lambda p: p.token(aud=",".join(CLIENTS)),
    "another issuer": lambda p: p.token(iss=ISSUER[:-1]),
    "issuer with a path more": lambda p: p.token(iss=ISSUER + "/x"),
    "no issuer": lambda p: p.token(iss=None),
    "access token": lambda p: p.token(token_use="access"),
    "access token as Cognito makes it": lambda p: p.token(
        token_use="access", aud=None, client_id=CLIENTS[0]
    ),
    "no use": lambda p: p.token(token_use=None),
    "no subject": lambda p: p.token(sub=None),
    "empty subject": lambda p: p.token(sub=""),
    "groups as text": lambda p: p.token(**{"cognito:groups": "admin"}),
    "deep claims": lambda p: f"{encoded(RS256)}.{base64url(b'[' * 100_000)}.AAAA",
    "deep header": lambda p: f"{base64url(b'[' * 100_000)}.{encoded(p.claims())}.AAAA",
    "no UTF-8": lambda p: p.token() + "\ud800",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_are_refused(pool: Issuer, forgery: str) -> None:
    authenticate(request(pool.token()))  # the key is known, as in a running function
    value = FORGERIES[forgery](pool)

    with pytest.raises(FhirError) as refused:
        authenticate(request(value))

    assert refused.value.status == 401
    assert refused.value.issues[0].code == "login"
    assert refused.value.headers["WWW-Authenticate"] == "Bearer"
    assert value not in identity._verified


@pytest.mark.parametrize(("claim", "seconds"), [("iat", 3), ("nbf", 3), ("exp", -3)])
def test_clocks_may_differ_by_some_seconds(pool: Issuer, claim: str, seconds: int) -> None:
    def token(by: int) -> str:
        return pool.token(**{claim: int(time.time()) + by})

    assert authenticate(request(token(seconds))).subject == "subject-1"
    with pytest.raises(FhirError):
        authenticate(request(token(20 * seconds)))


def test_a_token_is_remembered_until_it_expires(
    pool: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = pool.token(exp=int(time.time()) + 100)
    authenticate(request(token))
    monkeypatch.setattr(identity, "_keys", {"key-2": None})

    assert authenticate(request(token)).subject == "subject-1"

    later = time.time() + 101
    monkeypatch.setattr(identity.time, "time", lambda: later)
    with pytest.raises(FhirError) as refused:
        authenticate(request(token))
    assert refused.value.status == 401


class Server:
    """The pool's key server: answers from a script and counts."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    def request(self, method: str, url: str) -> Any:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(status=answer[0], data=answer[1])


def test_keys_are_fetched_once_and_a_flood_of_unknown_ones_fetches_none(
    pool: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server((200, pool.jwks))
    monkeypatch.setattr(identity, "_http", server)

    authenticate(request(pool.token()))
    for number in range(20):
        with pytest.raises(FhirError) as refused:
            authenticate(request(pool.sign({**RS256, "kid": str(number)}, pool.claims())))
        assert refused.value.status == 401

    assert server.asked == 1


def test_a_new_key_is_learned_after_a_minute(pool: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = Issuer("key-2")
    server = Server((200, pool.jwks), (200, newer.jwks))
    monkeypatch.setattr(identity, "_http", server)
    authenticate(request(pool.token()))
    monkeypatch.setattr(identity, "_fetched", time.monotonic() - 61)

    assert authenticate(request(newer.token())).subject == "subject-1"
    assert server.asked == 2


@pytest.mark.parametrize(
    "answer",
    [
        (500, b""),
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'{"keys":[{"kid":"key-1","kty":"RSA","n":"?","e":"AQAB"}]}'),
        urllib3.exceptions.ConnectTimeoutError(),
    ],
)
def test_without_keys_it_is_503_and_the_server_is_spared(
    pool: Issuer, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    server = Server(answer)
    monkeypatch.setattr(identity, "_http", server)

    for _ in range(3):
        with pytest.raises(FhirError) as failed:
            authenticate(request(pool.token()))
        assert failed.value.status == 503
        assert "Retry-After" in failed.value.headers

    assert server.asked == 1


def test_the_keys_of_an_emulator_come_from_it(
    pool: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")
    assert identity._keys_url() == "http://127.0.0.1:4566/eu-central-1_pool/.well-known/jwks.json"
