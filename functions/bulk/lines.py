"""The lines of an uploaded file, some megabytes at a time, with their numbers."""

from __future__ import annotations

from typing import NamedTuple

from functions.bulk.jobs import Input
from functions.shared.http import MAX_BODY_BYTES
from functions.uploads.bucket import s3

CHUNK_BYTES = MAX_BODY_BYTES + 1024 * 1024
"""Read at once: more than the longest line that there may be."""


class Place(NamedTuple):
    """Where to go on: the byte, and the lines before it. `skips`: a line too long goes on there."""

    offset: int = 0
    lines: int = 0
    skips: bool = False


class Line(NamedTuple):
    """A line and its number, from 1 on; None for one that is too long."""

    number: int
    body: bytes | None


def read(source: Input, place: Place) -> tuple[list[Line], Place | None]:
    """The lines that begin at a place, without blank ones, and the next place; None at the end."""
    if place.offset >= source.size:
        return [], None
    end = min(place.offset + CHUNK_BYTES, source.size)
    chunk = _bytes(source, place.offset, end)
    is_last = end == source.size
    *whole, rest = chunk.split(b"\n")
    if is_last:
        whole.append(rest)
        rest = b""
    skipped = 1 if place.skips and whole else 0
    found = [
        Line(place.lines + number, body if len(body) <= MAX_BODY_BYTES else None)
        for number, body in enumerate(whole[skipped:], 1)
        if body.strip()
    ]
    lines = place.lines + len(whole) - skipped
    if is_last:
        return found, None
    if whole:
        return found, Place(end - len(rest), lines)
    # One line fills the chunk: it is told once, and left out to its end.
    told = [] if place.skips else [Line(lines + 1, None)]
    return told, Place(end, lines + len(told), skips=True)


def _bytes(source: Input, start: int, end: int) -> bytes:
    answer = s3().get_object(
        Bucket=source.bucket,
        Key=source.key,
        Range=f"bytes={start}-{end - 1}",
        IfMatch=source.etag,
    )
    return answer["Body"].read()
