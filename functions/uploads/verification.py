"""Verification: bytes that arrived become available only if they are what was declared.

Runs once for each object that S3 reports, and again whenever the report is repeated: every step can
be repeated and done by two processes at once. A fault that may pass is raised, so that the report
comes again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from functions.shared.log import logger
from functions.uploads import bucket, records, scans
from functions.uploads.media_types import HEAD_BYTES, contradiction
from functions.uploads.state import Received, Upload, parse_key

MAX_HASHED_BYTES = 256 * 1024**2
"""Up to this size a SHA-256 that S3 hasn't computed is computed here, in bounded memory; above it,
S3's own checksum is recorded instead."""


_NOTHING_CAME = "no bytes arrived in time"


class _Mismatch(Exception):
    """The bytes aren't what was declared; the message is the reason that the owner reads."""


def arrived(key: str, s3_version: str | None, scan: str | None = None) -> Upload | None:
    """Settles the upload whose bytes S3 reports under `key`; None if nobody registered it.

    `scan` is what GuardDuty tells of them; where scans are awaited, nothing is settled without.

    Bytes that are no verified upload don't stay: those of a refused or deleted upload and those
    that would replace verified ones are removed; those that belong to no upload are hidden.
    """
    upload = _registered(key)
    if upload is None:
        logger.error("object without an upload hidden", extra={"fields": {"key": key}})
        bucket.hide(key)
        return None
    while upload.status == "pending":
        upload = records.change(upload, "verifying", s3_version=s3_version) or _again(upload)
    while upload.status == "verifying" and upload.s3_version == s3_version:
        scan = scan or _scan_of(upload)
        if scan is None:
            return upload
        upload = _verify(upload, scan) or _again(upload)
    if upload.status not in ("available", "verifying") or upload.s3_version != s3_version:
        bucket.remove(key, s3_version)
    return upload


def expire(upload: Upload) -> Upload:
    """Ends an overdue upload. Bytes that did arrive are left alone: their report is under way."""
    if upload.status != "pending" or bucket.head(upload.key, None) is not None:
        return upload
    return end(upload, "not all bytes arrived in time" if upload.upload_id else _NOTHING_CAME)


def end(upload: Upload, reason: str) -> Upload:
    """Ends an upload that is awaited: first its record, so that nothing is joined any more."""
    ended = records.change(upload, "expired", reason=reason) or _again(upload)
    if ended.status == "expired" and ended.upload_id:
        bucket.abort_parts(ended.key, ended.upload_id)
    return ended


def _registered(key: str) -> Upload | None:
    parsed = parse_key(key)
    upload = records.get(*parsed) if parsed else None
    return upload if upload is not None and upload.key == key else None


def _again(upload: Upload) -> Upload:
    """The record as somebody else has changed it meanwhile."""
    current = records.get(upload.binary_id, upload.version)
    if current is None:
        raise RuntimeError(
            "upload record vanished"
        )  # nothing deletes records: have it reported again
    return current


def _scan_of(upload: Upload) -> str | None:
    """What GuardDuty has told of the bytes by their tag; None while that is awaited."""
    return (
        bucket.tag(upload.key, upload.s3_version, scans.TAG) if scans.is_awaited() else scans.CLEAN
    )


def _verify(upload: Upload, scan: str) -> Upload | None:
    """Decides about the bytes; None when the record was changed by somebody else meanwhile."""
    try:
        if problem := scans.refusal(scan):
            raise _Mismatch(problem)
        received = _examine(upload)
        return records.change(upload, "available", received=received)
    except _Mismatch as mismatch:
        return records.change(upload, "rejected", reason=str(mismatch))
    except records.QuotaExceeded:
        return records.change(upload, "rejected", reason="the owner's quota is exceeded")


def _examine(upload: Upload) -> Received:
    stored = bucket.head(upload.key, upload.s3_version)
    if stored is None:
        raise _Mismatch("the bytes are gone")
    if upload.size is not None and stored.size != upload.size:
        raise _Mismatch(f"{stored.size} bytes arrived, {upload.size} were declared")
    if stored.size > upload.limit:
        raise _Mismatch(f"{stored.size} bytes arrived, at most {upload.limit} are allowed")
    if stored.content_type != upload.content_type:
        raise _Mismatch("the bytes arrived under another content type than declared")
    if upload.part_size is not None and not _is_joined(upload, stored):
        raise _Mismatch("the bytes aren't the parts that were joined")
    head, sha256 = _content(upload, stored)
    if upload.sha256 is not None and sha256 not in (upload.sha256, None):
        raise _Mismatch("the SHA-256 of the bytes isn't the declared one")
    if problem := contradiction(upload.content_type, head):
        raise _Mismatch(problem)
    return Received(stored.size, stored.etag, upload.s3_version, sha256, stored.checksum)


def _content(upload: Upload, stored: bucket.StoredObject) -> tuple[bytes, str | None]:
    """The first bytes, and the SHA-256 as S3 verified it or as the bytes are hashed here.

    A declared SHA-256 is always compared with a real one, whatever the size. The exception is a
    file in parts: S3 has verified each of them, so a large one isn't read again, and what its owner
    declared of the whole stays a declaration.
    """
    if stored.size == 0:
        return b"", _encoded(hashlib.sha256())
    small, declared = stored.size <= MAX_HASHED_BYTES, upload.sha256 is not None
    in_parts = upload.part_size is not None
    hashed_here = stored.sha256 is None and (small and declared if in_parts else small or declared)
    if hashed_here:
        return _hashed(bucket.stream(upload.key, upload.s3_version))
    return bucket.first_bytes(upload.key, upload.s3_version, HEAD_BYTES), stored.sha256


def _is_joined(upload: Upload, stored: bucket.StoredObject) -> bool:
    """Whether S3 says of the object what $complete noted of its parts."""
    digests = records.digests(upload)
    return digests is not None and stored.composite == composite(digests)


def composite(digests: bytes) -> str:
    """S3's checksum of a file in parts: the SHA-256 of the parts' digests, and their count.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    return f"{_encoded(hashlib.sha256(digests))}-{len(digests) // 32}"


def _hashed(chunks: Iterator[bytes]) -> tuple[bytes, str]:
    digest, head = hashlib.sha256(), b""
    for chunk in chunks:
        if len(head) < HEAD_BYTES:
            head += chunk[: HEAD_BYTES - len(head)]
        digest.update(chunk)
    return head, _encoded(digest)


def _encoded(digest: hashlib._Hash) -> str:
    return base64.b64encode(digest.digest()).decode()
