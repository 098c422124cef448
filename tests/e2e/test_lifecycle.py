"""The local platform's own life: one at a time, stopped whole, data kept, a kill survived."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

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


def store(user: Client, family: str) -> str:
    body = {"resourceType": "Patient", "name": [{"family": family}]}
    answer = user.post("/Patient", json=body)
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

    kept = store(api(stack), "Kept")
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
    later = store(api(again), "Kept")
    eventually(lambda: sorted(found(api(again), "/Patient?family=Kept")) == sorted([kept, later]))


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's files: Linux only")
def test_what_a_full_disk_keeps_from_being_saved_is_told_and_older_data_stay(local: Local) -> None:
    stack = local.up() if local.status()["state"] == "stopped" else stack_of(local)
    doctor, save = api(stack), f"{stack['aws_endpoint_url']}/_local/save"
    kept = store(doctor, "Older")
    assert requests.post(save, timeout=60).status_code == 204
    # No file of the local AWS may grow any more, as on a full disk.
    resource.prlimit(stack["pids"]["aws"], resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    lost = store(doctor, "Newer")
    refused = requests.post(save, timeout=60)
    assert refused.status_code == 507
    assert "dynamodb" in refused.text

    stopped = local.run("down")

    assert stopped.returncode == 1
    assert "may be lost: not all data could be saved" in " ".join(stopped.stdout.split())
    started = local.run("up", "--detach")
    assert started.returncode == 0, started.stdout
    assert "couldn't save its data" in started.stdout
    doctor = api(stack_of(local))
    assert doctor.get(f"/Patient/{kept}").status_code == 200
    assert doctor.get(f"/Patient/{lost}").status_code == 404


def test_servers_of_a_killed_platform_are_ended_and_their_data_kept(
    local: Local, eventually: Callable[..., None]
) -> None:
    stack = local.up() if local.status()["state"] == "stopped" else stack_of(local)
    survivor = store(api(stack), "Survivor")
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
