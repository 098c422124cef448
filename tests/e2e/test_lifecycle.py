"""The local platform's own life: one at a time, stopped whole, data kept, a kill survived."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import ROOT, Client, sign_in
from tests.e2e.fhir import found


class Local:
    """`python -m local` with a state directory of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local", *arguments, "--state", str(self.state)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    def up(self) -> dict[str, Any]:
        started = self.run("up", "--detach")
        assert started.returncode == 0, started.stdout + started.stderr
        return json.loads((self.state / "stack.json").read_text())

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json").stdout)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    local = Local(tmp_path_factory.mktemp("lifecycle"))
    yield local
    local.run("down")


def api(stack: dict[str, Any], group: str = "practitioner") -> Client:
    return Client(stack, sign_in(stack, group))


def is_running(pid: int) -> bool:
    """A process that has ended may stay listed until its parent asks: containers often don't."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def store(stack: dict[str, Any], family: str) -> str:
    body = {"resourceType": "Patient", "name": [{"family": family}]}
    answer = api(stack).post("/Patient", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_a_platform_from_start_to_stop_to_start(
    local: Local, eventually: Callable[..., None]
) -> None:
    stack = local.up()

    assert (local.state / "stack.json").stat().st_mode & 0o777 == 0o600
    status = local.status()
    assert status["state"] == "running"
    assert status["memory_mb"] < 1500
    assert status["resources"]["created"] > 100
    assert not any(action in status["resources"] for action in ("replaced", "deleted"))

    second = local.run("up")
    assert second.returncode == 1
    assert f"process {status['pid']}" in second.stdout
    assert "python -m local down" in second.stdout

    kept = store(stack, "Kept")
    assert local.run("down").returncode == 0
    assert not [pid for pid in stack["pids"].values() if is_running(pid)]
    assert local.run("status", "--json").returncode == 3
    assert local.status()["state"] == "stopped"
    assert not (local.state / "stack.json").exists()

    again = local.up()
    assert again["outputs"] == stack["outputs"]
    assert again["users"] == stack["users"]
    assert set(local.status()["resources"]) <= {"reused", "recorded"}
    assert api(again).get(f"/Patient/{kept}").json()["name"][0]["family"] == "Kept"
    later = store(again, "Kept")
    eventually(lambda: sorted(found(api(again), "/Patient?family=Kept")) == sorted([kept, later]))


def test_servers_of_a_killed_platform_are_ended_and_their_data_kept(
    local: Local, eventually: Callable[..., None]
) -> None:
    stack = local.up() if local.status()["state"] == "stopped" else stack_of(local)
    survivor = store(stack, "Survivor")
    os.kill(stack["pids"]["platform"], signal.SIGKILL)
    eventually(lambda: local.status()["state"] == "stopped")
    assert is_running(stack["pids"]["aws"])

    started = local.run("up", "--detach")

    assert started.returncode == 0, started.stdout
    assert "The last run was killed" in started.stdout
    assert not is_running(stack["pids"]["search"])
    again = stack_of(local)
    assert api(again).get(f"/Patient/{survivor}").status_code == 200
    eventually(lambda: found(api(again), "/Patient?family=Survivor") == [survivor])


def test_down_after_a_kill_stops_everything(local: Local, eventually: Callable[..., None]) -> None:
    stack = stack_of(local)
    os.kill(stack["pids"]["platform"], signal.SIGKILL)
    eventually(lambda: not is_running(stack["pids"]["platform"]))

    assert local.run("down").returncode == 0

    assert not [pid for pid in stack["pids"].values() if is_running(pid)]
    assert "Nothing is running" in local.run("down").stdout


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children can be interrupted, though a shell that runs this in the background says no."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_it_starts_leaves_nothing_behind(local: Local) -> None:
    command = [sys.executable, "-m", "local", "up", "--state", str(local.state)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    seen = ""
    while "start the local AWS" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    run = json.loads((local.state / "run.json").read_text())
    pids = [server["pid"] for server in run["processes"].values()]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert len(pids) == 2
    assert not [pid for pid in pids if is_running(pid)]
    assert local.status()["state"] == "stopped"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "a file"
    place.write_text("")

    refused = Local(place).run("up")

    assert refused.returncode == 1
    assert str(place) in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr


def stack_of(local: Local) -> dict[str, Any]:
    return json.loads((local.state / "stack.json").read_text())
