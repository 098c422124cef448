"""The writes of a transaction: what each entry is about, as it is now, and the version it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from functions.api import conditional, entries, guards, interactions, json_patch, writes
from functions.api.entries import Entry
from functions.shared import access, headers, items, store
from functions.shared.access import Operation
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.resources import new_id
from functions.shared.store import Stale

_PARALLEL = 8

_OPERATIONS: Mapping[str, Operation] = {
    "DELETE": "delete",
    "PATCH": "patch",
    "POST": "create",
    "PUT": "update",
}


@dataclass(slots=True)
class Write:
    """An entry that writes, and what it was resolved to."""

    entry: Entry
    resource_type: str
    resource_id: str
    criteria: conditional.Criteria | None = None
    guard: str = ""
    """Of criteria by which a resource may be made."""
    former: str = ""
    """What holds the guard, though it doesn't match any more."""
    last: Version | None = None
    """The latest version of the resource it is about; None for a new one."""
    version: Version | None = None
    """What it writes; None when what is asked for is there, or gone, already."""

    @property
    def pk(self) -> str:
        return f"{self.resource_type}/{self.resource_id}"

    @property
    def is_create(self) -> bool:
        return self.entry.method == "POST"

    @property
    def is_delete(self) -> bool:
        return self.entry.method == "DELETE"


@contextmanager
def at(entry: Entry) -> Iterator[None]:
    """Errors within say in which entry they are."""
    try:
        yield
    except FhirError as error:
        raise entries.located(error, entry.index) from None


def plan(identity: Identity, entry: Entry) -> Write:
    """What an entry asks for. 400 for what can't be, 403 for what the user may not do."""
    kind, resource_id = entries.target(entry)
    with at(entry):
        access.require(identity, _OPERATIONS[entry.method], kind)
        write = Write(entry, kind, resource_id)
        if entry.method == "POST":
            if asked := entry.conditions.get("if-none-exist"):
                write.criteria = conditional.criteria_of(asked)
        elif not resource_id:
            write.criteria = conditional.checked(entry.query)
        if entry.method in ("POST", "PUT"):
            writes.require_type(entry.resource or {}, kind)
        if entry.method == "PATCH":
            entries.patch_in(entry)
        if write.criteria and entry.method in ("POST", "PUT"):
            write.guard = guards.key(identity, kind, write.criteria)
    return write


def resolve(request: Request, identity: Identity, planned: Sequence[Write]) -> None:
    """Finds what the writes are about. Deletions come first: what they remove matches no more."""
    deletions = [write for write in planned if write.is_delete]
    others = [write for write in planned if not write.is_delete]
    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(lambda write: _find(request, identity, write, frozenset()), deletions))
        removed = frozenset(write.pk for write in deletions)
        list(pool.map(lambda write: _find(request, identity, write, removed), others))


def _find(request: Request, identity: Identity, write: Write, removed: frozenset[str]) -> None:
    with at(write.entry):
        if write.criteria is not None:
            _match(request, identity, write, removed)
        elif write.is_create:
            write.resource_id = new_id()
        else:
            write.last = _latest(identity, write)


def _latest(identity: Identity, write: Write) -> Version | None:
    last = store.latest(write.pk)
    if last is not None:
        access.require_owner(identity, write.resource_type, last.owner)
    return last


def _match(request: Request, identity: Identity, write: Write, removed: frozenset[str]) -> None:
    criteria = write.criteria or []
    found = conditional.match(request, identity, write.resource_type, criteria)
    if found is not None and found.pk in removed:
        found = None
    if found is None and write.guard and (held := guards.holder(write.guard)):
        if held not in removed:
            found = conditional.holder(request, identity, held, criteria)
        write.former = held if found is None else ""
    if found is not None:
        write.last, write.resource_id = found, found.pk.partition("/")[2]
    elif write.guard and not write.is_create and "id" in (write.entry.resource or {}):
        write.resource_id = writes.given_id(write.entry.resource or {})
        write.last = _latest(identity, write)
    elif write.guard:
        write.resource_id = new_id()
    elif not write.is_delete:
        raise FhirError(404, "not-found", f"No {write.resource_type} matches.")


def require_distinct(planned: Sequence[Write]) -> None:
    """400 when two entries are about the same resource, or have the same criteria or fullUrl."""
    seen: set[str] = set()
    for write in planned:
        names = {write.entry.full_url, write.guard} - {""}
        if write.resource_id and not (write.is_create and write.last):
            names.add(write.pk)
        if seen & names:
            text = "Another entry has the same resource, criteria or fullUrl."
            raise entries.located(FhirError(400, "duplicate", text), write.entry.index)
        seen |= names


def draft(identity: Identity, write: Write, resource: dict[str, Any]) -> Version | None:
    """The version that a create or an update makes of the resource; None if it exists already."""
    if write.is_create:
        if write.last is not None:
            return None
        return writes.draft(resource, write.resource_id, 1, identity.subject)
    matched = condition(write)
    if not write.criteria or "id" in resource:
        writes.require_id(resource, write.resource_id)
    if write.last is not None:
        writes.require_match(write.last, matched)
        return writes.successor(resource, write.last)
    if matched is not None:
        raise Stale
    if not write.criteria or "id" in resource:
        interactions.require_update_create(write.resource_type)
    return writes.draft(resource, write.resource_id, 1, identity.subject)


def patched(write: Write) -> dict[str, Any]:
    """What the patch in an entry makes of the latest version's resource."""
    if write.last is None:
        raise FhirError(404, "not-found", f"There is no {quote(write.pk)}.")
    body, media_type = entries.patch_in(write.entry)
    json_patch.require_media_type(media_type)
    return json_patch.resource_after(json_patch.operations_in(body), write.last, condition(write))


def tombstone(write: Write) -> Version | None:
    """The version that a deletion makes; None if there is nothing to delete."""
    if write.last is None or write.last.deleted or write.last.erased:
        return None
    writes.require_match(write.last, condition(write))
    return items.tombstone(write.last)


def condition(write: Write) -> int | None:
    """The version that the entry's ifMatch names."""
    return headers.etag_version(write.entry.conditions.get("if-match", ""))
