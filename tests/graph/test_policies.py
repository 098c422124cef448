"""The rules of the policy pack: every stack keeps them, and what breaks one is refused."""

import json
from typing import Any

import pytest
from pulumi.output import Unknown

from policies.rules import ACCESS_BLOCK, BUCKET, ENCRYPTED, RULES, UNKNOWN, unblocked_buckets
from tests.graph.strict import Graph, stack_graph


def known(value: Any) -> Any:
    """The value as the pack hands it to the rules."""
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        return {key: known(item) for key, item in value.items()}
    return [known(item) for item in value] if isinstance(value, list) else value


def problems(type_: str, inputs: dict[str, Any]) -> list[str]:
    return [problem for rule in RULES for problem in rule.check(type_, inputs)]


@pytest.mark.parametrize(("stack", "preview"), [("dev", False), ("dev", True), ("prod", False)])
def test_every_stack_keeps_the_rules(stack: str, preview: bool) -> None:
    graph = stack_graph(stack, preview=preview)
    broken = {r.urn: found for r in graph if (found := problems(r.type, known(dict(r.inputs))))}
    assert not broken
    assert len(graph.all(BUCKET)) >= 5
    assert not unblocked(graph, without=None)
    assert {rule.name for rule in RULES if rule.types & {r.type for r in graph}} >= {
        *("no-public-bucket", "encrypted-table", "encrypted-loggroup", "encrypted-queue"),
    }


def unblocked(graph: Graph, without: str | None) -> list[str]:
    kept = [r for r in graph if r.urn != without]
    return unblocked_buckets((r.urn, r.type, r.depends_on) for r in kept)


def test_a_bucket_that_loses_its_block_is_noticed() -> None:
    graph = stack_graph("dev")
    block = graph.all(ACCESS_BLOCK)[0]
    (bucket,) = unblocked(graph, without=block.urn)
    assert bucket in block.depends_on


def policy(principal: Any, effect: str = "Allow") -> dict[str, str]:
    statement = {"Effect": effect, "Principal": principal, "Action": "s3:GetObject"}
    return {"policy": json.dumps({"Statement": [statement]})}


CLOSED = {
    **{"blockPublicAcls": True, "blockPublicPolicy": True},
    **{"ignorePublicAcls": True, "restrictPublicBuckets": True},
}


@pytest.mark.parametrize(
    ("type_", "inputs", "problem"),
    [
        (ACCESS_BLOCK, {**CLOSED, "blockPublicPolicy": False}, "blockPublicPolicy isn't true"),
        ("aws:s3/bucketAcl:BucketAcl", {"acl": "public-read"}, "opens the bucket"),
        ("aws:s3/bucketPolicy:BucketPolicy", policy("*"), "lets everybody s3:GetObject"),
        ("aws:sqs/queuePolicy:QueuePolicy", policy({"AWS": ["*"]}), "name the principal"),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"cidrIpv4": "0.0.0.0/0"},
            "whole internet",
        ),
        *((type_, {}, f"{key} is missing") for type_, key in ENCRYPTED.items()),
    ],
)
def test_what_breaks_a_rule_is_explained(type_: str, inputs: dict[str, Any], problem: str) -> None:
    (found,) = problems(type_, inputs)
    assert problem in found


def test_what_keeps_them_is_let_through() -> None:
    assert not problems(ACCESS_BLOCK, CLOSED)
    assert not problems(ACCESS_BLOCK, dict.fromkeys(CLOSED, UNKNOWN))
    assert not problems("aws:s3/bucketPolicy:BucketPolicy", policy("*", effect="Deny"))
    assert not problems("aws:s3/bucketPolicy:BucketPolicy", policy({"Service": "x.amazonaws.com"}))
    assert not problems("aws:s3/bucketPolicy:BucketPolicy", {"policy": UNKNOWN})
