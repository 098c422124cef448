"""Policy documents of IAM and of resources, and the statements that many of them have.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pulumi

from ._documents import json_document

Strings = pulumi.Input[str] | Sequence[pulumi.Input[str]]


def policy_document(statements: Iterable[pulumi.Input[Mapping[str, Any]]]) -> pulumi.Output[str]:
    """The document of these statements, whose values may be Outputs."""
    return json_document({"Version": "2012-10-17", "Statement": list(statements)})


def allow(
    actions: str | Sequence[str],
    resources: Strings,
    *,
    sid: str | None = None,
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An Allow statement of an identity's policy."""
    return _statement("Allow", actions, resources, sid, condition)


def deny(
    actions: str | Sequence[str],
    resources: Strings,
    *,
    sid: str | None = None,
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A Deny statement of an identity's policy."""
    return _statement("Deny", actions, resources, sid, condition)


def _statement(
    effect: str,
    actions: str | Sequence[str],
    resources: Strings,
    sid: str | None,
    condition: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        **({} if sid is None else {"Sid": sid}),
        "Effect": effect,
        "Action": actions,
        "Resource": resources,
        **({} if condition is None else {"Condition": condition}),
    }


def tls_only(
    actions: str, resources: Strings, *, principal: str | Mapping[str, str] = "*"
) -> dict[str, Any]:
    """Denies requests that don't come over TLS, in a resource's policy."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": principal,
        "Action": actions,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def service_trust(
    service: str, *, condition: Mapping[str, Any] | None = None
) -> pulumi.Output[str]:
    """A role's trust in one AWS service, e.g. `lambda.amazonaws.com`."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        **({} if condition is None else {"Condition": condition}),
    }
    return policy_document([statement])


def web_identity_trust(
    provider_arn: pulumi.Input[str], issuer: pulumi.Input[str], subjects: str | Sequence[str]
) -> pulumi.Output[str]:
    """A role's trust in subjects of an identity provider; `issuer` is its address without https.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html
    """

    def statement(known: Sequence[str]) -> dict[str, Any]:
        provider_arn, issuer = known
        return {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subjects}
            },
        }

    # The issuer is in the names of keys, which no output can be.
    return policy_document([pulumi.Output.all(provider_arn, issuer).apply(statement)])
