"""A transaction bundle's writes, in one transaction of the table.

https://hl7.org/fhir/R4/http.html#trules. What its entries were resolved to (criteria, the latest
versions) must still be so when it is written; else all is resolved again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

from functions.api import guards, idempotency, interactions, planned, writes
from functions.api.answers import Answer
from functions.api.decisions import decided
from functions.api.entries import Entry
from functions.api.idempotency import Made
from functions.api.links import Links
from functions.api.planned import Write
from functions.shared import consistency, evidence, headers, store
from functions.shared.errors import FhirError
from functions.shared.evidence import Event
from functions.shared.http import Request
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.resources import serialise
from functions.shared.store import Action, ActionRefused, Stale
from functions.shared.transactions import MAX_ACTIONS

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Done:
    """The answers to the writes by their entries' index, and the headers of the whole."""

    answers: Mapping[int, Answer]
    headers: Mapping[str, str]


def run(request: Request, identity: Identity, given: Sequence[Entry]) -> Done:
    """Does the writes, all or none; 4xx of the first that can't be done, 413 for too many."""
    before = idempotency.made_before(request, identity)
    writing = [planned.plan(identity, entry) for entry in given if not entry.reads]
    if len(writing) > MAX_ACTIONS:
        raise _too_many()
    for _ in range(_TRIES if before is None else 0):
        now = deepcopy(writing)
        versions, also, events = _prepare(request, identity, now)
        keyed = idempotency.actions(request, identity, [_made(write) for write in now])
        also += keyed
        try:
            evidence.recorded(events, partial(_write, versions, also))
        except Stale:
            continue
        except ActionRefused as refused:
            if keyed and refused.index == len(also) - 1:
                before = idempotency.made_by(request, refused.item)
                break
        else:
            told = {w.entry.index: _told(request, _status(w), w.version or w.last) for w in now}
            return Done(told, consistency.header(versions))
    if before is not None:
        return _again(request, before)
    raise FhirError(409, "conflict", "Others are changing the same resources; try again.")


def _write(versions: Sequence[Version], also: Sequence[Action], records: Sequence[Action]) -> None:
    if len(versions) + len(also) + len(records) > MAX_ACTIONS:
        raise _too_many()
    store.write_all(versions, [*also, *records])


def _prepare(
    request: Request, identity: Identity, writing: Sequence[Write]
) -> tuple[list[Version], list[Action], list[Event]]:
    """(versions to write, conditions and guards that go with them, what is evidence of datasets)"""
    planned.resolve(request, identity, writing)
    planned.require_distinct(writing)
    links = Links(request, identity, writing)
    decisions: list[Action] = []
    events: list[Event] = []
    for write in writing:
        with planned.at(write.entry):
            write.version = _version(identity, write, links)
            if write.version:
                found = decided(request, identity, write.last, write.version)
                write.version = found.version
                decisions += found.actions
                events += found.events
    versions = [write.version for write in writing if write.version]
    existing = {w.last.pk: w.last.version for w in writing if w.is_create and w.last}
    written = {version.pk for version in versions}
    also = [
        store.unchanged(pk, number)
        for pk, number in (existing | links.used).items()
        if pk not in written
    ]
    return versions, [*also, *_guards(writing), *decisions], events


def _version(identity: Identity, write: Write, links: Links) -> Version | None:
    if write.is_delete:
        return planned.tombstone(write)
    is_patch = write.entry.method == "PATCH"
    resource = planned.patched(write) if is_patch else write.entry.resource or {}
    links.follow(resource, write.entry.full_url)
    if is_patch and write.last:
        return writes.successor(resource, write.last)
    return planned.draft(identity, write, resource)


def _guards(writing: Sequence[Write]) -> Iterator[Action]:
    for write in writing:
        if write.guard and write.version and write.last is None:
            yield guards.action(write.guard, write.pk, instead_of=write.former)


def _status(write: Write) -> int:
    if write.is_delete:
        return 204
    made = write.version is not None and (write.last is None or write.last.deleted)
    return 201 if made else 200


def _told(request: Request, status: int, version: Version | None) -> Answer:
    """The answer to a write. With a resource or an outcome only if that is preferred."""
    preferred = headers.preference(request, "return")
    outcome = serialise(interactions.success()) if preferred == "operationoutcome" else b""
    if version is None:
        return Answer(status, outcome=outcome)
    return Answer(
        status,
        location="" if status == 204 else interactions.location(request, version),
        etag=headers.etag(version),
        modified=version.updated,
        resource=version.body if preferred == "representation" else b"",
        outcome=outcome,
    )


def _made(write: Write) -> Made:
    version = write.version or write.last
    made = Made(write.entry.index, _status(write))
    return made._replace(pk=version.pk, version=version.version) if version else made


def _again(request: Request, made: Sequence[Made]) -> Done:
    """The answer to a transaction that was done before."""
    versions = [store.read(entry.pk, entry.version) if entry.pk else None for entry in made]
    told = {
        entry.entry: _told(request, entry.status, version)
        for entry, version in zip(made, versions, strict=True)
    }
    return Done(told, consistency.header([version for version in versions if version]))


def _too_many() -> FhirError:
    return FhirError(
        413,
        "too-long",
        f"A transaction has at most {MAX_ACTIONS} actions: its writes, and one for each condition"
        " and each resource found by criteria. Split it.",
    )
