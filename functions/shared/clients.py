"""The functions' AWS clients, made once per process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from functions.shared.tracing import traced

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
    max_pool_connections=16,
    user_agent="ai4h",  # boto3's own is put together anew for each call: an eighth of its time
)


@cache
def dynamodb() -> Any:
    """Handlers call this while they start, when Lambda gives most CPU."""
    return traced(boto3.client("dynamodb", config=_CONFIG))


def queried(**query: Any) -> Iterator[dict[str, Any]]:
    """The items that a Query of DynamoDB finds, page after page as they are asked for."""
    for page in dynamodb().get_paginator("query").paginate(**query):
        yield from page["Items"]


@cache
def s3() -> Any:
    """For large bodies; uploads have a client of their own, which signs addresses."""
    return traced(boto3.client("s3", config=_CONFIG))


@cache
def step_functions() -> Any:
    """Starts the jobs that take longer than a request."""
    return traced(boto3.client("stepfunctions", config=_CONFIG))


@cache
def sqs() -> Any:
    """Takes what is read of datasets to their evidence."""
    return traced(boto3.client("sqs", config=_CONFIG))


@cache
def lambda_() -> Any:
    """Calls another function and waits for its answer."""
    return traced(boto3.client("lambda", config=_CONFIG))


@cache
def cognito() -> Any:
    """Knows the users. Cognito itself waits for the answer to it, five seconds at most."""
    soon = Config(read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
    return traced(boto3.client("cognito-idp", config=_CONFIG.merge(soon)))


@cache
def ec2() -> Any:
    """Knows the cluster's machines."""
    return traced(boto3.client("ec2", config=_CONFIG))
