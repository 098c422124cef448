"""The stacks that need an AWS account, taken through their life with everything recorded."""

import pytest
from pulumi.automation import CommandError

from tests.engine.workspace import PROVIDERS, Stack, Workspace

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


@pytest.fixture(scope="module", params=["dev", "prod"])
def stack(request: pytest.FixtureRequest, recording: Workspace) -> Stack:
    return recording.project(request.param)


def test_what_the_preview_shows_is_what_up_does(stack: Stack) -> None:
    previewed, made = stack.preview(), stack.up()
    assert previewed.operations == made.operations == {"create"}
    assert sorted(previewed.of("create")) == sorted(made.of("create"))
    assert any("resources are only recorded" in text for text in made.messages)
    assert all(value not in (None, "") for value in stack.outputs().values()), stack.outputs()


def test_a_second_preview_has_no_changes(stack: Stack) -> None:
    again = stack.preview(expect_no_changes=True)
    assert again.steps == []
    resources = [item for item in stack.resources() if PROVIDERS not in item["urn"]]
    assert again.unchanged == len(resources)


def test_an_input_changes_what_it_concerns(stack: Stack) -> None:
    """Log retention is a property of log groups and lifecycle rules, changed in place."""
    with stack.configured(logRetentionDays=731):
        course = stack.preview()
    assert course.operations == {"update"}
    groups = [urn for urn in course.of("update") if LOG_GROUP in urn]
    assert len(groups) > 5
    assert {frozenset(course.diffs[urn]) for urn in groups} == {frozenset({"retentionInDays"})}
    others = {urn.split("::")[2].split("$")[-1] for urn in course.of("update")}
    assert others <= {
        LOG_GROUP,
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    }


def test_no_secret_is_written_in_clear(stack: Stack) -> None:
    values = [
        resource["outputs"]["result"]
        for resource in stack.resources()
        if resource["type"] == "random:index/randomPassword:RandomPassword"
    ]
    assert values
    written = stack.written()
    for value in values:
        assert value["plaintext"].strip('"').encode() not in written


def test_protected_resources_stand_in_the_way(stack: Stack) -> None:
    without_cluster = stack.configured(evaluationCluster=False)
    with without_cluster, pytest.raises(CommandError, match="protected"):
        stack.preview()
    protected = {resource["urn"] for resource in stack.resources() if resource.get("protect")}
    assert any("aws:dynamodb/table:Table" in urn for urn in protected)
    with pytest.raises(CommandError, match="protected"):
        stack.destroy()
    assert protected <= {resource["urn"] for resource in stack.resources()}
    stack.unprotect()
    stack.destroy()
    assert stack.resources() == []
