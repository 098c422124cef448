"""How a step of a submission ended, or whether it ever will: judged by its Job and pods alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from .jobs import MODEL, Step

Object = Mapping[str, Any]
# Waiting for these doesn't help; the others may be a registry that is slow to answer.
HOPELESS_IMAGE = frozenset({"InvalidImageName", "ErrImageNeverPull"})
IMAGE_TROUBLE = frozenset(
    {"ErrImagePull", "ImageInspectError", "RegistryUnavailable", "ImagePullBackOff"}
)
CONTAINER_TROUBLE = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
OPEN_NETWORK_CODE = 3
"""Exit code of the probe before a model."""
NO_OUTPUT_CODE = 4
"""Exit code of `collect` when there is nothing to hand in that EvalAI would take."""


class Ending(StrEnum):
    """Classes of failure. All but those of `OURS` are the participant's to mend."""

    IMAGE = "image-pull"
    START = "cannot-start"
    MEMORY = "out-of-memory"
    DISK = "out-of-disk"
    DEADLINE = "deadline"
    EXIT = "exit-code"
    OUTPUT = "no-output"
    REFUSED = "refused-image"
    TAKEN = "machine-taken"
    NO_MACHINE = "unschedulable"
    DATASET = "dataset-unavailable"
    NETWORK = "network-not-closed"
    COLLECT = "not-handed-in"


OURS = frozenset({Ending.TAKEN, Ending.NO_MACHINE, Ending.DATASET, Ending.NETWORK, Ending.COLLECT})


@dataclass(frozen=True)
class Failure:
    """Why a submission has ended."""

    ending: Ending
    text: str
    """For the participant; names nothing of the inside."""


@dataclass(frozen=True)
class Limits:
    """What a step may use, as participants are told."""

    start_seconds: int
    run_seconds: int
    memory: str
    disk: str


def succeeded(job: Object) -> bool:
    return _condition(job, "Complete") is not None


def judge(
    step: Step, job: Object, pods: Sequence[Object], limits: Limits, now: datetime
) -> Failure | None:
    """The failure of a step; None while it may still succeed."""
    newest = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
    failed = _condition(job, "Failed") or _condition(job, "FailureTarget")
    if failed is not None:
        for pod in reversed(newest):
            if failure := _ended(step, pod, limits):
                return failure
        if failed.get("reason") == "DeadlineExceeded":
            return _deadline(step, limits)
        return _taken()
    if not newest:
        began = _time(job["metadata"]["creationTimestamp"])
        return _no_machine(limits) if _passed(began, now) > limits.start_seconds else None
    return _stuck(step, newest[-1], limits, now)


def _ended(step: Step, pod: Object, limits: Limits) -> Failure | None:
    """What a pod that has failed failed from."""
    status = pod.get("status", {})
    if "ephemeral" in status.get("message", ""):
        return Failure(Ending.DISK, f"The model wrote more than {limits.disk} outside its output.")
    for container in _containers(pod):
        terminated = container.get("state", {}).get("terminated")
        if not terminated or terminated.get("exitCode", 0) == 0:
            continue
        if _is_disrupted(pod):
            return _taken()
        if container["name"] != MODEL:
            return _helper_failed(step, terminated)
        if terminated.get("reason") == "OOMKilled":
            return Failure(Ending.MEMORY, f"The model needed more memory than {limits.memory}.")
        if terminated.get("reason") in ("StartError", "ContainerCannotRun"):
            return _cannot_start()
        code = terminated["exitCode"]
        return Failure(Ending.EXIT, f"The model ended with exit code {code}.")
    if status.get("reason") == "DeadlineExceeded":
        return _deadline(step, limits)
    return _taken() if _is_disrupted(pod) else None


def _helper_failed(step: Step, terminated: Object) -> Failure:
    code = terminated["exitCode"]
    if step is Step.COLLECT and code == NO_OUTPUT_CODE:
        # Written by our own program, for the participant.
        return Failure(Ending.OUTPUT, terminated.get("message", "").strip() or "No output.")
    if step is Step.MODEL:
        return Failure(Ending.NETWORK, "The model wasn't started: its network wasn't closed.")
    if step is Step.FETCH:
        return Failure(
            Ending.DATASET, "The datasets couldn't be read, or weren't as they should be."
        )
    return Failure(Ending.COLLECT, "The output couldn't be handed in.")


def _stuck(step: Step, pod: Object, limits: Limits, now: datetime) -> Failure | None:
    """Whether a pod that hasn't ended has been at it for too long."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is None:
        waited = _passed(_time(pod["metadata"]["creationTimestamp"]), now)
        return _no_machine(limits) if waited > limits.start_seconds else None
    for container in _containers(pod):
        if failure := _not_starting(step, container, scheduled, limits, now):
            return failure
        running = container.get("state", {}).get("running")
        if running and _passed(_time(running["startedAt"]), now) > limits.run_seconds:
            return _deadline(step, limits)
    main = pod.get("status", {}).get("containerStatuses", ())
    started = any(
        container.get("state", {}).keys() & {"running", "terminated"} for container in main
    )
    waited = _passed(_time(scheduled["lastTransitionTime"]), now)
    if started or waited <= limits.start_seconds:
        return None
    return (
        _no_machine(limits)
        if step is not Step.MODEL
        else Failure(
            Ending.IMAGE,
            f"The container wasn't running after {limits.start_seconds} seconds: its image may be "
            "too large to be pulled in that time.",
        )
    )


def _not_starting(
    step: Step, container: Object, scheduled: Object, limits: Limits, now: datetime
) -> Failure | None:
    waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
    late = _passed(_time(scheduled["lastTransitionTime"]), now) > limits.start_seconds
    if container["name"] == MODEL and (
        waiting in HOPELESS_IMAGE or (waiting in IMAGE_TROUBLE and late)
    ):
        return Failure(
            Ending.IMAGE,
            "The image couldn't be pulled: look whether it is there under this digest, for "
            "linux/amd64, and whether this platform may read it.",
        )
    if waiting in CONTAINER_TROUBLE and (container["name"] == MODEL or late):
        return _cannot_start() if container["name"] == MODEL else _no_machine(limits)
    return None


def _cannot_start() -> Failure:
    return Failure(
        Ending.START,
        "The container couldn't be started: look at its entry point, and whether it runs as user "
        "10001 with a read-only root.",
    )


def _deadline(step: Step, limits: Limits) -> Failure:
    if step is Step.MODEL:
        return Failure(Ending.DEADLINE, f"The model ran longer than {limits.run_seconds} seconds.")
    return _helper_failed(step, {"exitCode": 1})


def _no_machine(limits: Limits) -> Failure:
    return Failure(
        Ending.NO_MACHINE,
        f"There was no machine for it in {limits.start_seconds} seconds. Submit it again later.",
    )


def _taken() -> Failure:
    return Failure(
        Ending.TAKEN, "Its machine was taken away twice. Submit it again; this wasn't its fault."
    )


def _is_disrupted(pod: Object) -> bool:
    return _condition(pod, "DisruptionTarget") is not None


def _containers(pod: Object) -> Iterable[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _condition(resource: Object, kind: str) -> Object | None:
    """The condition, if it holds."""
    found = resource.get("status", {}).get("conditions") or ()
    return next((c for c in found if c["type"] == kind and c["status"] == "True"), None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _passed(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds()
