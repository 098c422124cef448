"""All rules: what one resource is judged by, and what only the whole stack shows."""

from collections.abc import Iterable

from policies import access, cluster, functions, gateway, network, operations, sign_in, storage
from policies.storage import ACCESS_BLOCK, BUCKET

RULES = (
    *storage.RULES,
    *access.RULES,
    *network.RULES,
    *sign_in.RULES,
    *gateway.RULES,
    *functions.RULES,
    *cluster.RULES,
    *operations.RULES,
)


def unblocked_buckets(resources: Iterable[tuple[str, str, Iterable[str]]]) -> list[str]:
    """URNs of buckets that no public access block is for, among (URN, type, dependencies' URNs)."""
    known = list(resources)
    blocked = {urn for _, type_, needs in known if type_ == ACCESS_BLOCK for urn in needs}
    return [urn for urn, type_, _ in known if type_ == BUCKET and urn not in blocked]
