"""The rules, as pure functions of a resource's inputs: the pack and the graph tests run them.

Inputs are under the provider's names (`kmsKeyId`). One that isn't known before the deployment is
UNKNOWN, and keeps every rule: the deployment itself, which knows it, runs the rules again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN: Any = object()

Inputs = Mapping[str, Any]

BUCKET = "aws:s3/bucket:Bucket"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ACCESS_BLOCK_FLAGS = (
    *("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"),
)
POLICIES = ("policy", "accessPolicies", "assumeRolePolicy", "repositoryPolicy")
EVERYWHERE = ("0.0.0.0/0", "::/0")
ENCRYPTED = {
    "aws:cloudwatch/logGroup:LogGroup": "kmsKeyId",
    "aws:dynamodb/table:Table": "serverSideEncryption",
    "aws:rds/instance:Instance": "kmsKeyId",
    "aws:sqs/queue:Queue": "kmsMasterKeyId",
}


@dataclass(frozen=True)
class Rule:
    """What resources of some types keep to."""

    name: str
    description: str
    types: frozenset[str]
    """Type tokens; empty for all."""
    problems: Callable[[Inputs], Iterator[str]]
    """What a resource with such inputs does wrong, and what to do instead."""

    def check(self, type_: str, inputs: Inputs) -> list[str]:
        """The problems of a resource of a type."""
        return list(self.problems(inputs)) if not self.types or type_ in self.types else []


def _opens_bucket(inputs: Inputs) -> Iterator[str]:
    for flag in ACCESS_BLOCK_FLAGS:
        if inputs.get(flag) not in (True, UNKNOWN):
            yield f"{flag} isn't true: no bucket is public, not even the portal's"


def _public_acl(inputs: Inputs) -> Iterator[str]:
    acl = inputs.get("acl")
    if acl not in (None, "private", UNKNOWN):
        yield f"the ACL {acl!r} opens the bucket: grant access in its policy, to a named principal"


def _lets_everybody(inputs: Inputs) -> Iterator[str]:
    for key in POLICIES:
        text = inputs.get(key)
        if text is UNKNOWN or not isinstance(text, str):
            continue
        for statement in _list(json.loads(text)["Statement"]):
            if statement["Effect"] == "Allow" and _is_anybody(statement.get("Principal")):
                yield f"{key} lets everybody {statement['Action']}: name the principal"


def _is_anybody(principal: Any) -> bool:
    named = principal.get("AWS", []) if isinstance(principal, dict) else principal
    return "*" in _list(named)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _open_port(inputs: Inputs) -> Iterator[str]:
    for key in ("cidrIpv4", "cidrIpv6"):
        if inputs.get(key) in EVERYWHERE:
            yield f"{key} is the whole internet: only the edge is public, the VPC isn't"


def _unencrypted(key: str) -> Callable[[Inputs], Iterator[str]]:
    def problems(inputs: Inputs) -> Iterator[str]:
        if not inputs.get(key):
            yield f"{key} is missing: data at rest are encrypted with a key of one's own"

    return problems


RULES = (
    Rule(
        "no-public-bucket",
        "Public access to buckets is blocked",
        frozenset({ACCESS_BLOCK}),
        _opens_bucket,
    ),
    Rule(
        "no-public-acl",
        "No ACL opens a bucket or an object",
        frozenset({BUCKET, "aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketObjectv2:BucketObjectv2"}),
        _public_acl,
    ),
    Rule("no-public-policy", "No policy lets everybody in", frozenset(), _lets_everybody),
    Rule(
        "no-open-port",
        "No security group lets the internet in",
        frozenset({"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"}),
        _open_port,
    ),
    *(
        Rule(
            f"encrypted-{type_.rpartition(':')[2].lower()}",
            "Data at rest are encrypted with a key of one's own",
            frozenset({type_}),
            _unencrypted(key),
        )
        for type_, key in ENCRYPTED.items()
    ),
)


def unblocked_buckets(resources: Iterable[tuple[str, str, Iterable[str]]]) -> list[str]:
    """URNs of buckets that no public access block is for, among (URN, type, dependencies' URNs)."""
    known = list(resources)
    blocked = {urn for _, type_, needs in known if type_ == ACCESS_BLOCK for urn in needs}
    return [urn for urn, type_, _ in known if type_ == BUCKET and urn not in blocked]
