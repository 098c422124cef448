"""Access rules that a stack configures: checked in the preview, understood by the functions."""

import json
from typing import get_args

import pytest

from components import parse_access_rules
from components._access_rules import LONGEST, OPERATIONS
from functions.shared.access import Operation, configured
from functions.shared.resources import RESOURCE_TYPES

RULES = {
    "nurse": [{"operations": ["read", "search"], "types": ["Patient", "Observation"]}],
    "admin": [{"operations": ["*"], "types": ["*"]}],
}


def test_both_sides_know_the_same_words() -> None:
    assert get_args(Operation) == OPERATIONS
    nurse, admin = configured(json.dumps(parse_access_rules(json.dumps(RULES)))).values()
    assert nurse == (({"read", "search"}, {"Patient", "Observation"}),)
    assert admin == (({*OPERATIONS}, RESOURCE_TYPES),)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("{", "Expecting"),
        ("[]", "each group has a list of rules"),
        ('{"nurse": [{"operations": ["read"]}]}', "each with operations and types"),
        ('{"a b": []}', "can't be the name of a group"),
        (
            '{"nurse": [{"operations": ["reed"], "types": ["*"]}]}',
            "operations of nurse: reed; known",
        ),
        ('{"nurse": [{"operations": ["read"], "types": ["patient"]}]}', "types of nurse: patient"),
        ('{"nurse": [{"operations": [], "types": ["*"]}]}', "operations of nurse: none"),
        (json.dumps({f"g{n}": RULES["nurse"] for n in range(LONGEST // 60)}), "at most"),
    ],
)
def test_wrong_rules_are_refused(rules: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_access_rules(rules)
