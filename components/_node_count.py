"""How many machines a cluster has, as a metric: a function that counts them by the clock."""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from ._functions import Functions, call_on
from ._layer import FunctionPlatform
from ._policy_documents import allow

COUNTED_EVERY = "rate(5 minutes)"


def count_nodes(
    name: str,
    *,
    cluster_name: str,
    pools: Sequence[str],
    key: aws.kms.Key,
    log_retention_days: int,
    opts: pulumi.ResourceOptions,
) -> None:
    """Makes the function `nodes`. `pools` are Karpenter's, and counted when empty as well."""
    functions = Functions(
        name,
        platform=FunctionPlatform.LAMBDA,  # where there is EKS, there is Lambda
        key=key,
        log_retention_days=log_retention_days,
        opts=opts,
    )
    function = functions.function(
        "nodes",
        "functions.nodes.handler.handler",
        description="Counts the cluster's machines",
        environment={"CLUSTER_NAME": cluster_name, "NODE_POOLS": json.dumps(pools)},
        statements=[allow(["ec2:DescribeInstances"], "*")],
        timeout=30,
        memory=256,
    )
    rule = aws.cloudwatch.EventRule(
        f"{name}-nodes",
        description="Counts the cluster's machines",
        schedule_expression=COUNTED_EVERY,
        opts=opts,
    )
    call_on(rule, function, f"{name}-nodes", opts)
