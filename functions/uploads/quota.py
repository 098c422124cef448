"""Limits of an upload: the size of one object, and the bytes that a user may keep in all."""

from __future__ import annotations

import os
import time
from itertools import islice

from functions.shared.errors import FhirError
from functions.uploads import bucket, records, verification

SINGLE_PUT_BYTES = 5 * 1024**3
"""S3's limit for one PUT (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

PARTS_SECONDS = 7 * 24 * 3600
"""Time for an upload in parts: the bucket keeps unjoined parts a day longer."""

_SLOWEST_BYTES_PER_SECOND = 512 * 1024
_SHORTEST_TRANSFER_SECONDS = 900
_ENDED_AT_ONCE = 100  # abandoned uploads that one request ends: it has 29 seconds


def most_bytes(*, in_parts: bool) -> int:
    """Most bytes of one object, sent in parts or in one PUT."""
    most = int(os.environ["MAX_OBJECT_BYTES"])
    return most if in_parts else min(most, SINGLE_PUT_BYTES)


def most_bytes_per_user() -> int:
    """Most bytes that one user keeps, all versions of all Binaries together."""
    return int(os.environ["QUOTA_BYTES_PER_USER"])


def deadline(size: int | None, *, in_parts: bool) -> int:
    """Epoch seconds until when an upload is awaited.

    A PUT begins while its URL lives and may then take as long as a slow line needs. Parts may wait:
    their owner closes the laptop and goes on another day.
    """
    if in_parts:
        return int(time.time()) + PARTS_SECONDS
    transfer = (most_bytes(in_parts=False) if size is None else size) // _SLOWEST_BYTES_PER_SECOND
    return int(time.time()) + bucket.URL_SECONDS + max(transfer, _SHORTEST_TRANSFER_SECONDS)


def require_size(size: int | None) -> None:
    """413 for a declared size that no upload may have."""
    most = most_bytes(in_parts=True)
    if size is not None and size > most:
        raise FhirError(
            413,
            "too-long",
            f"A file has at most {most} bytes; {size} were declared.",
            expression=["Binary.size"],
        )


def make_room(owner: str, size: int | None) -> None:
    """Gives back what a user's abandoned uploads hold; 413 when there is no room even so."""
    for upload in islice(records.overdue(owner), _ENDED_AT_ONCE):
        verification.expire(upload)
    room = most_bytes_per_user() - records.used(owner)
    if max(size or 0, 1) > room:
        raise FhirError(
            413,
            "too-costly",
            f"Your quota is {most_bytes_per_user()} bytes, of which {max(room, 0)} are free;"
            f" {'this file needs ' + str(size) if size else 'nothing more fits'}."
            " Delete files that you no longer need, or ask for a larger quota.",
        )
