"""Roles of the engine's security plugin and the IAM roles that have them.

Names of permissions: https://opensearch.org/docs/latest/security/access-control/permissions/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.search.engine import Engine, EngineRefusedError
from functions.search.index import ALIAS

_API = "/_plugins/_security/api"
_PATTERNS = [f"{ALIAS}*"]

ROLES: dict[str, dict[str, Any]] = {
    "ai4h_read": {
        "cluster_permissions": ["cluster_composite_ops_ro"],
        "index_permissions": [{"index_patterns": _PATTERNS, "allowed_actions": ["read"]}],
    },
    "ai4h_write": {
        # _bulk is a cluster action; a document with a new code adds its field to the mapping.
        "cluster_permissions": ["indices:data/write/bulk"],
        "index_permissions": [
            {
                "index_patterns": _PATTERNS,
                "allowed_actions": [
                    "index",
                    "indices:data/write/bulk*",
                    "indices:admin/mapping/auto_put",
                    "indices:admin/aliases/get",  # whether an index is being built
                ],
            }
        ],
    },
}


def ensure(client: Engine, readers: Sequence[str], writers: Sequence[str]) -> list[str]:
    """Defines both roles and maps exactly these IAM role ARNs to them; says what changed."""
    changes = []
    for name, arns in (("ai4h_read", readers), ("ai4h_write", writers)):
        if not _has(client, f"{_API}/roles/{name}", name, ROLES[name]):
            client.call("PUT", f"{_API}/roles/{name}", ROLES[name])
            changes.append(f"role {name}")
        users = {"backend_roles": sorted(arns)}
        if not _has(client, f"{_API}/rolesmapping/{name}", name, users):
            client.call("PUT", f"{_API}/rolesmapping/{name}", users)
            changes.append(f"mapping of {name}")
    return changes


def _has(client: Engine, path: str, name: str, wanted: dict[str, Any]) -> bool:
    try:
        present = client.call("GET", path).get(name, {})
    except EngineRefusedError as error:
        if error.status == 404:
            return False
        raise
    return _covers(present, wanted)


def _covers(present: Any, wanted: Any) -> bool:
    """Whether `present` has what is wanted; the plugin adds members of its own to what it keeps."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        return all(_covers(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(present, list) and len(present) == len(wanted):
        if wanted and isinstance(wanted[0], str):
            return sorted(present) == sorted(wanted)
        return all(map(_covers, present, wanted))
    return present == wanted
