"""The interactions on one resource: create, read, vread, update, patch, delete.

https://hl7.org/fhir/R4/http.html. What it leaves to the server: a PUT to an unknown id makes the
resource if the stack is configured so, else it is 405, since ids are the server's; a PUT to a
deleted resource brings it back (201), but with If-Match it is 410.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from functions.api import idempotency, json_patch, writes
from functions.api.decisions import decided
from functions.api.idempotency import Made
from functions.shared import consistency, evidence, grants, headers, items, store
from functions.shared.access import PRIVATE_TYPES, require_owner
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response, fhir, resource_of
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.resources import new_id
from functions.shared.store import Action, ActionRefused, Stale, Taken

_TRIES = 5
"""How often a write without If-Match is tried when others write at the same time."""

_VERSION = re.compile(r"[1-9]\d{0,14}")
_NOT_CREATED_YET = "GET, HEAD, DELETE"


def create(request: Request, identity: Identity, resource_type: str) -> Response:
    """201. The server chooses the id; a client's is ignored."""
    before = idempotency.made_before(request, identity)
    if before is None:
        resource = body_of(request, resource_type)
        draft = writes.draft(resource, new_id(), 1, identity.subject)
        version, also, events = decided(request, identity, None, draft)
        also = [*idempotency.actions(request, identity, [record(version)]), *also]
        try:
            evidence.recorded(events, lambda records: store.create(version, [*also, *records]))
        except ActionRefused as refused:
            before = idempotency.made_by(request, refused.item)
        else:
            return written(request, version, created=True)
    return answered_before(request, before)


def record(version: Version) -> Made:
    """What a create came to."""
    return Made(0, 201, version.pk, version.version)


def answered_before(request: Request, before: Sequence[Made]) -> Response:
    """The answer that a create with an Idempotency-Key got when it was sent first."""
    [made] = before
    version = store.read(made.pk, made.version)
    if version is None:
        raise FhirError(410, "deleted", "What this request made was erased.")
    return written(request, version, created=True)


