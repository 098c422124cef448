"""The journal of an upload: what the server has promised to take, line by line.

Appended to before the next step begins, so that killing the command at any moment loses nothing
but the step itself. It may be deleted: then files are compared with the manifest instead.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

from .files import LocalFile
from .stack import home


@dataclass(frozen=True)
class Record:
    """A file and the Binary announced for it."""

    name: str
    size: int
    modified: int
    sha256: str
    binary: str
    sent: bool = False
    """S3 has acknowledged all bytes."""
    content_type: str = ""
    version: str = ""
    """Of the Binary, once the server has verified it."""


class Journal:
    """Records by file name, in a file of its own; safe among threads."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self.dataset: str | None = None
        """Id of the dataset, once it is known."""
        self._records: dict[str, Record] = {}
        if path.is_file():
            self._load()
        self._file = path.open("a", encoding="utf-8")

    def of(self, file: LocalFile) -> Record | None:
        """What is known of a file, if it is still the same."""
        record = self._records.get(file.name)
        if record and (record.size, record.modified) == (file.size, file.modified):
            return record
        return None

    def note(self, record: Record) -> None:
        with self._lock:
            self._records[record.name] = record
            self._append(asdict(record))

    def note_dataset(self, dataset: str) -> None:
        with self._lock:
            self.dataset = dataset
            self._append({"dataset": dataset})

    def close(self, *, finished: bool) -> None:
        """A finished upload needs no journal."""
        self._file.close()
        if finished:
            self._path.unlink()

    def _append(self, line: object) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _load(self) -> None:
        text = self._path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # killed while it wrote: what follows must begin a line of its own
            self._path.write_text(whole, encoding="utf-8")
        for line in map(json.loads, whole.splitlines()):
            if "dataset" in line:
                self.dataset = line["dataset"]
            else:
                record = Record(**line)
                self._records[record.name] = record


def journal_of(api_url: str, folder: Path, dataset: str) -> Journal:
    """The journal of uploading a folder to a dataset of this name."""
    place = "\n".join((api_url, str(folder.resolve()), dataset))
    name = hashlib.sha256(place.encode()).hexdigest()[:32]
    directory = home() / "uploads"
    directory.mkdir(mode=0o700, exist_ok=True)
    return Journal(directory / f"{name}.jsonl")
