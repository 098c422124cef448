"""What the local platform has made: one entry per resource of the program."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.errors import LocalError
from local.files import read_json, write_json

FORMAT = 1


@dataclass
class Entry:
    """A resource: `recorded` when nothing was made for it on this machine."""

    type: str
    name: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    recorded: bool = False
    notes: list[str] = field(default_factory=list)
    order: int = 0


class Resources:
    """The entries by URN, written to their file at each change. Safe for threads.

    Raises LocalError when the file is damaged or of another format."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._changes = self._written = 0
        value = read_json(path, {"format": FORMAT, "resources": {}, "condemned": []})
        try:
            if value["format"] != FORMAT:
                raise LocalError(f"{path} has format {value['format']}, not {FORMAT}: use --fresh.")
            self._entries = {urn: Entry(**entry) for urn, entry in value["resources"].items()}
            self._condemned = [Entry(**entry) for entry in value["condemned"]]
        except (TypeError, KeyError, AttributeError) as error:
            raise LocalError(f"{path} is damaged ({error!r}): use --fresh.") from error
        entries = [*self._entries.values(), *self._condemned]
        self._order = max((entry.order for entry in entries), default=0)

    def get(self, urn: str) -> Entry | None:
        return self._entries.get(urn)

    def put(self, urn: str, entry: Entry) -> None:
        """Adds or replaces an entry; a new one comes last in the order of creation."""
        if self._entries.get(urn) == entry:
            return
        with self._lock:
            if not entry.order:
                self._order += 1
                entry.order = self._order
            self._entries[urn] = entry
            self._changes += 1
        self._write()

    def condemn(self, entry: Entry) -> None:
        """Remembers a replaced resource, to be deleted when everything else is in place."""
        with self._lock:
            self._condemned.append(entry)
            self._changes += 1
        self._write()

    def outdated(self, registered: set[str]) -> list[Entry]:
        """What must go: replaced, or no longer in the program; the youngest first."""
        gone = [entry for urn, entry in self._entries.items() if urn not in registered]
        return sorted([*gone, *self._condemned], key=lambda entry: -entry.order)

    def remove(self, entry: Entry) -> None:
        with self._lock:
            self._condemned = [other for other in self._condemned if other is not entry]
            self._entries = {u: other for u, other in self._entries.items() if other is not entry}
            self._changes += 1
        self._write()

    def all(self) -> dict[str, Entry]:
        return dict(self._entries)

    def of_type(self, type_: str) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.type == type_]

    def contents(self) -> set[str]:
        """Digests of the contents that entries name."""
        entries = [*self._entries.values(), *self._condemned]
        return {digest for entry in entries for digest in _digests(entry.inputs)}

    def _write(self) -> None:
        """Returns when every change made before it is on the disk; threads share a write."""
        asked = self._changes
        with self._writing:
            if self._written >= asked:
                return
            with self._lock:
                changes = self._changes
                value = {
                    "format": FORMAT,
                    "resources": {urn: vars(entry) for urn, entry in self._entries.items()},
                    "condemned": [vars(entry) for entry in self._condemned],
                }
            write_json(self._path, value)
            self._written = changes


def changed(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """Names of the inputs that differ."""
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _digests(value: Any) -> set[str]:
    if isinstance(value, list):
        return {digest for item in value for digest in _digests(item)}
    if not isinstance(value, dict):
        return set()
    own = {value[kind] for kind in ("archive", "asset") if value.keys() == {kind}}
    return own | {digest for item in value.values() for digest in _digests(item)}
