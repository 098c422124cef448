"""`ai4h` as a user runs it: a folder sent, killed in the middle, resumed, fetched, verified."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from tests.e2e.conftest import ROOT
from tests.e2e.counting_proxy import CountingProxy

SCANS = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "JPEG2000.dcm")
LARGE_BYTES = 72 * 1024**2  # in parts: the server wants these above 64 MiB
CHANCE = random.Random()  # noqa: S311


class Command:
    """The command in a home of its own, behind the proxy."""

    def __init__(self, home: Path, stack: Path, proxy: CountingProxy) -> None:
        kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
        self.environment = kept | {
            "AI4H_HOME": str(home),
            "AI4H_STACK": str(stack),
            "HTTP_PROXY": proxy.url,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def beside(self, home: Path) -> Command:
        """The same, signed in as nobody yet."""
        other = copy(self)
        other.environment = self.environment | {"AI4H_HOME": str(home)}
        return other

    def start(self, *words: object, text: str | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", *map(str, words)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(text or "")
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, *words: object, text: str | None = None, code: int = 0) -> Any:
        """The JSON of a command that ends with this exit code; its messages if it has none."""
        process = self.start(*words, text=text)
        output, messages = process.communicate(timeout=180)
        assert process.returncode == code, output + messages
        return json.loads(output) if "--json" in words and output else messages


@pytest.fixture
def proxy() -> Iterator[CountingProxy]:
    proxy = CountingProxy()
    yield proxy
    proxy.close()


@pytest.fixture
def command(stack: dict[str, Any], proxy: CountingProxy, tmp_path: Path) -> Command:
    """Signed in as the demo user of the group data-owner."""
    file = tmp_path / "stack.json"
    file.write_text(json.dumps({name: stack[name] for name in stack if name != "users"}))
    command = Command(tmp_path / "home", file, proxy)
    user = stack["users"]["data-owner"]
    sign_in = ("login", "--username", user["username"], "--password-stdin")
    command.run("datasets", code=3)
    assert "Incorrect username or password" in command.run(*sign_in, text="wrong", code=3)
    command.run(*sign_in, text=f"{user['password']}\n")
    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "series 1").mkdir(parents=True)
    for name in SCANS:
        path = get_testdata_file(name, download=False)
        assert path is not None
        shutil.copy(str(path), folder / "series 1" / name)
    (folder / "slides.bin").write_bytes(os.urandom(LARGE_BYTES))
    (folder / "notes.txt").touch()
    return folder


def same(one: Path, other: Path) -> bool:
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    return len(files) == len(SCANS) + 2 and all(
        (one / file).read_bytes() == (other / file).read_bytes() for file in files
    )


def sent_in_spite_of_kills(
    command: Command, proxy: CountingProxy, folder: Path, dataset: str, *, requests: int
) -> int:
    """How often the command was killed, within so many requests each time, until it was done."""
    kills = 0
    while True:
        process = command.start("upload", folder, "--dataset", dataset, "--json")
        strike = CHANCE.choice((signal.SIGKILL, signal.SIGINT))
        proxy.strike_after(CHANCE.randint(1, requests), partial(process.send_signal, strike))
        output, messages = process.communicate(timeout=180)
        if process.returncode not in (-signal.SIGKILL, 130):
            break
        kills += 1
    proxy.strike_after(0, lambda: None)
    assert process.returncode == 0, messages
    assert json.loads(output)["failed"] == {}
    return kills


def test_killed_at_random_points_everything_arrives_once(
    command: Command, proxy: CountingProxy, folder: Path, tmp_path: Path
) -> None:
    name = f"Study {uuid.uuid4().hex[:8]}"

    assert sent_in_spite_of_kills(command, proxy, folder, name, requests=22) > 0

    assert max(proxy.acknowledged.values()) == 1, "nothing acknowledged was sent again"
    again = command.run("upload", folder, "--dataset", name, "--json")
    assert (again["sent"], len(again["unchanged"])) == ([], len(SCANS) + 2)
    assert [found["name"] for found in command.run("datasets", "--json")].count(name) == 1

    back = tmp_path / "back"
    fetched = command.run("download", name, back, "--json")
    assert (len(fetched["fetched"]), fetched["failed"]) == (len(SCANS) + 2, {})
    assert same(folder, back)
    assert len(command.run("verify", name, back, "--json")["verified"]) == len(SCANS) + 2
    (back / "slides.bin").write_bytes(os.urandom(LARGE_BYTES))
    differing = command.run("verify", name, back, "--json", code=1)
    assert differing["failed"] == {"slides.bin": "has other bytes here"}
    command.run("download", name, back, "--json")
    assert same(folder, back)


@pytest.mark.slow
def test_killed_at_50_points_200_MB_arrive_once(
    command: Command, proxy: CountingProxy, tmp_path: Path
) -> None:
    """As many uploads, each killed until it is through, as have 50 kills in all."""
    kills, number = 0, 0
    while kills < 50:
        number += 1
        folder, back, name = tmp_path / f"{number}", tmp_path / "back", f"Killed {uuid.uuid4()}"
        folder.mkdir()
        (folder / "volume.bin").write_bytes(CHANCE.randbytes(200_000_000))
        kills += sent_in_spite_of_kills(command, proxy, folder, name, requests=9)
        assert max(proxy.acknowledged.values()) == 1, "nothing acknowledged was sent again"
        command.run("download", name, back, "--json")
        assert filecmp.cmp(folder / "volume.bin", back / "volume.bin", shallow=False)
        shutil.rmtree(folder)
        shutil.rmtree(back)


def test_small_files_take_three_requests_each(
    command: Command, proxy: CountingProxy, tmp_path: Path
) -> None:
    folder, count = tmp_path / "many", 60
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.csv").write_text(f"{number},{uuid.uuid4()}\n")
    before = proxy.requests

    report = command.run("upload", folder, "--dataset", f"Many {uuid.uuid4()}", "--json")

    assert len(report["sent"]) == count
    around = 20  # the dataset, its manifest, and the last files, which are asked after twice
    assert proxy.requests - before <= 3 * count + around


def test_what_cannot_be_done_is_said(
    command: Command, stack: dict[str, Any], client: Callable[[str], Any], tmp_path: Path
) -> None:
    assert "no dataset" in command.run("download", "nowhere", tmp_path / "x", code=1)
    assert "isn't a folder" in command.run("upload", tmp_path / "x", "--dataset", "d", code=1)
    assert "Your groups don't allow search" in command.run("search", "Patient", code=4)
    assert "name=value" in command.run("search", "Patient", "name", code=2)
    made = client("practitioner").post(
        "/DocumentReference",
        json={
            "resourceType": "DocumentReference",
            "status": "current",
            "content": [{"attachment": {"title": "somebody else's"}}],
        },
    )
    stranger = made.json()["id"]
    assert "no dataset" in command.run("verify", stranger, code=1)
    command.run("logout")
    assert "ai4h login" in command.run("datasets", code=3)


def test_a_dataset_is_shared_asked_for_and_taken_back(
    command: Command, stack: dict[str, Any], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    name, reader = f"Shared {uuid.uuid4()}", command.beside(tmp_path / "reader")
    user = stack["users"]["practitioner"]
    login = ("login", "--username", user["username"], "--password-stdin")
    reader.run(*login, text=f"{user['password']}\n")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "a.csv").write_text("1,2\n")
    sent = command.run("upload", tmp_path / "small", "--dataset", name, "--json")
    dataset, until = sent["dataset"], ("--until", "2999-12-31")

    why = ("--reason", "To compare two models.")
    myself = ("--user", user["username"])
    [asked] = reader.run("ask", dataset, *until, *why, *myself, "--json")
    eventually(lambda: asked in command.run("requests", "--json"))
    assert "403" in reader.run("approve", asked["id"], code=4)
    [declined] = command.run("decline", asked["id"], "--reason", "Which ones?", "--json")
    assert (declined["status"], declined["reason"]) == ("rejected", "Which ones?")
    [approved] = command.run("approve", asked["id"], "--json")
    fetched = reader.run("download", dataset, tmp_path / "back", "--json")
    assert fetched["fetched"] == ["a.csv"]
    assert "--license … --creator …" in command.run("croissant", dataset, code=1)
    command.run("describe", dataset, "--license", "https://terms.test", "--creator", "Us")
    described = json.loads(reader.start("croissant", dataset).communicate(timeout=60)[0])
    assert described["license"] == "https://terms.test"
    [file] = described["distribution"]
    assert file["sha256"] == hashlib.sha256(b"1,2\n").hexdigest()
    command.run("withdraw", dataset)
    assert "no dataset" in reader.run("verify", dataset, code=1)
    command.run("restore", dataset)
    assert reader.run("verify", dataset, "--json")["verified"] == ["a.csv"]
    [revoked] = command.run("revoke", approved["id"], "--json")
    assert revoked["status"] == "inactive"
    assert "no dataset" in reader.run("verify", dataset, code=1)
    [again] = command.run("share", dataset, *until, *myself, "--json")
    assert again["grantees"] == [f"user {user['username']}"]
    eventually(lambda: len(command.run("shares", dataset, "--json")) == 2)
    command.run("delete", dataset, "--yes")
    assert "no dataset" in command.run("verify", dataset, code=1)
