"""Mistakes in a stack's configuration: what its user reads."""

from typing import Any

import pytest
from pulumi.automation import CommandError

from tests.engine.workspace import Stack, Workspace


@pytest.fixture(scope="module")
def stack(recording: Workspace) -> Stack:
    return recording.project("dev")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("logRetentionDays", "a year", "logRetentionDays' must be of type 'integer'"),
        ("clusterPublicAccessCidrs", "10.0.0.0/8", "clusterPublicAccessCidrs' must be of type"),
        ("mfa", "SOMETIMES", "mfa: 'SOMETIMES' is none of OFF, OPTIONAL, ON"),
        ("vpcCidr", "10.0.0.0/33", "vpcCidr: "),
        ("production", True, "domainName: required in production"),
        ("domainName", "a.example.org", "domainName: set it with domainCertificateArn"),
    ],
)
def test_the_mistake_is_named(stack: Stack, key: str, value: Any, message: str) -> None:
    with stack.configured(**{key: value}), pytest.raises(CommandError) as refused:
        stack.preview()
    assert message in str(refused.value)
