"""Cognito: who gets an account, how they prove themselves, and how long a token lasts."""

from collections.abc import Iterator

from policies.rule import UNKNOWN, Resource, listed, needs, read, rule
from policies.storage import USER_POOL

CLIENT = "aws:cognito/userPoolClient:UserPoolClient"
CLAIMS = ("custom:", "email")
PASSWORD_LENGTH = 12
TOKEN_MINUTES = 60
MINUTES = {"seconds": 1 / 60, "minutes": 1, "hours": 60, "days": 1440}


def _short_passwords(resource: Resource) -> Iterator[str]:
    length = read(resource.inputs, "passwordPolicy.minimumLength")
    if length is not UNKNOWN and (length or 0) < PASSWORD_LENGTH:
        yield f"passwordPolicy.minimumLength is {length or 'missing'}: {PASSWORD_LENGTH} at least"


def _implicit_flow(resource: Resource) -> Iterator[str]:
    for flow in listed(resource.inputs.get("allowedOauthFlows")):
        if flow not in ("code", "client_credentials", UNKNOWN):
            yield f"allowedOauthFlows has {flow}, which puts tokens into addresses: use code"


def _password_flow(resource: Resource) -> Iterator[str]:
    for flow in listed(resource.inputs.get("explicitAuthFlows")):
        if flow is not UNKNOWN and "PASSWORD" in flow:
            yield f"explicitAuthFlows has {flow}, which sends the password: use SRP"


def _long_tokens(resource: Resource) -> Iterator[str]:
    for kind in ("accessToken", "idToken"):
        life = resource.inputs.get(f"{kind}Validity")
        unit = read(resource.inputs, f"tokenValidityUnits.{kind}")
        if UNKNOWN in (life, unit) or not life:  # AWS's default is an hour
            continue
        minutes = life * MINUTES[unit or "hours"]
        if minutes > TOKEN_MINUTES:
            yield f"{kind}Validity is {minutes:.0f} minutes: a stolen token should last an hour"


def _writes_claims(resource: Resource) -> Iterator[str]:
    attributes = resource.inputs.get("writeAttributes")
    if attributes is None:
        yield "writeAttributes is missing: clients could write every attribute, claims included"
    for attribute in listed(attributes):
        if attribute is not UNKNOWN and attribute.startswith(CLAIMS):
            yield f"writeAttributes has {attribute}, on which access may depend: leave it out"


def _optional_for_staff(resource: Resource) -> Iterator[str]:
    if resource.inputs.get("mfaConfiguration") == "OPTIONAL":
        trigger = "lambdaConfig.preTokenGenerationConfig.lambdaArn"
        advice = "without it a password alone makes a member of any group"
        yield from needs(trigger, advice=advice)(resource)


RULES = (
    rule(
        "no-self-sign-up",
        "Accounts are made by administrators",
        USER_POOL,
        needs(
            "adminCreateUserConfig.allowAdminCreateUserOnly",
            True,
            advice="anybody could make an account",
        ),
    ),
    rule("long-passwords", "Passwords have 12 characters or more", USER_POOL, _short_passwords),
    rule(
        "second-factor",
        "A second factor can be used at least",
        USER_POOL,
        needs("mfaConfiguration", "ON", "OPTIONAL", advice="let users protect their accounts"),
    ),
    rule(
        "staff-second-factor",
        "Where a second factor is optional, a function keeps groups from users without one",
        USER_POOL,
        _optional_for_staff,
    ),
    rule(
        "no-user-enumeration",
        "An answer doesn't tell whether a user exists",
        CLIENT,
        needs("preventUserExistenceErrors", "ENABLED", advice="names could be tried out"),
    ),
    rule(
        "revocable-tokens",
        "Signing out ends the tokens",
        CLIENT,
        needs("enableTokenRevocation", True, advice="a lost token could not be ended"),
    ),
    rule("no-implicit-flow", "No token is part of an address", CLIENT, _implicit_flow),
    rule("no-password-flow", "Passwords don't leave the client", CLIENT, _password_flow),
    rule("short-tokens", "Tokens last an hour at most", CLIENT, _long_tokens),
    rule("claims-not-writable", "Users don't write what access depends on", CLIENT, _writes_claims),
)
