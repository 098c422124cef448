"""The command's engine against the real functions: killed, torn, refused, and in the end right."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cli import api, datasets, download, upload
from cli.api import Api, Body
from cli.errors import Refused, Unreachable
from cli.files import files_below
from cli.journal import Journal
from tests.functions.uploads.conftest import User

CHANCE = random.Random(5)  # noqa: S311
PART, AT_ONCE = 700, 3000


class Killed(BaseException):
    """As `kill -9`: nothing in the command may catch it."""


class Still:
    """Looks on and counts."""

    def __init__(self) -> None:
        self.bytes = self.left_out = 0

    def moved(self, count: int, /) -> None:
        self.bytes += count

    def spared(self, count: int, /) -> None:
        self.left_out += count


@dataclass
class Wire(Api):
    """Requests straight to the functions and the S3 front. `trouble` strikes around each."""

    user: User
    complete: Callable[..., None]
    dataset: dict[str, Any]
    trouble: Callable[[str], None] = lambda _: None
    acknowledged: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: int = 0

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        self.requests += 1
        self.trouble("before a call")
        if path.startswith("/DocumentReference"):
            self.dataset |= body if isinstance(body, dict) else {}
            return self.dataset
        reply = self.user.call(method, path, body, headers)
        if reply.status >= 300:
            raise Refused(reply.status, reply.problem)
        if path.endswith("$complete"):
            for key, event in list(self.user.front.joined.items()):
                if path.split("/")[2] in key:
                    self.complete(event)
        self.trouble("after a call")
        return reply.body

    def put(self, url: str, headers: Mapping[str, str], body: Body) -> None:
        self.requests += 1
        self.trouble("before bytes")
        answer = self.user.front.put(url, headers, body.read())
        if answer.status >= 300:
            raise Refused(answer.status, answer.error)
        parts = urlsplit(url)
        self.acknowledged[parts.path, dict(parse_qsl(parts.query)).get("partNumber", "")] += 1
        if answer.event:
            self.complete(answer.event)
        self.trouble("after bytes")

    def get(self, url: str, start: int = 0) -> Any:
        yield self.user.front.get(url).body[start:]


@pytest.fixture
def wire(owner: User, complete: Callable[..., None], settings: pytest.MonkeyPatch) -> Wire:
    from moto.s3 import models

    from functions.shared import store
    from functions.shared.items import Version
    from functions.uploads import parts

    settings.setattr(parts, "SMALLEST_PART_BYTES", PART)
    settings.setattr(parts, "MOST_BYTES_AT_ONCE", AT_ONCE)
    settings.setattr(upload, "LARGE_BYTES", AT_ONCE)
    settings.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    settings.setattr(api, "_pause", lambda _: 0)
    identity = f"d-{owner.subject}"
    store.create(Version(f"DocumentReference/{identity}", 1, b"{}", owner.subject, "2026"))
    resource = {"id": identity, "meta": {"versionId": "1"}, "content": [{"attachment": {}}]}
    return Wire(owner, complete, resource)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name, size in (("a.bin", 10), ("deep/b.bin", 200), ("empty", 0), ("large", 3100)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CHANCE.randbytes(size))
    return folder


def run(wire: Wire, folder: Path, journal: Path, watch: Still | None = None) -> upload.Report:
    """One start of the command."""
    dataset = datasets.opened(wire, wire.dataset)
    sender = upload.Upload(wire, dataset, Journal(journal), watch or Still(), workers=1)
    return sender.run(files_below(folder))


def arrives(wire: Wire, folder: Path, target: Path) -> bool:
    """Whether a verified download brings back what was sent."""
    dataset = datasets.opened(wire, wire.dataset)
    report = download.fetch(wire, dataset, target, Still(), 1)
    checked = download.verify(wire, dataset, target, 1)
    assert (report.failed, checked.failed) == ({}, {})
    here, there = files_below(folder), files_below(target)
    return [(f.name, f.path.read_bytes()) for f in here] == [
        (f.name, f.path.read_bytes()) for f in there
    ]


def test_a_folder_arrives_and_nothing_goes_twice(wire: Wire, folder: Path, tmp_path: Path) -> None:
    watch, total = Still(), sum(file.size for file in files_below(folder))
    report = run(wire, folder, tmp_path / "journal", watch)

    assert report.sent == ["a.bin", "deep/b.bin", "empty", "large"]
    manifest = -watch.left_out
    assert watch.bytes == total + manifest
    assert arrives(wire, folder, tmp_path / "back")
    acknowledged = wire.acknowledged.copy()
    again = run(wire, folder, tmp_path / "another journal")
    assert (again.sent, len(again.unchanged)) == ([], 4)
    assert wire.acknowledged == acknowledged

    (folder / "a.bin").write_bytes(b"changed")
    (folder / "new").write_bytes(b"new")
    assert run(wire, folder, tmp_path / "journal").sent == ["a.bin", "new"]


def test_killed_again_and_again_it_ends_right(wire: Wire, folder: Path, tmp_path: Path) -> None:
    kills, left = 0, 0

    def strike(moment: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed(moment)

    wire.trouble = strike
    while True:
        left = CHANCE.randint(8, 16)
        try:
            report = run(wire, folder, tmp_path / "journal")
        except Killed:
            kills += 1
            assert kills < 100
        else:
            break

    assert kills > 1
    assert report.failed == {}
    wire.trouble = lambda _: None
    assert arrives(wire, folder, tmp_path / "back")
    assert max(wire.acknowledged.values()) == 1, "nothing acknowledged was sent again"


def test_a_bad_line_costs_time_only(wire: Wire, folder: Path, tmp_path: Path) -> None:
    faults = 0

    def torn(moment: str) -> None:
        nonlocal faults
        # Calls are tried again below the engine: here the line breaks around bytes.
        if "bytes" in moment and CHANCE.random() < 0.25:
            faults += 1
            raise Unreachable(moment)

    wire.trouble = torn
    watch = Still()
    report = run(wire, folder, tmp_path / "journal", watch)

    assert faults
    assert (report.failed, len(report.sent)) == ({}, 4)
    assert watch.bytes == sum(file.size for file in files_below(folder)) - watch.left_out


def test_a_url_that_has_ended_is_asked_for_anew(
    wire: Wire, folder: Path, tmp_path: Path, settings: pytest.MonkeyPatch
) -> None:
    put, late = wire.user.front.put, {"": 1, "2": 1}

    def slow(url: str, headers: Mapping[str, str], body: bytes) -> Any:
        number = dict(parse_qsl(urlsplit(url).query)).get("partNumber", "")
        ended = late.pop(number, 0) * timedelta(seconds=301)
        return put(url, headers, body, now=datetime.now(UTC) + ended)

    settings.setattr(wire.user.front, "put", slow)
    report = run(wire, folder, tmp_path / "journal")

    assert not late
    assert (report.failed, len(report.sent)) == ({}, 4)


def test_what_is_refused_is_reported_and_the_rest_arrives(
    wire: Wire, folder: Path, tmp_path: Path
) -> None:
    (folder / "scan.png").write_bytes(b"<html>")
    report = run(wire, folder, tmp_path / "journal")
    assert report.failed.keys() == {"scan.png"}
    assert report.failed["scan.png"].startswith("rejected: ")
    assert len(report.sent) == 4

    (folder / "scan.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    assert run(wire, folder, tmp_path / "journal").sent == ["scan.png"]


def test_a_difference_is_found(wire: Wire, folder: Path, tmp_path: Path) -> None:
    run(wire, folder, tmp_path / "journal")
    dataset = datasets.opened(wire, wire.dataset)
    (folder / "large").write_bytes(bytes(3100))
    (folder / "empty").unlink()
    (folder / "a.bin").write_bytes(b"longer than it was")

    report = download.verify(wire, dataset, folder, 1)

    assert report.failed == {
        "a.bin": "has another size here",
        "empty": "isn't here",
        "large": "has other bytes here",
    }
    wire.user.call("DELETE", f"/Binary/{dataset.entries['deep/b.bin'].binary}")
    assert "deep/b.bin" in download.verify(wire, dataset, None, 1).failed
