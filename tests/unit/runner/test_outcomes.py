"""How a step ended, from what Kubernetes says of its Job and pods."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from runner.jobs import Step
from runner.outcomes import NO_OUTPUT_CODE, OPEN_NETWORK_CODE, Ending, Limits, judge, succeeded

BEGAN = datetime.fromisoformat("2026-11-29T10:00:00Z")
LIMITS = Limits(start_seconds=900, run_seconds=3600, memory="8Gi", disk="20Gi")
State = dict[str, Any]


def at(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def job(condition: str = "", reason: str = "") -> State:
    conditions = [{"type": condition, "status": "True", "reason": reason}] if condition else []
    return {"metadata": {"creationTimestamp": at(0)}, "status": {"conditions": conditions}}


def pod(
    containers: dict[str, State] | None = None,
    *,
    scheduled: bool = True,
    conditions: tuple[str, ...] = (),
    init: dict[str, State] | None = None,
    **status: str,
) -> State:
    place = {"type": "PodScheduled", "status": str(scheduled), "lastTransitionTime": at(10)}
    return {
        "metadata": {"creationTimestamp": at(1)},
        "status": {
            "conditions": [place, *({"type": kind, "status": "True"} for kind in conditions)],
            "containerStatuses": statuses(containers),
            "initContainerStatuses": statuses(init),
            **status,
        },
    }


def statuses(containers: dict[str, State] | None) -> list[State]:
    return [{"name": name, "state": state} for name, state in (containers or {}).items()]


def ended(code: int, reason: str = "Error", message: str = "") -> State:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str) -> State:
    return {"waiting": {"reason": reason}}


RUNNING = {"running": {"startedAt": at(60)}}
FAILED = job("Failed", "PodFailurePolicy")
GOING = job()
TAKEN = ("DisruptionTarget",)


@pytest.mark.parametrize(
    ("step", "of_job", "pods", "seconds", "ending"),
    [
        (Step.MODEL, FAILED, [pod({"model": ended(137, "OOMKilled")})], 70, Ending.MEMORY),
        (Step.MODEL, FAILED, [pod({"model": ended(2)})], 70, Ending.EXIT),
        (Step.MODEL, FAILED, [pod({"model": ended(128, "StartError")})], 70, Ending.START),
        (Step.MODEL, FAILED, [pod(message="exceeds its ephemeral limit")], 70, Ending.DISK),
        (Step.MODEL, FAILED, [pod(init={"isolated": ended(OPEN_NETWORK_CODE)})], 200,
         Ending.NETWORK),
        (Step.MODEL, job("Failed", "DeadlineExceeded"), [], 9000, Ending.DEADLINE),
        (Step.MODEL, GOING, [pod({"model": RUNNING})], 60 + 3601, Ending.DEADLINE),
        (Step.MODEL, job("Failed", "BackoffLimitExceeded"),
         [pod({"model": ended(143)}, conditions=TAKEN)], 300, Ending.TAKEN),
        # The machine has gone, and its pods with it.
        (Step.MODEL, job("Failed", "BackoffLimitExceeded"), [], 300, Ending.TAKEN),
        (Step.MODEL, GOING, [pod({"model": waiting("InvalidImageName")})], 20, Ending.IMAGE),
        (Step.MODEL, GOING, [pod({"model": waiting("ImagePullBackOff")})], 911, Ending.IMAGE),
        (Step.MODEL, GOING, [pod({"model": waiting("ContainerCreating")})], 911, Ending.IMAGE),
        (Step.MODEL, GOING, [pod({"model": waiting("PodInitializing")},
                                 init={"isolated": ended(0)})], 911, Ending.IMAGE),
        (Step.MODEL, GOING, [pod({"model": waiting("CreateContainerError")})], 20, Ending.START),
        (Step.MODEL, GOING, [pod(scheduled=False)], 902, Ending.NO_MACHINE),
        (Step.MODEL, GOING, [], 901, Ending.NO_MACHINE),
        (Step.FETCH, FAILED, [pod({"fetch": ended(1)})], 70, Ending.DATASET),
        (Step.FETCH, GOING, [pod({"fetch": RUNNING})], 60 + 3601, Ending.DATASET),
        (Step.FETCH, GOING, [pod({"fetch": waiting("ContainerCreating")})], 911,
         Ending.NO_MACHINE),
        (Step.COLLECT, FAILED, [pod({"collect": ended(NO_OUTPUT_CODE)})], 70, Ending.OUTPUT),
        (Step.COLLECT, FAILED, [pod({"collect": ended(1)})], 70, Ending.COLLECT),
    ],
)  # fmt: skip
def test_each_failure_has_its_class(
    step: Step, of_job: State, pods: list[State], seconds: float, ending: Ending
) -> None:
    failure = judge(step, of_job, pods, LIMITS, BEGAN + timedelta(seconds=seconds))
    assert failure is not None
    assert failure.ending is ending
    assert failure.text


@pytest.mark.parametrize(
    ("pods", "seconds"),
    [
        ([], 899),
        ([pod(scheduled=False)], 899),
        ([pod({"model": RUNNING})], 60 + 3600),
        ([pod({"model": waiting("ImagePullBackOff")})], 900),
        # Failed, and Kubernetes hasn't counted it yet; or taken, and about to be tried again.
        ([pod({"model": ended(1)})], 100),
        ([pod({"model": ended(143)}, conditions=TAKEN)], 100),
        # The second try begins when the first has gone.
        ([pod({"model": ended(143)}, conditions=TAKEN),
          {**pod({"model": RUNNING}), "metadata": {"creationTimestamp": at(50)}}], 400),
    ],
)  # fmt: skip
def test_what_may_still_succeed_goes_on(pods: list[State], seconds: float) -> None:
    assert judge(Step.MODEL, GOING, pods, LIMITS, BEGAN + timedelta(seconds=seconds)) is None


def test_the_programs_own_words_reach_the_participant() -> None:
    words = "submission.json is no plain file."
    pods = [pod({"collect": ended(NO_OUTPUT_CODE, message=words)})]
    failure = judge(Step.COLLECT, FAILED, pods, LIMITS, BEGAN)
    assert failure is not None
    assert failure.text == words


def test_a_condition_that_does_not_hold_means_nothing() -> None:
    not_yet = job("Complete")
    assert succeeded(not_yet)
    not_yet["status"]["conditions"][0]["status"] = "False"
    assert not succeeded(not_yet)