def read(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """200, or 304 when the client has this version already."""
    version = store.latest(f"{resource_type}/{resource_id}")
    if version is None:
        raise _unknown(resource_type, resource_id)
    return _shown(request, identity, version)


def vread(
    request: Request, identity: Identity, resource_type: str, resource_id: str, number: str
) -> Response:
    """200 with the version of that number."""
    version = None
    if _VERSION.fullmatch(number):
        version = store.read(f"{resource_type}/{resource_id}", int(number))
    if version is None:
        raise _unknown(resource_type, resource_id)
    return _shown(request, identity, version)


def _shown(request: Request, identity: Identity, version: Version) -> Response:
    consents = grants.require_sight(identity, version)
    headers.require_alive(version)
    evidence.note_read(identity, version, consents)
    return _answer(request, version)


def update(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """200 with the new version; 201 when that made the resource or brought a deleted one back.

    With If-Match 412 unless it names the latest version. Without, the last writer wins, in order.
    """
    matched = headers.if_match(request)
    resource = body_of(request, resource_type)
    writes.require_id(resource, resource_id)
    if matched is not None and resource_type not in PRIVATE_TYPES:
        # Nobody's ownership matters here, so what is stored needn't be read first.
        version = writes.draft(resource, resource_id, matched + 1)
        store.append(version)
        return written(request, version)

    def following(last: Version | None) -> Version:
        if last is not None:
            writes.require_match(last, matched)
            return writes.successor(resource, last)
        if matched is not None:
            raise Stale
        require_update_create(resource_type)
        return writes.draft(resource, resource_id, 1, identity.subject)

    pk = f"{resource_type}/{resource_id}"
    last, version = change(request, identity, pk, following, matched)
    return written(request, version, created=last is None or last.deleted)


def patch(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """200 with the version that a JSON Patch makes of the latest one."""
    matched = headers.if_match(request)
    operations = json_patch.operations_of(request)

    def following(last: Version | None) -> Version:
        if last is None:
            raise _unknown(resource_type, resource_id)
        return json_patch.patched(operations, last, matched)

    pk = f"{resource_type}/{resource_id}"
    _, version = change(request, identity, pk, following, matched, body=True)
    return written(request, version)


def delete(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """204, whether or not there was something left to delete."""
    matched = headers.if_match(request)

    def following(last: Version | None) -> Version:
        if last is None or last.deleted or last.erased:
            raise _Gone(last)
        writes.require_match(last, matched)
        return items.tombstone(last)

    try:
        pk = f"{resource_type}/{resource_id}"
        _, version = change(request, identity, pk, following, matched)
    except _Gone as gone:
        return removed(request, gone.last)
    return removed(request, version, consistency.header([version]))


def change(
    request: Request,
    identity: Identity,
    pk: str,
    following: Callable[[Version | None], Version],
    matched: int | None,
    *,
    body: bool = False,
) -> tuple[Version | None, Version]:
    """Writes what `following` makes of the latest version: (that one, the new one).

    `body`: whether it needs that version's body, without which a damaged one can be replaced.
    403 on private resources of others. Without If-Match it is tried again when others were faster.
    """
    for _ in range(_TRIES):
        last = store.latest(pk, body=body)
        if last is not None:
            require_owner(identity, pk.partition("/")[0], last.owner)
        version, also, events = decided(request, identity, last, following(last))
        try:
            evidence.recorded(events, partial(_write, last, version, also))
        except (Stale, Taken):
            if matched is not None:
                raise
        else:
            return last, version
    raise FhirError(409, "conflict", "Others are changing the resource; try again.")


def _write(
    last: Version | None, version: Version, also: Sequence[Action], records: Sequence[Action]
) -> None:
    if last is None:
        store.create(version, [*also, *records])
    else:
        store.append(version, [*also, *records], revive=last.deleted)


class _Gone(Exception):
    """There is nothing to delete; `last` is the tombstone, if any."""

    def __init__(self, last: Version | None) -> None:
        self.last = last


def updates_create(resource_type: str) -> bool:
    """Whether a PUT to an unknown id makes the resource, by the stack's configuration.

    Never one of a private type: nobody can guess the ids that the server gives.
    """
    return os.environ.get("UPDATE_CREATE") == "true" and resource_type not in PRIVATE_TYPES


def require_update_create(resource_type: str) -> None:
    """405 unless ids of the type may be the clients'."""
    if not updates_create(resource_type):
        raise FhirError(
            405,
            "not-supported",
            "Ids are given by the server: create the resource with POST.",
            headers={"Allow": _NOT_CREATED_YET},
        )


def body_of(request: Request, resource_type: str) -> dict[str, Any]:
    """The resource in the body, of the URL's type; its structure isn't checked yet."""
    return writes.require_type(resource_of(request), resource_type)


def _answer(request: Request, version: Version) -> Response:
    if _is_known(request, version):
        return Response(304, headers=headers.of_version(version))
    body = version.body
    if any(name in ("_summary", "_elements") for name, _ in request.query):
        from functions.api import elements  # here, since few reads need it

        body = elements.of_request(request.query, body)
    return fhir(200, body, headers.of_version(version))


def written(request: Request, version: Version, *, created: bool = False) -> Response:
    """The answer to a write, as `Prefer: return=…` asks for it."""
    status = 201 if created else 200
    sent = {**headers.of_version(version), **consistency.header([version])}
    if created:
        sent["Location"] = location(request, version)
    match headers.preference(request, "return"):
        case "minimal":
            return Response(status, headers=sent)
        case "operationoutcome":
            return fhir(status, success(), sent)
    return fhir(status, version.body, sent)


def location(request: Request, version: Version) -> str:
    """The address of a version."""
    return f"{request.base_url}/{version.pk}/_history/{version.version}"


def removed(
    request: Request, last: Version | None, sent: Mapping[str, str] | None = None
) -> Response:
    """The answer to a deletion: 204, or 200 with an outcome if that is preferred."""
    sent = {**({"ETag": headers.etag(last)} if last else {}), **(sent or {})}
    if headers.preference(request, "return") == "operationoutcome":
        return fhir(200, success(), sent)
    return Response(204, headers=sent)


def success(diagnostics: str = "Done.") -> dict[str, Any]:
    """The OperationOutcome of something that went well."""
    issue = {"severity": "information", "code": "informational", "diagnostics": diagnostics}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _is_known(request: Request, version: Version) -> bool:
    """Whether the client has the version, by If-None-Match or else If-Modified-Since."""
    if known := request.headers.get("if-none-match"):
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return "*" in tags or f'"{version.version}"' in tags
    if since := request.headers.get("if-modified-since"):
        try:
            limit = parsedate_to_datetime(since)
        except (ValueError, OverflowError):
            return False  # as RFC 9110 asks: an invalid date is no condition
        aware = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
        return headers.updated(version).replace(microsecond=0) <= aware
    return False


def _unknown(resource_type: str, resource_id: str) -> FhirError:
    return FhirError(404, "not-found", f"There is no {resource_type} {quote(resource_id)}.")
