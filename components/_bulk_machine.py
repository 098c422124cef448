"""The state machine of a bulk job, in the Amazon States Language.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

from collections.abc import Mapping
from typing import Any

import pulumi

JOB_SECONDS = 24 * 3600
"""After which a job is given up; functions/bulk/jobs.py has it, too."""
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
RETRY = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 5,
    "BackoffRate": 2,
    "MaxDelaySeconds": 300,
    "MaxAttempts": 8,
    "JitterStrategy": "FULL",
}


def definition(
    worker_arn: pulumi.Input[str], *, parallel: int, settle_seconds: int = 0
) -> dict[str, Any]:
    """The machine of a job: plan, work on the parts, finish; whatever fails, abandon.

    `parallel`: parts at the same time. `settle_seconds`: how long to wait before the plan.

    What a part is, and how far it is, is in the control table: the map has numbers only. A worker
    whose time is up is called again until its part is done.
    """
    caught = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Abandon"}]
    wait = {"Settle": {"Type": "Wait", "Seconds": settle_seconds, "Next": "Plan"}}
    return {
        "StartAt": "Settle" if settle_seconds else "Plan",
        "TimeoutSeconds": JOB_SECONDS,
        "States": {
            **(wait if settle_seconds else {}),
            "Plan": {
                **_call(worker_arn, "plan"),
                "ResultSelector": {"parts.$": "$.Payload.parts"},
                "ResultPath": "$.plan",
                "Catch": caught,
                "Next": "Parts",
            },
            "Parts": {
                "Type": "Map",
                "ItemsPath": "$.plan.parts",
                "ItemSelector": {"job.$": "$.job", "number.$": "$$.Map.Item.Value"},
                "MaxConcurrency": parallel,
                "ItemProcessor": _part(worker_arn),
                "ResultPath": None,
                "Catch": caught,
                "Next": "Finish",
            },
            "Finish": {
                **_call(worker_arn, "finish"),
                "ResultPath": None,
                "Catch": caught,
                "End": True,
            },
            "Abandon": {**_call(worker_arn, "abandon"), "ResultPath": None, "Next": "Failed"},
            "Failed": {"Type": "Fail", "Error": "JobFailed"},
        },
    }


def _part(worker_arn: pulumi.Input[str]) -> dict[str, Any]:
    work = _call(worker_arn, "work", {"number.$": "$.number"})
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Work",
        "States": {
            "Work": {
                **work,
                "ResultSelector": {"done.$": "$.Payload.done"},
                "ResultPath": "$.result",
                "Next": "Done?",
            },
            "Done?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.result.done", "BooleanEquals": True, "Next": "Over"}],
                "Default": "Work",
            },
            "Over": {"Type": "Pass", "Result": {}, "End": True},
        },
    }


def _call(
    worker_arn: pulumi.Input[str], step: str, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": worker_arn,
            "Payload": {"step": step, "job.$": "$.job", **(more or {})},
        },
        "Retry": [RETRY],
    }
