"""Who may do what: every group, operation and type against the rules as the design states them."""

import pytest

from functions.shared.access import (
    PRIVATE_TYPES,
    Operation,
    readable_types,
    require,
    require_owner,
    sees_all_owners,
)
from functions.shared.errors import FhirError
from functions.shared.identity import Identity
from functions.shared.resources import RESOURCE_TYPES

READING = {"read", "vread", "search"}
CARE = READING | {"create", "update", "patch", "delete", "history", "export"}
ALL = CARE | {"erase", "reindex", "import", "attach"}
FINANCIAL = {
    "Account", "ChargeItem", "ChargeItemDefinition", "Claim", "ClaimResponse", "Contract",
    "Coverage", "CoverageEligibilityRequest", "CoverageEligibilityResponse", "EnrollmentRequest",
    "EnrollmentResponse", "ExplanationOfBenefit", "InsurancePlan", "Invoice", "PaymentNotice",
    "PaymentReconciliation",
}  # fmt: skip
PRIVATE = {"Binary", "Consent", "DocumentReference"}
CHALLENGE = PRIVATE | {
    "Endpoint", "Group", "Library", "Measure", "MeasureReport", "Organization", "ResearchStudy",
}  # fmt: skip
EXPECTED: dict[str, tuple[set[str], set[str] | frozenset[str]]] = {
    "practitioner": (CARE, RESOURCE_TYPES),
    "non-practitioner": (READING, FINANCIAL),
    "auditor": (READING, {"Patient"}),
    "data-owner": (CARE, PRIVATE),
    "challenge-host": (CARE, CHALLENGE),
    "admin": (ALL, RESOURCE_TYPES),
    "unheard-of": (set(), set()),
}


def user(*groups: str, subject: str = "me") -> Identity:
    return Identity(subject, subject, frozenset(groups))


def allowed(identity: Identity, operation: Operation, resource_type: str) -> bool:
    try:
        require(identity, operation, resource_type)
    except FhirError as error:
        return (error.status, error.issues[0].code) != (403, "forbidden")
    return True


@pytest.mark.parametrize("group", EXPECTED)
def test_a_group_may_do_what_the_rules_say_and_nothing_else(group: str) -> None:
    operations, types = EXPECTED[group]
    for operation in Operation.__args__:
        may = {t for t in RESOURCE_TYPES if allowed(user(group), operation, t)}
        expected = types if operation in operations else set()
        if (group, operation) == ("challenge-host", "attach"):
            expected = {"DocumentReference"}
        assert may == expected, operation
        assert readable_types(user(group), operation) == may


def test_several_groups_add_up_and_none_is_nothing() -> None:
    assert readable_types(user("auditor", "data-owner")) == PRIVATE | {"Patient"}
    assert readable_types(user()) == set()
    assert not allowed(user("practitioner"), "read", "patient")


def test_private_resources_are_their_owners_and_admins() -> None:
    assert PRIVATE_TYPES == PRIVATE
    for kind in PRIVATE:
        require_owner(user("practitioner"), kind, "me")
        require_owner(user("admin"), kind, "somebody")
        for owner in ("somebody", ""):
            with pytest.raises(FhirError) as refused:
                require_owner(user("practitioner", "challenge-host"), kind, owner)
            assert refused.value.status == 403
    require_owner(user("practitioner"), "Patient", "somebody")
    assert sees_all_owners(user("auditor", "admin"))
    assert not sees_all_owners(user("practitioner"))
