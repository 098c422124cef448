"""Who calls: verification of the Cognito ID token, independent of the gateway's own check."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import jwt
import urllib3

from functions.shared.errors import FhirError, unavailable
from functions.shared.http import Request
from functions.shared.log import logger
from functions.shared.resources import parse
from functions.shared.tracing import part

_LEEWAY = 5  # seconds of clock skew
_REFETCH = 60  # seconds between two fetches because of an unknown key
_RETRY = 1  # seconds between two fetches while there are no keys at all
_REMEMBERED = 300  # seconds that a verified token needn't be verified again, as at the gateway
_REMEMBERED_TOKENS = 1024
_REQUIRED = ["aud", "exp", "iat", "iss", "sub", "token_use"]

_http = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=1, read=2), retries=urllib3.Retry(1, redirect=0)
)
_lock = threading.Lock()
_keys: dict[str, Any] = {}
_fetched = 0.0
_verified: dict[str, tuple[float, Identity]] = {}


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in user. `subject` is the stable, opaque id; the name may change."""

    subject: str
    username: str
    groups: frozenset[str]


def authenticate(request: Request) -> Identity:
    """The user of the request's ID token. 401 without a valid one, 503 without keys."""
    value = request.headers.get("authorization", "").strip()
    scheme, _, rest = value.partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else value
    if not token:
        raise _refused("Send a Cognito ID token in the header Authorization.")
    until, identity = _verified.get(token, (0.0, None))
    if identity is None or time.time() >= until:
        claims = _verify(token)
        identity = _identity_of(claims)
        if len(_verified) >= _REMEMBERED_TOKENS:
            _verified.clear()
        _verified[token] = (min(claims["exp"], time.time() + _REMEMBERED), identity)
    request.log["subject"] = identity.subject
    return identity


def _verify(token: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        # PyJWT checks the algorithm again; here, so that no key is fetched for another one.
        if header.get("alg") != "RS256" or not isinstance(kid, str) or not kid:
            raise _refused("The token isn't one of this service's.")
        claims = jwt.decode(
            token,
            _key(kid),
            algorithms=["RS256"],
            audience=os.environ["CLIENT_IDS"].split(","),
            issuer=os.environ["ISSUER"],
            leeway=_LEEWAY,
            options={"require": _REQUIRED},
        )
    except jwt.ExpiredSignatureError:
        raise _refused("The token has expired.") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise _refused("The token isn't valid.") from None
    if claims["token_use"] != "id":  # noqa: S105
        raise _refused("Send the ID token, not the access token.")
    return claims


def _identity_of(claims: dict[str, Any]) -> Identity:
    groups = claims.get("cognito:groups", [])
    if not claims["sub"] or not isinstance(groups, list):
        raise _refused("The token isn't valid.")
    return Identity(
        subject=claims["sub"],
        username=str(claims.get("cognito:username", claims["sub"])),
        groups=frozenset(group for group in groups if isinstance(group, str)),
    )


def _key(kid: str) -> Any:
    """The public key of that id; an unknown id leads to a fetch, but not to a flood of them."""
    global _keys, _fetched
    with _lock:
        if kid not in _keys:
            age = time.monotonic() - _fetched
            if not _keys and age < _RETRY and _fetched:
                raise unavailable()
            if not _keys or age >= _REFETCH:
                _fetched = time.monotonic()
                _keys = _fetch_keys()
        if kid not in _keys:
            raise _refused("The token isn't one of this service's.")
        return _keys[kid]


def _fetch_keys() -> dict[str, Any]:
    try:
        with part("sign-in keys"):
            response = _http.request("GET", _keys_url())
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        keys = parse(response.data)["keys"]
        return {
            key["kid"]: jwt.PyJWK(key, algorithm="RS256").key
            for key in keys
            if key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
        }
    except (urllib3.exceptions.HTTPError, FhirError, ValueError, KeyError, jwt.PyJWTError) as error:
        logger.warning("no keys", extra={"fields": {"error": type(error).__name__}})
        raise unavailable() from None


def _keys_url() -> str:
    issuer = os.environ["ISSUER"]
    local = os.environ.get("AWS_ENDPOINT_URL")  # the SDK's own variable: an emulator
    base = f"{local.rstrip('/')}/{issuer.rsplit('/', 1)[-1]}" if local else issuer
    return f"{base}/.well-known/jwks.json"


def _refused(diagnostics: str) -> FhirError:
    return FhirError(401, "login", diagnostics, headers={"WWW-Authenticate": "Bearer"})
