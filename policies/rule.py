"""What a rule is, and how it reads a resource's inputs.

Inputs are under the provider's names (`kmsKeyId`). One that isn't known before the deployment is
UNKNOWN, and keeps every rule: the deployment itself, which knows it, runs the rules again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN: Any = object()

POLICIES = (
    *("accessPolicies", "assumeRolePolicy", "policy", "policyDocument", "repositoryPolicy"),
)
"""Inputs that hold a policy document, whichever type they belong to."""


@dataclass(frozen=True)
class Resource:
    """A resource as the rules see it."""

    type: str
    """Type token: `aws:s3/bucket:Bucket`."""
    inputs: Mapping[str, Any]
    protect: bool = False
    """Whether Pulumi refuses to delete it."""


Problems = Callable[[Resource], Iterator[str]]
"""What a resource does wrong, and what to do instead."""


@dataclass(frozen=True)
class Rule:
    """What resources of some types keep to."""

    name: str
    description: str
    types: frozenset[str]
    """Type tokens; empty for all."""
    problems: Problems

    def check(self, resource: Resource) -> list[str]:
        """The problems of a resource, none if it is of another type."""
        concerned = not self.types or resource.type in self.types
        return list(self.problems(resource)) if concerned else []


def rule(name: str, description: str, types: str | tuple[str, ...], problems: Problems) -> Rule:
    """A rule for one type or several; for all with `()`."""
    return Rule(
        name, description, frozenset([types] if isinstance(types, str) else types), problems
    )


def read(inputs: Any, path: str) -> Any:
    """The input at a dotted path: None where it is missing, UNKNOWN where it isn't known yet."""
    for key in path.split("."):
        if inputs is UNKNOWN:
            return UNKNOWN
        inputs = inputs.get(key) if isinstance(inputs, Mapping) else None
    return inputs


def needs(path: str, *wanted: Any, advice: str) -> Problems:
    """The input is one of the wanted values; without any, it is there and not empty."""

    def problems(resource: Resource) -> Iterator[str]:
        value = read(resource.inputs, path)
        if value is UNKNOWN or (value in wanted if wanted else value):
            return
        yield f"{path} is {'missing' if value is None else json.dumps(value)}: {advice}"

    return problems


def both(*parts: Problems) -> Problems:
    """All problems of several."""
    return lambda resource: (problem for part in parts for problem in part(resource))


def unless(path: str, *values: Any, problems: Problems) -> Problems:
    """The problems, where the input isn't one of the values."""
    return lambda resource: (
        iter(()) if read(resource.inputs, path) in values else problems(resource)
    )


def listed(value: Any) -> list[Any]:
    """A list as it is, one value as a list of it, and nothing of what isn't known."""
    if value is None or value is UNKNOWN:
        return []
    return value if isinstance(value, list) else [value]


def allowed(resource: Resource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The statements that allow something, each with the input that holds it."""
    for key in POLICIES:
        text = resource.inputs.get(key)
        if isinstance(text, str):  # and so is known
            # A repository's lifecycle policy has none.
            for statement in listed(json.loads(text).get("Statement")):
                if statement["Effect"] == "Allow":
                    yield key, statement
