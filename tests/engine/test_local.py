"""Stack `local` through the real engine: what it makes is the platform that `make local` makes."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from local import supervisor, users
from local.edge import Origins
from local.files import write_json
from local.state import Entry, Resources
from tests.e2e.conftest import Client, sign_in
from tests.engine.conftest import LocalAws
from tests.engine.inventory import everything
from tests.engine.workspace import ROOT, Course, Stack, Workspace

UP_SECONDS = 60
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
E2E = ("test_access.py", "test_api.py", "test_read_your_writes.py", "test_uploads.py")
"""One file per way through the platform; the others go the same ways."""


def clear(value: Any) -> Any:
    """A property of an exported state, without the marks of secrets."""
    if isinstance(value, list):
        return [clear(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "plaintext" in value:
        return clear(json.loads(value["plaintext"]))
    return {name: clear(item) for name, item in value.items()}


def of_type(stack: Stack, type_: str) -> list[dict[str, Any]]:
    return [clear(item) for item in stack.resources() if item["type"] == type_]


@pytest.fixture(scope="module")
def before(local_aws: LocalAws) -> set[tuple[str, str]]:
    return everything(local_aws.clients)


@pytest.fixture(scope="module")
def first(making: Workspace, before: set[tuple[str, str]]) -> tuple[Stack, Course, Course]:
    """The stack, its first preview and its first `up`."""
    stack = making.project("local")
    return stack, stack.preview(), stack.up()


@pytest.fixture(scope="module")
def stack(first: tuple[Stack, Course, Course]) -> Stack:
    return first[0]


def test_what_the_preview_shows_is_made_within_a_minute(
    first: tuple[Stack, Course, Course],
) -> None:
    _, previewed, made = first
    assert previewed.operations == made.operations == {"create"}
    assert sorted(previewed.of("create")) == sorted(made.of("create"))
    assert made.seconds < UP_SECONDS
    assert "aws:ec2/vpc:Vpc: only recorded, since there is no network" in "".join(made.messages)


def test_a_second_preview_has_no_changes(stack: Stack) -> None:
    assert stack.preview(expect_no_changes=True).steps == []


def test_a_limit_of_the_api_changes_in_place(stack: Stack, local_aws: LocalAws) -> None:
    (plan,) = of_type(stack, "aws:apigateway/usagePlan:UsagePlan")
    with stack.configured(apiRequestsPerDay=400_000):
        previewed, done = stack.preview(), stack.up()
    assert previewed.steps == done.steps
    assert done.steps == [("update", plan["urn"])]
    assert done.diffs[plan["urn"]] == {"quotaSettings"}
    made = local_aws.clients.of("apigateway").get_usage_plan(usagePlanId=plan["id"])
    assert int(made["quota"]["limit"]) == 400_000


def test_drift_is_seen_and_repaired(stack: Stack, local_aws: LocalAws) -> None:
    """One log group is deleted behind the engine's back, another one set to forget earlier."""
    groups = [
        group
        for group in of_type(stack, LOG_GROUP)
        if not group["id"].startswith("/aws/lambda") and "region" not in group["inputs"]
    ]
    gone, changed = groups[:2]
    logs = local_aws.clients.of("logs")
    logs.delete_log_group(logGroupName=gone["id"])
    logs.put_retention_policy(logGroupName=changed["id"], retentionInDays=1)
    stack.refresh()
    course = stack.up()
    assert course.of("create") == [gone["urn"]]
    assert changed["urn"] in course.of("update")
    assert course.of("replace", "delete") == []
    (found,) = logs.describe_log_groups(logGroupNamePrefix=changed["id"])["logGroups"]
    assert found["retentionInDays"] == changed["inputs"]["retentionInDays"]


def test_no_secret_is_written_in_clear(stack: Stack) -> None:
    keys = of_type(stack, "aws:apigateway/apiKey:ApiKey")
    passwords = of_type(stack, "random:index/randomPassword:RandomPassword")
    values = [item["outputs"]["value"] for item in keys]
    values += [item["outputs"]["result"] for item in passwords]
    assert len(values) >= 2
    written = stack.written()
    assert keys[0]["id"].encode() in written, "the search finds what is there"
    assert [value for value in values if value.encode() in written] == []


def test_the_platform_works(stack: Stack, local_aws: LocalAws) -> None:
    """The end-to-end tests, against what the engine has made."""
    resources = Resources(local_aws.state.resources)
    for item in stack.resources():
        known = clear({"inputs": {}, "outputs": {}} | item)
        name = item["urn"].rpartition("::")[2]
        entry = Entry(item["type"], name, item.get("id", ""), known["inputs"], known["outputs"])
        resources.put(item["urn"], entry)
    clients = local_aws.clients
    people = users.ensure(clients, resources, local_aws.state.users)
    local_aws.edge.start(Origins(clients, resources))
    description = supervisor.description(
        local_aws.aws, local_aws.search, clients, resources, stack.outputs(), people
    )
    write_json(local_aws.state.stack, description)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *(f"tests/e2e/{name}" for name in E2E)],
        cwd=ROOT,
        env=os.environ | {"AI4H_STACK": str(local_aws.state.stack)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_keys_of_the_api_are_made_rotated_and_revoked_by_the_configuration(
    stack: Stack, local_aws: LocalAws
) -> None:
    """At each step, which of all values that ever were the gateway takes."""
    described = json.loads(local_aws.state.stack.read_text())
    caller = Client(described, sign_in(described, "practitioner"))
    secrets_manager = local_aws.clients.of("secretsmanager")
    values = {"portal.1": described["api_key"]}

    def apply(*holders: dict[str, Any]) -> None:
        """Deploys, and notes the value of each holder's newest key as its secret has it."""
        with stack.configured(apiKeys=list(holders)):
            stack.up()
        arns = stack.outputs()["api_key_secret_arns"]
        for holder in holders:
            name = f"{holder['name']}.{holder.get('generations', [1])[-1]}"
            secret = secrets_manager.get_secret_value(SecretId=arns[holder["name"]])
            assert values.setdefault(name, secret["SecretString"]) == secret["SecretString"]

    def taken() -> set[str]:
        """Whose values the gateway takes. An id that there isn't is 404, a key 403."""
        statuses = {}
        for name, value in values.items():
            caller.headers["x-api-key"] = value
            statuses[name] = caller.get("/Patient/none").status_code
        assert set(statuses.values()) <= {403, 404}, statuses
        return {name for name, status in statuses.items() if status == 404}

    assert taken() == {"portal.1"}
    apply({"name": "portal", "generations": [1, 2]}, {"name": "leaver"})
    assert taken() == {"portal.1", "portal.2", "leaver.1"}
    apply({"name": "portal", "generations": [2]})
    assert taken() == {"portal.2"}
    assert len(set(values.values())) == len(values)


def test_destroy_leaves_nothing(
    stack: Stack, local_aws: LocalAws, before: set[tuple[str, str]]
) -> None:
    assert len(everything(local_aws.clients) - before) > 40
    stack.destroy()
    assert stack.resources() == []
    assert everything(local_aws.clients) - before == set()
