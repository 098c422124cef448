"""Bulk jobs as their users see them: started, asked after, cancelled.

https://hl7.org/fhir/uv/bulkdata/export.html. The work is done by `functions.bulk`, elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from functions.api.compartments import parameters_of
from functions.api.conditional import Criteria, criteria_of
from functions.bulk import files, jobs, machine
from functions.bulk.files import NDJSON
from functions.bulk.filters import Filters
from functions.bulk.jobs import Export, Import, Job, Part
from functions.search.compartments import types_of
from functions.search.intervals import date_bounds
from functions.shared import access, grants, headers, store
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response
from functions.shared.identity import Identity
from functions.shared.resources import RESOURCE_TYPES, instant, new_id, serialise

POLL_SECONDS = 5
"""What a client is told to wait before it asks again."""

MAX_FILTERS = 20

_FORMATS = frozenset({NDJSON, "application/ndjson", "ndjson"})
_FORM = frozenset({"_format", "_pretty"})
# A client may join filters by commas, which are in values, too.
_NEXT_FILTER = re.compile(r",(?=[A-Z][A-Za-z]+\?)")

_LEVELS = {("", False), ("Patient", False), ("Group", True)}
_WORK = {"$export": Export, "$import": Import}


@dataclass
class _Asked:
    """What an export is asked for."""

    types: set[str] = field(default_factory=set)
    since: str = ""
    filters: dict[str, list[Criteria]] = field(default_factory=dict)


def export(
    request: Request, identity: Identity, resource_type: str = "", resource_id: str = ""
) -> Response:
    """202 with the address of the job: of the system, of all patients, or of a Group's."""
    if (resource_type, bool(resource_id)) not in _LEVELS:
        raise FhirError(404, "not-supported", "$export is of the system, of Patient, of one Group.")
    _require_asynchronous(request)
    asked = _asked(request)
    types = _types(identity, asked, of_patients=bool(resource_type))
    work = Export(
        types=tuple(sorted(types)),
        since=asked.since,
        filters=asked.filters,
        patients=bool(resource_type),
        group=_group(identity, resource_id) if resource_id else None,
    )
    job = _job(request, identity, work)
    for name in asked.filters:
        if name not in types:
            raise _invalid(f"_typeFilter is for {quote(name)}, which isn't exported.")
        Filters(job, name)  # so that its faults are told now
    return _start(job)


def _job(request: Request, identity: Identity, work: Export | Import) -> Job:
    query = f"?{urlencode(request.query)}" if request.query else ""
    return Job(
        id=new_id(),
        subject=identity.subject,
        username=identity.username,
        groups=tuple(sorted(identity.groups)),
        started=instant(),
        request=f"{request.base_url}{request.path}{query}",
        base_url=request.base_url,
        work=work,
    )


def _start(job: Job) -> Response:
    """202 with the address of the job; 429 while others of the user's run."""
    jobs.start(job)
    try:
        machine.run(job)
    except Exception:
        jobs.end(job, "failed")
        raise
    word = next(word for word, kind in _WORK.items() if isinstance(job.work, kind))
    return Response(202, b"", {"Content-Location": f"{job.base_url}/{word}/{job.id}"})


def status(request: Request, identity: Identity, job_id: str) -> Response:
    """202 while the job runs, 200 with the manifest; 404 for a job that isn't the user's own."""
    job, state = _own(request, identity, job_id)
    parts = list(jobs.parts(job_id))
    match state:
        case "running":
            done = sum(part.done for part in parts)
            count = sum(part.written for part in parts)
            progress = f"{done} of {len(parts)} parts, {count} resources" if parts else "preparing"
            told = {"X-Progress": progress, "Retry-After": str(POLL_SECONDS)}
            return Response(202, b"", told)
        case "completed":
            return _manifest(job, parts)
    raise FhirError(500, "exception", "The job failed; start it again.")


def cancel(request: Request, identity: Identity, job_id: str) -> Response:
    """202: the job stops if it runs, and its files go."""
    job, _ = _own(request, identity, job_id)
    jobs.cancel(job)
    files.remove(job)
    return Response(202)


