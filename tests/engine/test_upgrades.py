"""A new version of a program takes over what an earlier one has made: nothing is made anew.

`states/` holds states as earlier versions left them (`pulumi stack export`). That of 0.0.1 has
the sign-in as component `sign-in` and a bucket without parent; in the program of today these are
`auth` and a part of a component.
"""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.automation import CommandError

from components import AuthPool
from tests.engine.workspace import PROVIDERS, Program, Stack, Workspace

STATES = Path(__file__).parent / "states"
MAKING = ("create", "delete", "replace", "create-replacement", "delete-replaced")


class Shelf(pulumi.ComponentResource):
    """A component that a bucket has moved into."""

    def __init__(self, name: str, *, earlier: list[pulumi.Alias]) -> None:
        super().__init__("test:index:Shelf", name)
        options = pulumi.ResourceOptions(parent=self, protect=True, aliases=earlier)
        aws.s3.Bucket(f"{name}-datasets", opts=options)
        self.register_outputs({})


def today(*, with_aliases: bool) -> Program:
    """The program of now: with the earlier names of things, or as if there had been none."""

    def program() -> None:
        named = [pulumi.Alias(name="sign-in")] if with_aliases else []
        moved = [pulumi.Alias(name="datasets", parent=pulumi.ROOT_STACK_RESOURCE)]
        AuthPool(
            "auth",
            {
                "callback_urls": ["https://portal.example.org/"],
                "groups": {"admin": "Erases, reindexes and exports"},
                "domain_prefix": "ai4h-example",  # derived, it would follow the name
            },
            pulumi.ResourceOptions(aliases=named),
        )
        Shelf("shelf", earlier=moved if with_aliases else [])

    return program


@pytest.fixture
def stack(recording: Workspace) -> Stack:
    """A stack as version 0.0.1 left it."""
    return recording.program("upgrade", today(with_aliases=True), STATES / "0.0.1.json")


def made(resources: list[dict[str, Any]]) -> set[str]:
    """Ids of what exists outside the engine's state."""
    return {
        item["id"]
        for item in resources
        if item["custom"] and not item["type"].startswith(PROVIDERS)
    }


def test_renamed_and_moved_things_stay_what_they_are(stack: Stack) -> None:
    """First without aliases, which shows what they are for."""
    ids = made(stack.resources())
    assert len(ids) == 6
    with pytest.raises(CommandError, match="protected"):
        stack.preview(today(with_aliases=False))
    course = stack.up()
    making = {urn.rpartition("::")[2] for urn in course.of(*MAKING)}
    assert making == {"shelf", "auth-firewall", "auth-logs"}, "a component, and what came since"
    assert ids < made(stack.resources())
    names = {item["urn"].rpartition("::")[2] for item in stack.resources()}
    assert {"auth", "auth-users", "auth-admin", "shelf-datasets"} <= names
    assert not {"sign-in", "sign-in-users", "datasets"} & names
    assert stack.preview(today(with_aliases=True), expect_no_changes=True).steps == []
