"""Bulk jobs as their users see them: started, asked after, cancelled.

https://hl7.org/fhir/uv/bulkdata/export.html. The work is done by `functions.bulk`, elsewhere.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from functions.bulk import files, jobs, machine
from functions.bulk.jobs import Export, Import, Job, Part
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response
from functions.shared.identity import Identity
from functions.shared.resources import instant, new_id, serialise

POLL_SECONDS = 5
"""What a client is told to wait before it asks again."""

_WORK = {"$export": Export, "$import": Import}


def require_asynchronous(request: Request) -> None:
    if request.method == "HEAD":
        raise FhirError(405, "not-supported", "HEAD starts no job.", headers={"Allow": "GET, POST"})
    preferred = re.split("[,;]", request.headers.get("prefer", "").lower())
    if "respond-async" not in map(str.strip, preferred):
        raise FhirError(
            400, "value", "Jobs are asynchronous: send the header Prefer: respond-async."
        )


def job_of(request: Request, identity: Identity, work: Export | Import) -> Job:
    """The job that a request asks for."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    request.log["job"] = job_id = new_id()
    return Job(
        id=job_id,
        subject=identity.subject,
        username=identity.username,
        groups=tuple(sorted(identity.groups)),
        started=instant(),
        request=f"{request.base_url}{request.path}{query}",
        base_url=request.base_url,
        work=work,
    )


def start(job: Job) -> Response:
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
    manifest: dict[str, Any] = {
        "transactionTime": job.started,
        "request": job.request,
        "requiresAccessToken": False,
        "output": [],
        "error": [],
    }
    if isinstance(job.work, Import):
        names = [f"Binary/{source.binary}" for source in job.work.inputs]
        manifest["output"] = [
            {"inputUrl": names[part.place], "count": part.written} for part in parts
        ]
    elif job.work.since:
        manifest["deleted"] = []
    for part in parts:
        for file in part.files:
            told = {"type": file.type, "url": files.url(job, part, file), "count": file.count}
            manifest[file.kind].append(told)
    kept = datetime.fromisoformat(job.started) + timedelta(seconds=jobs.KEPT_SECONDS)
    expires = format_datetime(kept.astimezone(UTC), usegmt=True)
    told = {"Content-Type": "application/json", "Expires": expires}
    return Response(200, serialise(manifest), told)
