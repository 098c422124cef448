"""What a bundle is answered with: an entry for each of its entries, in their order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from functions.api.entries import Entry
from functions.shared import consistency
from functions.shared.errors import FhirError, operation_outcome
from functions.shared.http import MAX_ANSWER_BYTES, Response, size_in_answer
from functions.shared.resources import serialise

_OUTCOME = b'{"resourceType":"OperationOutcome"'


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an entry. `modified` is an instant; `resource` and `outcome` are JSON.

    `token` is the consistency token of a write.
    """

    status: int
    location: str = ""
    etag: str = ""
    modified: str = ""
    resource: bytes = b""
    outcome: bytes = b""
    token: str = ""
    must_fit: bool = False
    """Whether the resource is what was asked for, and not an extra that may be left out."""


def of_response(entry: Entry, response: Response) -> Answer:
    """The answer that an entry got as a request of its own."""
    sent, body = response.headers, b"" if entry.method == "HEAD" else response.body
    failed = response.status >= 400
    is_outcome = failed or (not entry.reads and body.startswith(_OUTCOME))
    modified = sent.get("Last-Modified", "")
    if modified:
        then = parsedate_to_datetime(modified).astimezone(UTC)
        modified = then.isoformat().replace("+00:00", "Z")
    return Answer(
        response.status,
        sent.get("Location", ""),
        sent.get("ETag", ""),
        modified,
        b"" if is_outcome else body,
        body if is_outcome else b"",
        sent.get(consistency.HEADER, ""),
        must_fit=entry.reads,
    )


def bundle(kind: str, answers: Iterable[Answer]) -> bytes:
    """The Bundle's JSON. Resources that don't fit in are left out, or replaced by what says so."""
    parts: list[bytes] = []
    size = 0
    for answer in answers:
        part = _entry(answer)
        if size + size_in_answer(part) > MAX_ANSWER_BYTES:
            part = _entry(_smaller(answer))
        size += size_in_answer(part)
        parts.append(part)
    head = serialise({"resourceType": "Bundle", "type": kind})
    return head[:-1] + b',"entry":[' + b",".join(parts) + b"]}" if parts else head


def _entry(answer: Answer) -> bytes:
    told: dict[str, Any] = {"status": f"{answer.status} {HTTPStatus(answer.status).phrase}"}
    named = {"location": answer.location, "etag": answer.etag, "lastModified": answer.modified}
    frame = serialise({"response": told | {name: value for name, value in named.items() if value}})
    if answer.outcome:
        frame = frame[:-2] + b',"outcome":' + answer.outcome + b"}}"
    if answer.resource:
        frame = b'{"resource":' + answer.resource + b"," + frame[1:]
    return frame


def _smaller(answer: Answer) -> Answer:
    if not answer.must_fit:
        return Answer(answer.status, answer.location, answer.etag, answer.modified)
    error = FhirError(413, "too-long", "The bundle's answer has no room for it; ask for it alone.")
    return Answer(413, outcome=serialise(operation_outcome(error)))
