"""All rules: what one resource is judged by, and what only the whole stack shows."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies import access, cluster, functions, gateway, network, operations, sign_in, storage
from policies.gateway import STAGE
from policies.operations import ALARM
from policies.rule import UNKNOWN, Resource, read
from policies.storage import ACCESS_BLOCK, BUCKET, USER_POOL

LOGGING = "aws:s3/bucketLogging:BucketLogging"
WEB_ACL_ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
CERTIFICATE_ARN = re.compile(r"arn:[\w-]+:acm:[\w-]*:\d*:certificate/\S+")

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


Registered = tuple[str, str, Iterable[str]]
"""URN, type, and URNs of what it depends on."""


def unblocked_buckets(resources: Iterable[Registered]) -> list[str]:
    """URNs of buckets that no public access block is for."""
    return _uncovered(resources, (BUCKET,), ACCESS_BLOCK)


def unlogged_buckets(resources: Iterable[Registered]) -> list[str]:
    """URNs of buckets whose reads and writes nobody keeps; those of logs are called `…-logs`."""
    without = _uncovered(resources, (BUCKET,), LOGGING)
    return [urn for urn in without if not urn.endswith("-logs")]


def unfiltered(resources: Iterable[Registered]) -> list[str]:
    """URNs of user pools and stages that no firewall stands in front of."""
    return _uncovered(resources, (USER_POOL, STAGE), WEB_ACL_ASSOCIATION)


def unwatched_certificates(resources: Iterable[tuple[str, Resource]]) -> list[tuple[str, str]]:
    """URNs of what serves a certificate (ACM) that no alarm watches the end of, and its ARN."""
    known = list(resources)
    watched = [
        read(resource.inputs, "dimensions.CertificateArn")
        for _, resource in known
        if resource.type == ALARM and resource.inputs.get("metricName") in ("DaysToExpiry", UNKNOWN)
    ]
    if UNKNOWN in watched:
        return []
    return [
        (urn, arn)
        for urn, resource in known
        for arn in _texts(resource.inputs)
        if CERTIFICATE_ARN.fullmatch(arn) and arn not in watched
    ]


def _texts(value: Any) -> Iterator[str]:
    """All texts in the inputs of a resource, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _uncovered(resources: Iterable[Registered], types: tuple[str, ...], cover: str) -> list[str]:
    known = list(resources)
    covered = {urn for _, type_, needs in known if type_ == cover for urn in needs}
    return [urn for urn, type_, _ in known if type_ in types and urn not in covered]
