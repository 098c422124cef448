"""Uploads: files announced, sent and verified; whole ones side by side, large ones in parts."""

from __future__ import annotations

import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from . import datasets
from .api import Api, persistently
from .datasets import Dataset, Entry
from .errors import CommandError, NotSignedIn, Refused, Unreachable
from .files import LocalFile, Slice, content_type, parts, sha256
from .journal import Journal, Record

LARGE_BYTES = 64 * 1024**2
"""Above, the server wants parts: these run side by side instead of files."""

VERIFIED_WITHIN_SECONDS = 900

SOON_SECONDS = 20
"""Parts that go as fast are asked for in larger numbers: their URLs live for five minutes."""
MOST_URLS = 64


class Watch(Protocol):
    """Looks on."""

    def moved(self, count: int, /) -> None:
        """So many bytes went by; fewer than none: they must go again."""

    def spared(self, count: int, /) -> None:
        """So many bytes needn't go: they are there."""


@dataclass
class Report:
    """What became of the files, by name."""

    sent: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class Upload:
    """One folder on its way into one dataset."""

    def __init__(
        self, api: Api, dataset: Dataset, journal: Journal, watch: Watch, workers: int
    ) -> None:
        self._api, self._dataset, self._journal = api, dataset, journal
        self._watch, self._workers = watch, workers

    def run(self, files: Sequence[LocalFile]) -> Report:
        """Brings the files into the dataset and its manifest. What fails is reported by file."""
        report = Report()
        wanted = [file for file in files if not self._is_there(file)]
        report.unchanged = sorted({f.name for f in files} - {f.name for f in wanted})
        small = [file for file in wanted if file.size <= LARGE_BYTES]
        records = dict(self._each(self._send, small, report))
        for file in wanted:
            if file.size > LARGE_BYTES:
                records |= dict(self._each(self._send, [file], report))
        settled = dict(self._each(lambda f: self._settled(records[f]), list(records), report))
        self._dataset.entries |= {entry.path: entry for entry in settled.values()}
        report.sent = sorted(entry.path for entry in settled.values())
        if settled:
            self._keep_manifest()
        return report

    def _each(
        self, work: Callable[[LocalFile], Any], files: Sequence[LocalFile], report: Report
    ) -> Iterator[tuple[LocalFile, Any]]:
        """The results by file, side by side; failures go into the report."""
        with ThreadPoolExecutor(self._workers) as pool:
            doing = {pool.submit(work, file): file for file in files}
            try:
                for done in as_completed(doing):
                    file = doing[done]
                    try:
                        yield file, done.result()
                    except NotSignedIn:
                        raise
                    except CommandError as error:
                        report.failed[file.name] = str(error)
                    except OSError as error:
                        report.failed[file.name] = f"can't be read: {error.strerror}"
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _is_there(self, file: LocalFile) -> bool:
        """Whether the manifest has just this file already."""
        entry = self._dataset.entries.get(file.name)
        if entry is None or entry.size != file.size or sha256(file.path) != entry.sha256:
            return False
        self._watch.spared(file.size)
        return True

    def _send(self, file: LocalFile) -> Record:
        """Sends what the server doesn't have of a file."""
        record = self._journal.of(file)
        if record and record.sent:
            self._watch.spared(file.size)
            return record
        status = self._status(record.binary) if record else None
        if record and status:
            if status["status"] in ("verifying", "available"):
                self._watch.spared(file.size)
                return self._noted(replace(record, sent=True))
            if status["status"] == "pending" and "partSize" in status:
                return self._send_parts(file, record, status)
        known = self._dataset.entries.get(file.name)
        binary = record.binary if record and status else known.binary if known else None
        digest = record.sha256 if record else sha256(file.path)
        answer = self._announced(file, digest, binary)
        record = self._noted(Record(file.name, file.size, file.modified, digest, answer["id"]))
        if "partSize" in answer:
            return self._send_parts(file, record, answer)
        return self._send_whole(file, record, answer)

    def _announced(self, file: LocalFile, digest: str, binary: str | None) -> dict[str, Any]:
        """A new Binary, or the next version of one: a URL that ended comes anew no other way."""
        resource = {
            "resourceType": "Binary",
            "contentType": content_type(file.path),
            "securityContext": {"reference": f"DocumentReference/{self._dataset.id}"},
            "fileName": file.path.name,
            "size": file.size,
            "sha256": digest,
        }
        if binary is None:
            return self._api.call("POST", "/Binary", resource)
        return self._api.call("PUT", f"/Binary/{binary}", {**resource, "id": binary})

    def _send_whole(self, file: LocalFile, record: Record, answer: dict[str, Any]) -> Record:
        def renewed() -> dict[str, Any]:
            again = self._announced(file, record.sha256, record.binary)
            return {"url": again["presignedPutUrl"], "headers": again["uploadHeaders"]}

        place = {"url": answer["presignedPutUrl"], "headers": answer["uploadHeaders"]}
        self._put(file, 0, file.size, place, renewed)
        return self._noted(replace(record, sent=True))

    def _send_parts(self, file: LocalFile, record: Record, status: dict[str, Any]) -> Record:
        """Sends the parts that S3 doesn't have, then has them joined."""
        stretches = dict(enumerate(parts(file.size, status["partSize"]), 1))
        arrived = {part["number"] for part in status.get("received", ())}
        self._watch.spared(sum(stretches[number][1] for number in arrived))
        missing = {n: stretch for n, stretch in stretches.items() if n not in arrived}
        doing = deque[Future[None]]()
        with ThreadPoolExecutor(self._workers) as pool:
            for number, place in self._placed(file, record, missing):
                if len(doing) == 2 * self._workers:  # none idle, and few URLs that grow old
                    doing.popleft().result()
                stretch = {number: missing[number]}
                renewed = partial(self._place, file, record, stretch)
                doing.append(pool.submit(self._put, file, *stretch[number], place, renewed))
            for each in doing:
                each.result()
        self._api.call("POST", f"/Binary/{record.binary}/$complete")
        return self._noted(replace(record, sent=True))

    def _placed(
        self, file: LocalFile, record: Record, stretches: dict[int, tuple[int, int]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Parts with URL and headers; the next few are asked for while these are sent.

        The faster they go, the more at once: an URL that grows old before it is used goes to waste.
        """
        left, coming, count = iter(stretches.items()), None, self._workers
        with ThreadPoolExecutor(1) as ahead:
            while batch := dict(islice(left, count)):
                begun = time.monotonic()
                ready, coming = coming, ahead.submit(self._places, file, record, batch)
                if ready:
                    yield from ready.result().items()
                was_fast = time.monotonic() - begun < SOON_SECONDS
                count = min(2 * count, MOST_URLS) if was_fast else self._workers
            if coming:
                yield from coming.result().items()

    def _place(
        self, file: LocalFile, record: Record, stretch: dict[int, tuple[int, int]]
    ) -> dict[str, Any]:
        """The same for one part."""
        [place] = self._places(file, record, stretch).values()
        return place

    def _places(
        self, file: LocalFile, record: Record, stretches: dict[int, tuple[int, int]]
    ) -> dict[int, dict[str, Any]]:
        """URL and headers for each of the parts."""
        named = [
            {"number": number, "sha256": sha256(file.path, start, size)}
            for number, (start, size) in stretches.items()
        ]
        path = f"/Binary/{record.binary}/$upload-parts"
        answer = self._api.call("POST", path, {"parts": named})
        return {part["number"]: part for part in answer["parts"]}

    def _put(
        self,
        file: LocalFile,
        start: int,
        size: int,
        place: dict[str, Any],
        renewed: Callable[[], dict[str, Any]],
    ) -> None:
        """Sends a stretch of a file, again and again until it is there."""
        places = [place]

        def attempt() -> None:
            with Slice(file.path, start, size, self._watch.moved) as body:
                try:
                    self._api.put(places[-1]["url"], places[-1]["headers"], body)
                except Unreachable:
                    body.take_back()
                    raise
                except Refused as refusal:
                    if refusal.status == 412:  # an earlier try arrived, its answer didn't
                        return
                    body.take_back()
                    if refusal.status != 403:
                        raise CommandError(f"not taken, did it change? ({refusal})") from None
                    places.append(renewed())  # the URL's five minutes are over
                    raise Unreachable(str(refusal)) from None

        persistently(attempt)

    def _settled(self, record: Record) -> Entry:
        """The file as the server verified it. CommandError with the reason if it didn't."""
        pause, deadline = 0.2, time.monotonic() + VERIFIED_WITHIN_SECONDS
        while not record.version:
            status = self._status(record.binary) or {"status": "deleted"}
            if status["status"] == "available":
                version, kind = status["version"], status["contentType"]
                record = self._noted(replace(record, version=version, content_type=kind))
                break
            if status["status"] not in ("pending", "verifying"):
                reason = status.get("reason", "somebody deleted it")
                raise CommandError(f"{status['status']}: {reason}")
            if time.monotonic() > deadline:
                raise CommandError("the server doesn't get to verifying it; run again later")
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 (jitter)
            pause = min(2 * pause, 5)
        return Entry(
            path=record.name,
            size=record.size,
            sha256=record.sha256,
            content_type=record.content_type,
            binary=record.binary,
            version=record.version,
        )

    def _status(self, binary: str) -> dict[str, Any] | None:
        try:
            return self._api.call("GET", f"/Binary/{binary}/$upload-status")
        except Refused as refusal:
            if refusal.status in (404, 410):
                return None
            raise

    def _noted(self, record: Record) -> Record:
        self._journal.note(record)
        return record

    def _keep_manifest(self) -> None:
        """Writes the manifest's next version, and names it in the dataset if it is the first."""
        text = datasets.manifest_of(self._dataset)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, datasets.MANIFEST)
            path.write_bytes(text)
            # A hidden name, as no file of the user's is sent under.
            file = LocalFile(path, ".manifest", len(text), path.stat().st_mtime_ns)
            self._watch.spared(-len(text))
            digest, manifest = sha256(path), self._dataset.manifest
            answer = self._announced(file, digest, manifest)
            record = Record(file.name, file.size, file.modified, digest, answer["id"])
            send = self._send_parts if "partSize" in answer else self._send_whole
            self._settled(send(file, record, answer))
        if manifest is None:
            datasets.attach(self._api, self._dataset, record.binary)
