"""Who may do what: rules as data, and ownership of the private types. Denied is the default."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Literal, TypeVar, get_args

from functions.shared.errors import FhirError, quote
from functions.shared.identity import Identity
from functions.shared.resources import RESOURCE_TYPES

Operation = Literal[
    "create", "read", "vread", "update", "patch", "delete", "history", "search", "erase", "reindex",
    "export", "import", "attach",
]  # fmt: skip

PRIVATE_TYPES = frozenset({"Binary", "DocumentReference", "Consent"})
"""Changed by their owner only, whatever the group, and seen by others only while the owner shares
them (`functions.shared.grants`); `admin` excepted."""

_FINANCIAL = """
    Account ChargeItem ChargeItemDefinition Claim ClaimResponse Contract Coverage
    CoverageEligibilityRequest CoverageEligibilityResponse EnrollmentRequest EnrollmentResponse
    ExplanationOfBenefit InsurancePlan Invoice PaymentNotice PaymentReconciliation
"""
FINANCIAL_TYPES = frozenset(_FINANCIAL.split())
"""The financial types of FHIR Works' default rules."""

_ALL: frozenset[Operation] = frozenset(get_args(Operation))
_READ: frozenset[Operation] = frozenset({"read", "vread", "search"})
_CARE: frozenset[Operation] = _ALL - {"erase", "reindex", "import", "attach"}
_ATTACH: frozenset[Operation] = frozenset({"attach"})

# What describes a challenge: its study, its participants' groups and organisations, its metrics.
_CHALLENGE_TYPES = frozenset(
    {"Endpoint", "Group", "Library", "Measure", "MeasureReport", "Organization", "ResearchStudy"}
)

_Word = TypeVar("_Word", bound=str)

Rules = Mapping[str, tuple[tuple[frozenset[Operation], frozenset[str]], ...]]

RULES: Rules = {
    "practitioner": ((_CARE, RESOURCE_TYPES),),
    "non-practitioner": ((_READ, FINANCIAL_TYPES),),
    "auditor": ((_READ, frozenset({"Patient"})),),
    "data-owner": ((_CARE, PRIVATE_TYPES),),
    "challenge-host": (
        (_CARE, _CHALLENGE_TYPES | PRIVATE_TYPES),
        (_ATTACH, frozenset({"DocumentReference"})),
    ),
    "admin": ((_ALL, RESOURCE_TYPES),),
}
"""Group -> (operations, resource types) it may do. A user in several groups has them all.

The rules of a stack that configures none; ACCESS_RULES has those of one that does."""


def configured(text: str) -> Rules:
    """The rules in JSON, `{"group": [{"operations": […], "types": […]}]}`; `["*"]` is all.

    ValueError or KeyError for what isn't one: without rules that are sure nobody may do anything.
    """
    return {
        group: tuple(
            (_words(rule["operations"], _ALL), _words(rule["types"], RESOURCE_TYPES))
            for rule in given
        )
        for group, given in json.loads(text).items()
    }


def _words(given: list[str], known: frozenset[_Word]) -> frozenset[_Word]:
    if given == ["*"]:
        return known
    if unknown := set(given) - known:
        raise ValueError(f"access rules: {', '.join(sorted(unknown))} isn't known")
    return frozenset(word for word in known if word in given)


def _allowed(rules: Rules) -> dict[tuple[str, Operation], frozenset[str]]:
    return {
        (group, operation): frozenset().union(*(types for ops, types in pairs if operation in ops))
        for group, pairs in rules.items()
        for operation in _ALL
    }


_ALLOWED = _allowed(configured(text) if (text := os.environ.get("ACCESS_RULES")) else RULES)


def require(identity: Identity, operation: Operation, resource_type: str) -> None:
    """403 unless a group of the user may do the operation on the type."""
    if not any(
        resource_type in _ALLOWED.get((group, operation), frozenset()) for group in identity.groups
    ):
        raise FhirError(
            403, "forbidden", f"Your groups don't allow {operation} on {quote(resource_type)}."
        )


def require_owner(identity: Identity, resource_type: str, owner: str) -> None:
    """403 on a private resource of somebody else."""
    if not owns(identity, resource_type, owner):
        raise FhirError(403, "forbidden", f"This {resource_type} belongs to another user.")


def owns(identity: Identity, resource_type: str, owner: str) -> bool:
    """Whether a resource's owner doesn't keep it from the user."""
    return (
        resource_type not in PRIVATE_TYPES
        or sees_all_owners(identity)
        or (bool(owner) and owner == identity.subject)
    )


def readable_types(identity: Identity, operation: Operation = "search") -> frozenset[str]:
    """The types that a user may search (or do another operation on)."""
    return frozenset().union(
        *(_ALLOWED.get((group, operation), frozenset()) for group in identity.groups)
    )


def sees_all_owners(identity: Identity) -> bool:
    """Whether ownership of private types doesn't matter for this user."""
    return "admin" in identity.groups
