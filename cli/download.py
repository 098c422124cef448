"""Downloads and verification: what is here, and what the server keeps, against the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import datasets
from .api import Api, persistently
from .datasets import Dataset, Entry
from .errors import CommandError, NotSignedIn
from .files import composite, inside, sha256, written
from .upload import Report, Watch


def fetch(api: Api, dataset: Dataset, folder: Path, watch: Watch, workers: int) -> Report:
    """Brings a dataset's files into a folder, each verified; those that are there stay."""
    targets = {entry.path: inside(folder, entry.path) for entry in dataset.entries.values()}

    def one(entry: Entry) -> bool:
        target = targets[entry.path]
        if _differs(target, entry) is None:
            watch.spared(entry.size)
            return False
        _fetched(api, entry, target, watch)
        return True

    return _each(one, dataset.entries.values(), workers)


def verify(api: Api, dataset: Dataset, folder: Path | None, workers: int) -> Report:
    """Compares what the server verified, and the files of a folder if one is given, with the
    manifest."""

    def one(entry: Entry) -> bool:
        binary = api.call("GET", f"/Binary/{entry.binary}/_history/{entry.version}")
        kept = (binary.get("size"), binary.get("sha256"))
        if binary.get("uploadStatus") != "available":
            raise CommandError(f"the server has no bytes: {binary.get('uploadStatus')}")
        if kept != (entry.size, entry.sha256):
            raise CommandError("the server keeps another size or SHA-256 than the manifest")
        if folder is None:
            return True
        path = inside(folder, entry.path)
        if problem := _differs(path, entry):
            raise CommandError(problem)
        if "partSize" in binary and composite(path, binary["partSize"]) != binary["checksum"]:
            raise CommandError("the parts here aren't those that the server verified")
        return True

    return _each(one, dataset.entries.values(), workers)


def _fetched(api: Api, entry: Entry, target: Path, watch: Watch) -> None:
    digest = persistently(
        lambda: written(
            target, entry.size, lambda start: datasets.content(api, entry, start), watch.moved
        )
    )
    if digest != entry.sha256:
        target.unlink()
        raise CommandError("what arrived isn't what the manifest says; it was removed")


def _differs(path: Path, entry: Entry) -> str | None:
    """How a file differs from its entry; None when it is the same."""
    if not path.is_file():
        return "isn't here"
    if path.stat().st_size != entry.size:
        return "has another size here"
    return None if sha256(path) == entry.sha256 else "has other bytes here"


def _each(work: Callable[[Entry], bool], entries: Iterable[Entry], workers: int) -> Report:
    """Does the work for each entry; False means that there was none."""
    report = Report()

    def tried(entry: Entry) -> None:
        try:
            (report.sent if work(entry) else report.unchanged).append(entry.path)
        except NotSignedIn:
            raise
        except CommandError as error:
            report.failed[entry.path] = str(error)
        except OSError as error:
            report.failed[entry.path] = f"can't be read or written: {error.strerror}"

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(tried, entries))
    return report
