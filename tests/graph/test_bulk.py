"""Bulk jobs: the state machines that run them, who may do what, and how long files are kept."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components import _bulk
from functions.bulk import jobs
from functions.shared import changes, grants
from tests.graph.stores import granted, minimal
from tests.graph.strict import Graph

MACHINE = "aws:sfn/stateMachine:StateMachine"
KINDS = ("export", "import")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return minimal()


def machine(graph: Graph, kind: str) -> dict[str, Any]:
    return json.loads(graph.one(MACHINE, f"data-{kind}").inputs["definition"])


def states_of(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All states, those inside of maps included; each leads to another one of its level."""
    states = definition["States"]
    assert definition["StartAt"] in states
    for name, state in states.items():
        choices = [*state.get("Choices", ()), *state.get("Catch", ())]
        following = [place["Next"] for place in (state, *choices) if "Next" in place]
        following += [state["Default"]] if "Default" in state else []
        assert set(following) <= set(states)
        assert following or state.get("End") or state["Type"] in ("Fail", "Succeed")
        yield name, state
        if "ItemProcessor" in state:
            yield from states_of(state["ItemProcessor"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_calls_its_worker_again_until_a_part_is_done(graph: Graph, kind: str) -> None:
    states = dict(states_of(machine(graph, kind)))
    parts = states["Parts"]["ItemProcessor"]
    assert parts["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert states["Parts"]["ItemSelector"] == {
        "job.$": "$.job",
        "number.$": "$$.Map.Item.Value",
    }
    assert states["Done?"]["Choices"][0]["Next"] == "Over"
    assert states["Done?"]["Default"] == "Work"
    steps = {s["Parameters"]["Payload"]["step"] for s in states.values() if s["Type"] == "Task"}
    assert steps == {"plan", "work", "finish", "abandon"}
    workers = {s["Parameters"]["FunctionName"] for s in states.values() if s["Type"] == "Task"}
    assert len(workers) == 1
    assert workers.pop().endswith(f":data-{kind}er/arn")


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_fails_is_repeated_and_then_the_job_has_failed(graph: Graph, kind: str) -> None:
    definition = machine(graph, kind)
    states = dict(states_of(definition))
    assert all(s["Retry"][0]["MaxAttempts"] > 3 for s in states.values() if s["Type"] == "Task")
    for name in ("Plan", "Parts", "Finish"):
        assert states[name]["Catch"][0] == {
            "ErrorEquals": ["States.ALL"],
            "ResultPath": None,
            "Next": "Abandon",
        }
    assert states["Abandon"]["Next"] == "Failed"
    assert definition["TimeoutSeconds"] == jobs.RUN_SECONDS


def test_an_export_reads_when_what_began_before_it_has_been_written(graph: Graph) -> None:
    definition = machine(graph, "export")
    settle = definition["States"][definition["StartAt"]]
    slowest = graph.one("aws:lambda/function:Function", "data-api").inputs["timeout"]
    assert settle == {"Type": "Wait", "Seconds": _bulk.SETTLE_SECONDS, "Next": "Plan"}
    assert settle["Seconds"] > slowest


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_may_run_its_worker_and_its_own_parts(graph: Graph, kind: str) -> None:
    assert granted(graph, f"data-{kind}-machine-policy", "lambda", "states", "s3") == {
        ("lambda:InvokeFunction", f"data-{kind}er/arn")
    }
    parts = granted(graph, f"data-{kind}-machine-parts", "lambda", "states", "s3")
    assert {action for action, _ in parts} == {
        f"states:{action}Execution" for action in ("Describe", "Start", "Stop")
    }
    assert {resource for _, resource in parts} == {f"data-{kind}/arn", f"data-{kind}/arn/*"}
    made = graph.one(MACHINE, f"data-{kind}")
    assert made.inputs["loggingConfiguration"]["includeExecutionData"] is False
    assert graph.waits_for(
        made, graph.one("aws:iam/rolePolicy:RolePolicy", f"{made.name}er-policy")
    )


def test_workers_are_told_what_they_ask_for(graph: Graph) -> None:
    exporter, importer = (
        graph.one("aws:lambda/function:Function", f"data-{kind}er").inputs["environment"]
        for kind in KINDS
    )
    both = {"TABLE_NAME", "CONTROL_TABLE_NAME", "OVERFLOW_BUCKET", "JOBS_BUCKET"}
    assert set(exporter["variables"]) == both | {"EVIDENCE_QUEUE_URL", "SEARCH_ENDPOINT"}
    assert set(importer["variables"]) == both


def test_the_exporter_reads_the_log_and_writes_files(graph: Graph) -> None:
    assert ("sqs:SendMessage", "data-evidence-reads/arn") in granted(
        graph, "data-exporter-policy", "sqs"
    )
    assert granted(graph, "data-exporter-policy", "dynamodb", "s3", "es") == {
        *((f"dynamodb:{action}", "data-versions/arn") for action in ("BatchGetItem", "GetItem")),
        ("dynamodb:Query", f"data-versions/arn/index/{changes.INDEX}"),
        *((f"dynamodb:{act}Item", "data-control/arn") for act in ("Get", "Put", "Update")),
        *((f"dynamodb:{act}", "data-control/arn") for act in ("BatchGetItem", "Query")),
        ("s3:GetObject", "data-overflow/arn/*"),
        *(("s3:ListBucket", f"data-{bucket}/arn") for bucket in ("jobs", "overflow")),
        *((f"s3:{action}Object", "data-jobs/arn/*") for action in ("Delete", "Put")),
        ("es:ESHttpPost", "data-search/arn/*/_search"),
    }
    policy = json.loads(
        graph.one("aws:iam/rolePolicy:RolePolicy", "data-exporter-policy").inputs["policy"]
    )
    (limited,) = [s for s in policy["Statement"] if str(s["Resource"]).endswith("data-control/arn")]
    assert limited["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] == [
        f"{jobs.PREFIX}*",
        changes.REGISTER,
        f"{grants.STATES}*",
        f"{grants.PREFIX}*",
    ]


def test_the_importer_appends_versions_and_writes_files(graph: Graph) -> None:
    versions = ("ConditionCheckItem", "GetItem", "PutItem", "Query")
    control = ("GetItem", "PutItem", "Query", "UpdateItem")
    assert granted(graph, "data-importer-policy", "dynamodb", "s3", "es") == {
        *((f"dynamodb:{action}", "data-versions/arn") for action in versions),
        *((f"dynamodb:{action}", "data-control/arn") for action in control),
        *((f"s3:{action}Object", "data-overflow/arn/*") for action in ("Delete", "Get", "Put")),
        *(("s3:ListBucket", f"data-{bucket}/arn") for bucket in ("jobs", "overflow")),
        *((f"s3:{action}Object", "data-jobs/arn/*") for action in ("Delete", "Put")),
    }


def test_files_go_with_their_job(graph: Graph) -> None:
    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    rules = graph.one(token, "data-jobs").inputs["rules"]
    (days,) = [rule["expiration"]["days"] for rule in rules if "expiration" in rule]
    assert days * 24 * 3600 == jobs.KEPT_SECONDS
