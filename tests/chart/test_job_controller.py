"""Submissions under Kubernetes' own Job controller: it makes the pods, and says how a Job ended.

What kubelets would say of the pods, the tests say.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.processes import Process, free_port, wait_until
from runner.jobs import Step
from tests.chart.api_server import ApiServer
from tests.chart.rendering import Resource
from tests.chart.test_submissions import (
    CORE,
    IDS,
    Rig,
    api,
    container_is,
    ended,
    rig,
    scheduled,
    settings,
)
from tools.go_programs import program

__all__ = ["api", "rig", "settings"]  # fixtures
SECONDS = 60
TAKEN = {"conditions": scheduled("True", "DisruptionTarget")}


@pytest.fixture(scope="module", autouse=True)
def job_controller(
    server: ApiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder: Path = tmp_path_factory.mktemp("job-controller")
    command = [
        str(program("kube-controller-manager")),
        f"--kubeconfig={server.kubeconfig(folder / 'admin.kubeconfig')}",
        "--controllers=job-controller",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={folder}",
    ]
    process = Process.start("job-controller", command, folder / "log", {}, folder)
    yield process
    process.stop(10)


def pods(rig: Rig, identity: int, step: Step) -> list[str]:
    """Names of the pods that the controller has made for a step, the newest last."""
    selector = f"evalai/submission={identity},evalai/step={step}"
    answer = rig.server.call("GET", f"{CORE}/pods", params={"labelSelector": selector})
    found: list[Resource] = answer.json()["items"]
    found.sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
    return [pod["metadata"]["name"] for pod in found]


def await_pods(rig: Rig, identity: int, step: Step, count: int = 1) -> str:
    """The newest, once there are so many; the submissions are looked after meanwhile."""
    assert advancing(rig, lambda: len(pods(rig, identity, step)) == count), step
    return pods(rig, identity, step)[-1]


def advancing(rig: Rig, done: Callable[[], bool]) -> bool:
    def look() -> bool:
        rig.advance()
        return done()

    return wait_until(look, SECONDS, every=0.3)


def done(container: str) -> Resource:
    terminated = {"exitCode": 0, "reason": "Completed"}
    return container_is(container, {"terminated": terminated}) | {"phase": "Succeeded"}


def run(rig: Rig) -> tuple[int, str]:
    """A submission whose model has a pod, and that pod."""
    identity = next(IDS)
    rig.submit(identity)
    rig.pod_is(await_pods(rig, identity, Step.FETCH), done("fetch"))
    return identity, await_pods(rig, identity, Step.MODEL)


def test_steps_follow_each_other_to_the_end(rig: Rig) -> None:
    identity, model = run(rig)
    rig.pod_is(model, container_is("model", {"running": {"startedAt": "2100-01-01T00:00:00Z"}}))
    rig.pod_is(model, done("model"))
    rig.pod_is(await_pods(rig, identity, Step.COLLECT), done("collect"))
    assert advancing(rig, lambda: identity not in rig.submissions.held)
    assert rig.messages() == 0
    assert [call["submission_status"] for call in rig.evalai.told(identity)] == ["running"]


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (ended("model", 3), "exit-code"),
        (ended("model", 137, "OOMKilled"), "out-of-memory"),
    ],
)
def test_what_the_model_did_is_not_tried_again(rig: Rig, status: Resource, ending: str) -> None:
    identity, model = run(rig)
    rig.pod_is(model, status)
    assert advancing(rig, lambda: identity not in rig.submissions.held)
    assert rig.reported(identity)["stderr"].startswith(f"{ending}: ")
    assert pods(rig, identity, Step.MODEL) == [model]


def test_a_machine_that_is_taken_is_replaced_once(rig: Rig) -> None:
    identity, model = run(rig)
    rig.pod_is(model, ended("model", 143) | TAKEN)
    second = await_pods(rig, identity, Step.MODEL, 2)
    assert identity in rig.submissions.held
    rig.pod_is(second, ended("model", 143) | TAKEN)
    assert advancing(rig, lambda: identity not in rig.submissions.held)
    assert rig.reported(identity)["stderr"].startswith("machine-taken: ")
    assert len(pods(rig, identity, Step.MODEL)) == 2
