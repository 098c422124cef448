"""Writes documents to the index in bulk, with external versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from functions.search.engine import Engine, EngineRefusedError, EngineUnavailableError, engine
from functions.search.index import ALIAS
from functions.shared.resources import serialise

MAX_BULK_BYTES = 5_000_000
"""Of one request; AWS's smallest domains take 10 MiB."""

_SUPERSEDED = 409
_REFUSED = frozenset({400, 413})


class Entry(NamedTuple):
    pk: str
    version: int
    document: bytes


def write(
    entries: Iterable[Entry], aliases: Sequence[str] = (ALIAS,), *, to: Engine | None = None
) -> list[tuple[Entry, str]]:
    """Indexes all entries, a part at a time; returns those that can never be, with the reason.

    Raises EngineUnavailableError or EngineRefusedError when the fault isn't an entry's; part may be
    written then, and writing all again is harmless. A newer version in the index is success.
    """
    client = to or engine()
    refused = {
        (entry.pk, entry.version): (entry, reason)
        for part in _parts(entries)
        for alias in aliases
        for entry, reason in _write(client, alias, part)
    }
    return list(refused.values())


def _write(client: Engine, alias: str, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
    try:
        outcomes = client.bulk(alias, b"".join(_lines(entry) for entry in entries))
    except EngineRefusedError as error:
        if error.status not in _REFUSED:
            raise
        if len(entries) == 1:
            return [(entries[0], f"{error.status} {error.kind}")]
        # The request as a whole is refused because of one of them.
        middle = len(entries) // 2
        halves = (entries[:middle], entries[middle:])
        return [refused for half in halves for refused in _write(client, alias, half)]
    refused = []
    for entry, outcome in zip(entries, outcomes, strict=True):
        status = outcome["status"]
        if status < 300 or status == _SUPERSEDED:
            continue
        error = outcome.get("error") or {}
        if status not in _REFUSED:
            raise EngineUnavailableError(f"status {status} {_kind(error)} for a document")
        refused.append((entry, f"{status} {_kind(error)}"))
    return refused


def _kind(error: dict[str, Any]) -> str:
    """The kind of an error; its text may quote the resource."""
    return str(error.get("type", ""))


def _lines(entry: Entry) -> bytes:
    action = {"index": {"_id": entry.pk, "version": entry.version, "version_type": "external"}}
    return serialise(action) + b"\n" + entry.document + b"\n"


def _parts(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    size = 0
    for entry in entries:
        own = len(entry.document) + len(entry.pk) + 100  # its lines
        if part and size + own > MAX_BULK_BYTES:
            yield part
            part, size = [], 0
        part.append(entry)
        size += own
    if part:
        yield part
