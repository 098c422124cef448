"""Bundles of requests: batches, and the way to transactions.

https://hl7.org/fhir/R4/http.html#transaction. A batch's entries know nothing of each other. Answers
have no resources unless `Prefer: return=representation` asks for them; reads always do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from functions.api import answers, entries, idempotency, transaction
from functions.api.answers import Answer
from functions.api.entries import Entry
from functions.api.routing import route
from functions.shared import consistency
from functions.shared.errors import FhirError, operation_outcome, quote
from functions.shared.http import Request, Response, attempt, fhir, made, resource_of
from functions.shared.identity import Identity
from functions.shared.log import logger
from functions.shared.resources import serialise

MAX_ENTRIES = 1_000
"""Of a batch: so many are done within the gateway's 29 seconds."""

_PARALLEL = 8


def process(request: Request, identity: Identity) -> Response:
    """200 with a Bundle of what became of each entry.

    A transaction that fails has done nothing, and is answered with its first error.
    """
    sent = resource_of(request)
    kind, given = sent.get("type"), sent.get("entry", [])
    if sent.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise FhirError(
            400,
            "value",
            f"Send a Bundle of type batch or transaction, not {quote(kind)}.",
            expression=["Bundle.type"],
        )
    if not isinstance(given, list):
        raise FhirError(400, "structure", "Entries are an array.", expression=["Bundle.entry"])
    if len(given) > MAX_ENTRIES:
        raise FhirError(413, "too-long", f"A bundle has at most {MAX_ENTRIES} entries.")
    if kind == "batch":
        answered = _batch(request, given)
        written = consistency.joined(answer.token for answer in answered)
        return fhir(200, answers.bundle("batch-response", answered), written)
    read = [entries.read(index, entry, request.base_url) for index, entry in enumerate(given)]
    done = transaction.run(request, identity, read)
    told = (
        _noted(request, entry, done.answers[entry.index], {})
        if entry.index in done.answers
        else alone(request, entry)
        for entry in read
    )
    return fhir(200, answers.bundle("transaction-response", told), done.headers)


def alone(request: Request, entry: Entry) -> Answer:
    """The answer to an entry as a request of its own; errors are answers, too."""
    log: dict[str, Any] = {}

    def answer() -> Response:
        if not entry.segments and entry.method == "POST":
            raise FhirError(400, "not-supported", "A bundle can't be within a bundle.")
        return route(replace(entries.request_of(entry, request), log=log))

    answered = answers.of_response(entry, attempt(answer, log, request.request_id))
    return _noted(request, entry, answered, log)


def _noted(request: Request, entry: Entry, answer: Answer, log: Mapping[str, Any]) -> Answer:
    """Says who did what in a line of its own, as of a request."""
    fields = {
        "method": entry.method,
        "resource": "/".join(entry.segments[:2]),
        "status": answer.status,
        "request": request.request_id,
        "subject": request.log.get("subject"),
        **made(answer.location),
        **log,
    }
    logger.info("entry", extra={"fields": fields})
    return answer


def _batch(request: Request, given: list[Any]) -> list[Answer]:
    def answer(numbered: tuple[int, Any]) -> Answer:
        index, sent = numbered
        try:
            entry = entries.read(index, sent, request.base_url)
            return alone(_with_own_key(request, index), entry)
        except FhirError as error:
            return Answer(error.status, outcome=serialise(operation_outcome(error)))

    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(answer, enumerate(given)))


def _with_own_key(request: Request, index: int) -> Request:
    """The bundle's Idempotency-Key makes one for each of its entries."""
    if key := idempotency.key_of(request):
        own = hashlib.sha256(f"{key}#{index}".encode()).hexdigest()
        return replace(request, headers={**request.headers, idempotency.HEADER: own})
    return request
