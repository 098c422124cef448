"""Exports: each part is a shard of a type in the log of versions, as it was when the job started.

Of each resource, the version that was the latest then. The log is read some moments after that, so
that every write which had begun is in it. A step is some pages of the log; its file is named after
it, and a step that is repeated writes the same file again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from functions.bulk import files
from functions.bulk.filters import Filters
from functions.bulk.jobs import Export, Job, Part
from functions.bulk.patients import Patients
from functions.shared import changes, evidence, grants, store
from functions.shared.access import PRIVATE_TYPES
from functions.shared.changes import Change
from functions.shared.errors import FhirError, operation_outcome
from functions.shared.items import SHARDS, DamagedError, Version
from functions.shared.resources import serialise

FILE_BYTES = 32 * 1024 * 1024
"""A file ends with the resource that brings it there."""

PAGE = 100
"""Versions at a time."""

STEP_PAGES = 200
"""At most, in one step: one that finds little must end, too."""

_PARALLEL = 16
_FIRST = "0"
_LAST = "9"
"""Before and after every instant."""

_DELETIONS = 1_000
"""Entries of a Bundle that tells of deletions."""


def plan(job: Job) -> Iterator[Part]:
    """A part for each shard of the job's types in which there is something."""
    types = sorted(frozenset(_work(job).types) & changes.registered())
    places = [(type_, place) for type_ in types for place in range(SHARDS)]
    with ThreadPoolExecutor(_PARALLEL) as pool:
        filled = pool.map(lambda place: _page(job, *place, after=None, size=1)[0], places)
        filled = [place for place, found in zip(places, filled, strict=True) if found]
    return (Part(number, *place) for number, place in enumerate(filled))


def step(job: Job, part: Part) -> Part:
    """The part with the next file or files written."""
    pages = _Pages(job, part)
    sheet = _Sheet(job, part.type)
    for page in islice(pages, STEP_PAGES):
        sheet.add(page)
        if sheet.bytes >= FILE_BYTES:
            break
    written = tuple(files.write(job, part, sheet.lines()))
    return Part(
        part.number,
        part.type,
        part.place,
        after=pages.after,
        sequence=part.sequence + 1,
        written=part.written + sheet.written,
        refused=part.refused + sheet.refused,
        done=pages.after is None,
        files=part.files + written,
    )


class _Pages:
    """The pages of a part from where it goes on; `after` is where the next one would begin."""

    def __init__(self, job: Job, part: Part) -> None:
        self._job, self._part = job, part
        self.after: tuple[Any, ...] | None = part.after

    def __iter__(self) -> Iterator[list[Change]]:
        after = Change(*self.after) if self.after else None
        while True:
            found, is_more = _page(self._job, self._part.type, self._part.place, after, PAGE)
            after = found[-1] if is_more else None
            self.after = tuple(after) if after else None
            yield found
            if after is None:
                return


class _Sheet:
    """What a step writes: resources, deletions, and what could not be exported."""

    def __init__(self, job: Job, type_: str) -> None:
        self._work, self._started, self._identity = _work(job), job.started, job.identity
        self._reach = grants.reach(job.identity) if type_ in PRIVATE_TYPES else None
        self._filters = Filters(job, type_) if type_ in self._work.filters else None
        self._patients = Patients(job, type_) if self._work.patients else None
        self._type = type_
        self._output: list[bytes] = []
        self._deleted: list[str] = []
        self._errors: list[bytes] = []
        self.bytes = 0

    @property
    def written(self) -> int:
        return len(self._output) + len(self._deleted)

    @property
    def refused(self) -> int:
        return len(self._errors)

    def add(self, page: list[Change]) -> None:
        visible = [
            c for c in page if not self._reach or self._reach.shows(c.pk, c.owner, c.dataset)
        ]
        found = list(store.read_many([(c.pk, c.version) for c in self._latest(visible)]))
        self._errors += [_outcome(DamagedError(v.pk, v.version)) for v in found if v.damaged]
        gone = [v for v in found if v.deleted or v.erased]
        # Without a body, and not gone: damaged, or it went when the resource was erased.
        live = self._matching(self._of_patients([v for v in found if v.body]))
        if self._reach:
            evidence.note_reads(self._identity, live, self._reach.grounds)
        self._output += [version.body for version in live]
        self.bytes += sum(len(version.body) for version in live)
        if self._work.since:
            self._deleted += [version.pk for version in self._of_patients(gone)]

    def lines(self) -> Iterator[tuple[str, str, list[bytes]]]:
        """(kind, type, lines) of each file that has any."""
        if self._output:
            yield "output", self._type, self._output
        if self._deleted:
            rest = iter(self._deleted)
            bundles = iter(lambda: list(islice(rest, _DELETIONS)), [])
            yield "deleted", "Bundle", [_deletions(pks) for pks in bundles]
        if self._errors:
            yield "error", "OperationOutcome", self._errors

    def _latest(self, page: list[Change]) -> list[Change]:
        """Those that nothing had replaced when the job started."""
        following = store.instants([(c.pk, c.version + 1) for c in page])
        return [
            change
            for change in page
            if following.get((change.pk, change.version + 1), _LAST) > self._started
        ]

    def _of_patients(self, versions: list[Version]) -> list[Version]:
        if not self._patients:
            return versions
        return [version for version in versions if self._patients.have(version)]

    def _matching(self, versions: list[Version]) -> list[Version]:
        if not self._filters:
            return versions
        matching, unknown = self._filters.sort(versions)
        self._errors += [_outcome(_unjudged(version)) for version in unknown]
        return matching


def _page(
    job: Job, type_: str, place: int, after: Change | None, size: int
) -> tuple[list[Change], bool]:
    since = _work(job).since or _FIRST
    return changes.of_shard(f"{type_}#{place}", since, job.started, after, size)


def _work(job: Job) -> Export:
    assert isinstance(job.work, Export)
    return job.work


def _deletions(pks: list[str]) -> bytes:
    entries = [{"request": {"method": "DELETE", "url": pk}} for pk in pks]
    return serialise({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _unjudged(version: Version) -> FhirError:
    return FhirError(
        422,
        "incomplete",
        f"The index doesn't show version {version.version} of {version.pk}, so that _typeFilter"
        " could not be applied to it.",
    )


def _outcome(error: FhirError) -> bytes:
    return serialise(operation_outcome(error))
