"""Data stores that several files of tests look at, each evaluated once per process."""

import json
from functools import cache

from components.data_store import DataStore, DataStoreArgs
from tests.graph.strict import Graph, evaluate

POLICY = "aws:iam/rolePolicy:RolePolicy"
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_1"
MINIMAL: DataStoreArgs = {
    "vpc_id": "vpc-1",
    "subnet_ids": ["subnet-a", "subnet-b", "subnet-c"],
    "issuer": ISSUER,
    "client_ids": ["browser", "cli"],
}
SMALL: DataStoreArgs = {
    **MINIMAL,
    "search": {"instance_type": "t3.small.search", "instance_count": 1, "volume_gib": 10},
    "backup": False,
    "log_retention_days": 30,
    "protect": False,
    "update_create": True,
}


def build(args: DataStoreArgs, preview: bool = False) -> Graph:
    return evaluate(lambda: DataStore("data", args), preview=preview)


@cache
def minimal() -> Graph:
    """One with its defaults."""
    return build(MINIMAL)


@cache
def small() -> Graph:
    """One for development, without alarms."""
    return build(SMALL)


def granted(graph: Graph, name: str, *services: str) -> set[tuple[str, str]]:
    """(action, end of the resource's ARN) of what a policy allows of some services."""
    policy = json.loads(graph.one(POLICY, name).inputs["policy"])
    found = set()
    for statement in policy["Statement"]:
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            for action in statement["Action"]:
                if statement["Effect"] == "Allow" and action.split(":")[0] in services:
                    found.add((action, resource.split(":", 5)[-1]))
    return found
