"""Resource policies, without what would lock out everybody on this machine."""

import json
from typing import Any

from local.handlers.base import Aws

PLAIN_HTTP = "aws:SecureTransport"
# The local AWS takes this key as absent from every request, so that a Deny on its absence
# always holds.
UNKNOWN = "s3:if-none-match"
UNEVALUATED = ("s3:signatureAge",)


def enforceable(aws: Aws, policy: str) -> str | None:
    """The policy as the local AWS can take it; None when nothing of it is left."""
    document = json.loads(policy)
    statements = document["Statement"]
    if isinstance(statements, dict):
        statements = [statements]
    kept = [statement for statement in statements if not _locks_out(aws, statement)]
    for key in UNEVALUATED:
        if any(key in _condition_keys(statement) for statement in kept):
            aws.note(f"{key}: not evaluated here")
    return json.dumps(document | {"Statement": kept}) if kept else None


def _locks_out(aws: Aws, statement: dict[str, Any]) -> bool:
    keys = _condition_keys(statement)
    if statement["Effect"] == "Deny" and PLAIN_HTTP in keys:
        aws.note("the policy's statement for TLS only is left out: loopback is plain HTTP")
        return True
    if statement["Effect"] == "Deny" and UNKNOWN in keys:
        aws.note(f"the policy's statement on {UNKNOWN} is left out: it would deny every write")
        return True
    return False


def _condition_keys(statement: dict[str, Any]) -> set[str]:
    return {key for operands in statement.get("Condition", {}).values() for key in operands}