def _own(request: Request, identity: Identity, job_id: str) -> tuple[Job, jobs.Status]:
    kind = _WORK[request.path.strip("/").partition("/")[0]]
    found = jobs.find(job_id)
    if found:
        job, state = found
        if job.subject == identity.subject and isinstance(job.work, kind) and state != "cancelled":
            return found
    raise FhirError(404, "not-found", f"You have no job {quote(job_id)}.")


def _manifest(job: Job, parts: list[Part]) -> Response:
    listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": [], "error": []}
    for part in parts:
        for file in part.files:
            told = {"type": file.type, "url": files.url(job, part, file), "count": file.count}
            listed[file.kind].append(told)
    if isinstance(job.work, Import) or not job.work.since:
        del listed["deleted"]
    manifest = {
        "transactionTime": job.started,
        "request": job.request,
        "requiresAccessToken": False,
        **listed,
    }
    kept = datetime.fromisoformat(job.started) + timedelta(seconds=jobs.KEPT_SECONDS)
    expires = format_datetime(kept.astimezone(UTC), usegmt=True)
    told = {"Content-Type": "application/json", "Expires": expires}
    return Response(200, serialise(manifest), told)


def _require_asynchronous(request: Request) -> None:
    if request.method == "HEAD":
        raise FhirError(405, "not-supported", "HEAD starts no job.", headers={"Allow": "GET, POST"})
    preferred = re.split("[,;]", request.headers.get("prefer", "").lower())
    if "respond-async" not in map(str.strip, preferred):
        raise _invalid("Jobs are asynchronous: send the header Prefer: respond-async.")


def _asked(request: Request) -> _Asked:
    """The parameters. What isn't supported is 400, unless the client says `handling=lenient`."""
    asked = _Asked()
    for name, value in [*request.query, *parameters_of(request)]:
        if read := _READERS.get(name):
            if value.strip():
                read(asked, value.strip())
        elif name not in _FORM and headers.preference(request, "handling") != "lenient":
            raise FhirError(
                400, "not-supported", f"The parameter {quote(name)} isn't supported here."
            )
    return asked


def _types(identity: Identity, asked: _Asked, *, of_patients: bool) -> frozenset[str]:
    for name in sorted(asked.types):
        access.require(identity, "export", name)
    known = types_of("Patient") if of_patients else RESOURCE_TYPES
    for name in sorted(asked.types - known):
        raise _invalid(f"{quote(name)} is in no patient's record.")
    types = known & (asked.types or access.readable_types(identity, "export"))
    if not types:
        raise FhirError(403, "forbidden", "Your groups don't allow export.")
    return types


def _group(identity: Identity, resource_id: str) -> tuple[str, int]:
    access.require(identity, "read", "Group")
    last = store.latest(f"Group/{resource_id}", body=False)
    if last is None:
        raise FhirError(404, "not-found", f"There is no Group {quote(resource_id)}.")
    headers.require_alive(last)
    grants.require_sight(identity, last)
    return last.pk, last.version


def _output_format(asked: _Asked, value: str) -> None:
    if value.replace(" ", "+") not in _FORMATS:  # a plus sign that wasn't escaped
        raise _invalid(f"_outputFormat is {NDJSON}.")


def _type(asked: _Asked, value: str) -> None:
    for name in filter(None, map(str.strip, value.split(","))):
        if name not in RESOURCE_TYPES:
            raise _invalid(f"{quote(name)} isn't a resource type.")
        asked.types.add(name)


def _since(asked: _Asked, value: str) -> None:
    try:
        milliseconds = int(date_bounds(value).low // 1000) + 1
        since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        raise _invalid("_since is an instant.") from None
    asked.since = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _type_filter(asked: _Asked, value: str) -> None:
    for text in _NEXT_FILTER.split(value):
        name, _, query = text.partition("?")
        if name not in RESOURCE_TYPES:
            raise _invalid("A _typeFilter is a search: Type?parameter=value.")
        asked.filters.setdefault(name, []).append(criteria_of(query))
    if sum(map(len, asked.filters.values())) > MAX_FILTERS:
        raise FhirError(422, "too-costly", f"At most {MAX_FILTERS} searches in _typeFilter.")


def _invalid(diagnostics: str) -> FhirError:
    return FhirError(400, "value", diagnostics)


_READERS: dict[str, Callable[[_Asked, str], None]] = {
    "_outputFormat": _output_format,
    "_since": _since,
    "_type": _type,
    "_typeFilter": _type_filter,
}
