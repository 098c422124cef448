"""Access rules of the data API: which group may do what with which types."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from ._layer import FUNCTIONS

OPERATIONS = (
    *("create", "read", "vread", "update", "patch", "delete", "history", "search"),
    *("erase", "reindex", "export", "import", "attach"),
)
LONGEST = 2_000
"""Of the rules as JSON; all that a function is told may have 4 KB, a limit of Lambda's."""

_GROUP = re.compile(r"[\w+=,.@-]{1,128}")


class AccessRule(TypedDict):
    """What a group may do; `*` alone stands for all."""

    operations: list[str]
    """create, read, vread, update, patch, delete, history, search, export, a challenge host's
    attach, and an administrator's import, erase, reindex."""
    types: list[str]
    """Resource types of FHIR R4."""


def parse_access_rules(text: str) -> dict[str, list[AccessRule]]:
    """Rules in JSON: `{"group": [{"operations": ["read"], "types": ["Patient"]}]}`. ValueError."""
    rules = json.loads(text)
    if not isinstance(rules, dict) or not all(
        isinstance(given, list)
        and all(isinstance(rule, dict) and rule.keys() == {"operations", "types"} for rule in given)
        for given in rules.values()
    ):
        raise ValueError("each group has a list of rules, each with operations and types")
    rules_environment(rules)
    return rules


def rules_environment(rules: Mapping[str, Sequence[AccessRule]] | None) -> Mapping[str, str]:
    """How functions/shared/access.py is told the rules. ValueError for words it doesn't know."""
    if rules is None:
        return {}
    types = (FUNCTIONS / "shared" / "resource_types.txt").read_text().split()
    for group, given in rules.items():
        if not _GROUP.fullmatch(group):
            raise ValueError(f"{group!r} can't be the name of a group")
        for rule in given:
            _require_known(f"operations of {group}", rule["operations"], OPERATIONS)
            _require_known(f"types of {group}", rule["types"], types)
    text = json.dumps(rules, separators=(",", ":"))
    if len(text) > LONGEST:
        raise ValueError(f"access rules of {len(text)} characters as JSON; at most {LONGEST}")
    return {"ACCESS_RULES": text}


def _require_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    unknown = [word for word in given if word not in known and given != ["*"]]
    if unknown or not given:
        said = ", ".join(unknown) or "none"
        raise ValueError(f"{what}: {said}; known are {', '.join(known)}")
