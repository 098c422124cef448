"""Uploads in parts: large files, and any that must survive a bad line.

S3 checks each part against the length and SHA-256 that its URL signs, keeps both, and joins the
parts in the end. What has arrived is asked of S3 alone: a client that lost everything but the
Binary's id goes on where it stopped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from functions.shared.errors import FhirError, quote
from functions.uploads import bucket, records, verification
from functions.uploads.bucket import PutTicket
from functions.uploads.members import sha256_of
from functions.uploads.state import Upload

MOST_BYTES_AT_ONCE = 64 * 1024**2
"""A file declared larger than this goes in parts."""

SMALLEST_PART_BYTES = 8 * 1024**2
"""Of every part but the last. S3's own least is 5 MiB."""

MOST_PARTS = 10_000
"""S3's limit (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

MOST_URLS = 500
"""In one answer: more than a client sends while they live."""


@dataclass(frozen=True)
class Part:
    """A part that S3 has; the SHA-256 (base64) is the one that S3 checked."""

    number: int
    size: int
    sha256: str


def size_of_parts(size: int | None, *, wanted: bool) -> int | None:
    """Bytes of each part but the last; None for a file that goes in one PUT.

    400 for parts of a file whose size isn't declared: how many there are depends on it.
    """
    if wanted and not size:
        raise FhirError(
            400, "required", "An upload in parts needs its size.", expression=["Binary.size"]
        )
    if size is None or not (wanted or size > MOST_BYTES_AT_ONCE):
        return None
    return max(SMALLEST_PART_BYTES, -(-size // MOST_PARTS))


@contextmanager
def begun(upload: Upload) -> Iterator[Upload]:
    """Opens an upload in parts at S3, and gives it up again when its record isn't written."""
    if upload.part_size is None:
        yield upload
        return
    upload_id = bucket.begin_parts(upload.key, upload.content_type)
    try:
        yield replace(upload, upload_id=upload_id)
    except BaseException:
        bucket.abort_parts(upload.key, upload_id)
        raise


def tickets(upload: Upload, body: Mapping[str, Any]) -> list[tuple[int, PutTicket]]:
    """URLs for the parts that a request names with their SHA-256.

    400 for a request that isn't one or names a part that the file doesn't have, 409 when no parts
    are awaited.
    """
    sizes, upload_id = _sizes(upload), _awaited(upload)
    requested = _requested(body, len(sizes))
    named = ((number, sizes[number - 1], sha256) for number, sha256 in requested)
    signed = bucket.presign_parts(upload.key, upload_id, named)
    return [(number, ticket) for (number, _), ticket in zip(requested, signed, strict=True)]


def received(upload: Upload) -> list[Part]:
    """The parts that have arrived, by number; those of a joined file as they were joined."""
    if upload.part_size is None:
        return []
    if upload.status == "pending" and upload.upload_id:
        stored = bucket.list_parts(upload.key, upload.upload_id)
        if stored is not None:
            return [Part(part.number, part.size, part.sha256) for part in stored]
    digests = records.digests(upload)
    if digests is None:
        return []
    return [
        Part(number, size, base64.b64encode(digests[32 * (number - 1) : 32 * number]).decode())
        for number, size in enumerate(_sizes(upload), 1)
    ]


def complete(upload: Upload) -> None:
    """Has S3 join the parts; may be repeated. S3 reports the object, and verification follows.

    409 names the parts that are missing, or says why none are awaited.
    """
    sizes = _sizes(upload)
    if upload.status in ("verifying", "available"):
        return
    upload_id = _awaited(upload)
    stored = bucket.list_parts(upload.key, upload_id)
    if stored is None:
        if bucket.head(upload.key, None) is None:
            raise _conflict("S3 no longer has this upload's parts; start a new version")
        return
    arrived = {part.number for part in stored if part.size == sizes[part.number - 1]}
    if missing := [number for number in range(1, len(sizes) + 1) if number not in arrived]:
        raise _conflict(
            f"{len(missing)} of {len(sizes)} parts are missing: {_ranges(missing)}."
            " Send them, then complete again"
        )
    digests = b"".join(base64.b64decode(part.sha256) for part in stored)
    records.keep_digests(upload, digests)
    if not bucket.complete_parts(
        upload.key, upload_id, stored, verification.composite(digests), size=sum(sizes)
    ):
        raise _conflict("The parts changed while they were joined; see $upload-status")


def abort(upload: Upload) -> None:
    """Ends an upload whose bytes are awaited, and frees its quota; may be repeated."""
    if upload.status == "pending":
        upload = verification.end(upload, "ended by its owner")
    if upload.status not in ("expired", "deleted"):
        raise _conflict(f"The upload is {upload.status}. Delete the Binary to remove its bytes")


def _sizes(upload: Upload) -> list[int]:
    """Bytes of each part. 400 for an upload that has none."""
    if upload.part_size is None or upload.size is None:
        raise FhirError(
            400, "not-supported", "This upload isn't in parts: send its bytes to presignedPutUrl."
        )
    full, rest = divmod(upload.size, upload.part_size)
    return [upload.part_size] * full + ([rest] if rest else [])


def _awaited(upload: Upload) -> str:
    """S3's id of an upload whose parts are awaited; 409 for one that has ended."""
    if upload.status != "pending" or upload.upload_id is None:
        reason = f": {upload.reason}" if upload.reason else ""
        raise _conflict(f"No parts are awaited, the upload is {upload.status}{reason}")
    return upload.upload_id


def _requested(body: Mapping[str, Any], count: int) -> list[tuple[int, str]]:
    named = body.get("parts")
    if not isinstance(named, list) or not 1 <= len(named) <= MOST_URLS:
        raise _invalid(f"parts is a list of 1 to {MOST_URLS} parts, each with number and sha256")
    requested: dict[int, str] = {}
    for part in named:
        number = part.get("number") if isinstance(part, dict) else None
        if isinstance(number, bool) or not isinstance(number, int):
            raise _invalid("Each of parts has a whole number")
        if not 1 <= number <= count:
            raise _invalid(f"There is no part {quote(number)}: this file has parts 1 to {count}")
        if number in requested:
            raise _invalid(f"Part {number} is named twice")
        sha256 = sha256_of(part.get("sha256"))
        if sha256 is None:
            raise _invalid(f"Part {number} needs its sha256: the base64 form of 32 bytes")
        requested[number] = sha256
    return list(requested.items())


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in words: "1-3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _conflict(diagnostics: str) -> FhirError:
    return FhirError(409, "conflict", f"{diagnostics}.")


def _invalid(diagnostics: str) -> FhirError:
    return FhirError(400, "invalid", f"{diagnostics}.")
