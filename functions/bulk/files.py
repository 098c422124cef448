"""The files of bulk jobs: ndjson in a bucket that deletes them after days, fetched by signed URLs.

A file's key follows from its part and step, so that a step that is repeated writes it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from functions.bulk.jobs import File, Job, Part
from functions.uploads.bucket import s3

NDJSON = "application/fhir+ndjson"

URL_SECONDS = 900
"""Life of a URL, in which its download must begin; asking for the status makes new ones."""


def write(job: Job, part: Part, sheets: Iterable[tuple[str, str, list[bytes]]]) -> Iterator[File]:
    """The files of the part's next step: (kind, type, lines) of each."""
    for kind, type_, lines in sheets:
        file = File(kind, type_, part.sequence, len(lines))
        s3().put_object(
            Bucket=_bucket(),
            Key=_key(job.id, part.number, file),
            Body=b"\n".join([*lines, b""]),
            ContentType=NDJSON,
        )
        yield file


def url(job: Job, part: Part, file: File) -> str:
    """Where to fetch a file, without further credentials."""
    return s3().generate_presigned_url(
        "get_object",
        Params={"Bucket": _bucket(), "Key": _key(job.id, part.number, file)},
        ExpiresIn=URL_SECONDS,
    )


def remove(job: Job) -> None:
    """Deletes all files of a job."""
    pages = s3().get_paginator("list_objects_v2").paginate(Bucket=_bucket(), Prefix=f"{job.id}/")
    for page in pages:
        keys = [{"Key": found["Key"]} for found in page.get("Contents", ())]
        if keys:
            s3().delete_objects(Bucket=_bucket(), Delete={"Objects": keys, "Quiet": True})


def _key(job_id: str, number: int, file: File) -> str:
    return f"{job_id}/{file.kind}/{file.type}-{number:05d}-{file.sequence:05d}.ndjson"


def _bucket() -> str:
    return os.environ["JOBS_BUCKET"]
