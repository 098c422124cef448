"""Imports: each part is a file of ndjson, whose lines are written in their order.

A line with an id is that resource's next version, one without is a new resource. A step is a few
megabytes; repeated, it writes nothing twice, since each line's write is known by its nonce.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from functions.api import writes
from functions.bulk import files
from functions.bulk.jobs import Import, Job, Part
from functions.bulk.lines import Line, Place, read
from functions.shared import access, store
from functions.shared.access import PRIVATE_TYPES
from functions.shared.errors import FhirError, operation_outcome, quote
from functions.shared.items import DamagedError, Version
from functions.shared.resources import RESOURCE_TYPES, parse, serialise, stamp
from functions.shared.store import Stale, Taken

_PARALLEL = 16
_TRIES = 10

_MARK = 24
"""Characters that the nonces of a line's writes begin with; the rest is each try's own, since one
nonce means one transaction to DynamoDB, which takes 36 characters."""


def plan(job: Job) -> Iterator[Part]:
    """A part for each file."""
    for number, source in enumerate(_work(job).inputs):
        yield Part(number, source.type, number)


def step(job: Job, part: Part) -> Part:
    """The part with its next lines written, and a file that says which were refused."""
    source = _work(job).inputs[part.place]
    found, place = read(source, Place(*part.after) if part.after else Place())
    refused = _write_all(job, part, found)
    told = [_outcome(source.binary, number, refused[number]) for number in sorted(refused)]
    written = files.write(job, part, [("error", "OperationOutcome", told)] if told else [])
    return Part(
        part.number,
        part.type,
        part.place,
        after=tuple(place) if place else None,
        sequence=part.sequence + 1,
        written=part.written + len(found) - len(refused),
        refused=part.refused + len(refused),
        done=place is None,
        files=part.files + tuple(written),
    )


def _write_all(job: Job, part: Part, found: list[Line]) -> dict[int, FhirError]:
    """Writes the lines, those of one resource in turn; line -> why it was refused."""
    drafts: dict[str, list[tuple[Line, Version]]] = {}
    refused: dict[int, FhirError] = {}
    for line in found:
        try:
            draft = _draft(job, part, line)
        except FhirError as error:
            refused[line.number] = error
        else:
            drafts.setdefault(draft.pk, []).append((line, draft))

    def write(same: list[tuple[Line, Version]]) -> dict[int, FhirError]:
        outcomes: dict[int, FhirError] = {}
        for line, draft in same:
            try:
                _write(job, draft)
            except FhirError as error:
                if error.status == 429 or error.status >= 500:
                    raise  # it passes: the step is repeated
                outcomes[line.number] = error
        return outcomes

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for outcomes in pool.map(write, drafts.values()):
            refused |= outcomes
    return refused


def _draft(job: Job, part: Part, line: Line) -> Version:
    """The line as version 1. FhirError for what can't be stored."""
    if line.body is None:
        raise FhirError(413, "too-long", "It is too long.")
    resource = parse(line.body)
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
        raise FhirError(400, "structure", f"{quote(kind)} isn't a resource type of FHIR R4.")
    if part.type and kind != part.type:
        raise FhirError(400, "structure", f"It is a {kind}; the file was said to have {part.type}.")
    if kind in PRIVATE_TYPES:
        raise FhirError(422, "not-supported", f"A {kind} is its owner's, and can't be imported.")
    access.require(job.identity, "import", kind)
    writes.require_type(resource, kind)
    name = f"urn:ai4h:import:{job.id}:{part.number}:{line.number}"
    own_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))  # the same whenever the step is repeated
    resource_id = writes.given_id(resource) if "id" in resource else own_id
    draft = writes.draft(resource, resource_id, 1, job.subject)
    return replace(draft, nonce=hashlib.sha256(name.encode()).hexdigest()[:_MARK])


def _write(job: Job, draft: Version) -> None:
    """Creates the resource, or writes its next version, unless that was done or changes nothing."""
    for _ in range(_TRIES):
        try:
            last = store.latest(draft.pk)
        except DamagedError:
            last = store.latest(draft.pk, body=False)
        fresh = replace(draft, nonce=f"{draft.nonce}-{secrets.token_hex(4)}")
        try:
            if last is None:
                store.create(fresh)
            elif not _is_done(job, draft, last):
                store.append(_after(last, fresh), revive=last.deleted)
        except (Stale, Taken):
            continue
        return
    raise FhirError(409, "conflict", "Others are changing the resource; import it again.")


def _is_done(job: Job, draft: Version, last: Version) -> bool:
    """Whether a step before this one wrote it, or the resource is like that already."""
    if last.nonce.startswith(draft.nonce) or _after(last, draft, 0).body == last.body:
        return True
    version: Version | None = last
    # What was written before the job began can't be its own.
    while version and version.version > 1 and version.updated >= job.started:
        version = store.read(version.pk, version.version - 1)
        if version and version.nonce.startswith(draft.nonce):
            return True
    return False


def _after(last: Version, draft: Version, versions: int = 1) -> Version:
    """The draft as a version after `last`; with 0 of them as it would be if it were `last`."""
    number = last.version + versions
    updated = draft.updated if versions else last.updated
    resource_id = draft.pk.partition("/")[2]
    body = serialise(stamp(parse(draft.body), resource_id, number, updated))
    return replace(
        draft, version=number, body=body, updated=updated, owner=last.owner, dataset=last.dataset
    )


def _outcome(binary: str, number: int, error: FhirError) -> bytes:
    first, *further = error.issues
    told = FhirError(
        error.status,
        first.code,
        f"Line {number} of Binary/{binary}: {first.diagnostics}",
        expression=first.expression,
        further=further,
    )
    return serialise(operation_outcome(told))


def _work(job: Job) -> Import:
    assert isinstance(job.work, Import)
    return job.work
