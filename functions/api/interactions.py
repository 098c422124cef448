"""The interactions on one resource: create, read, vread, update, delete.

https://hl7.org/fhir/R4/http.html. What it leaves to the server: a PUT to an unknown id is 405,
since ids are the server's; a PUT to a deleted resource brings it back (201), but with If-Match it
is 410.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from functions.shared import consistency, headers, store
from functions.shared.access import PRIVATE_TYPES, require_owner
from functions.shared.errors import FhirError, quote
from functions.shared.http import (
    MAX_ANSWER_BYTES,
    Request,
    Response,
    fhir,
    resource_of,
    size_in_answer,
)
from functions.shared.identity import Identity
from functions.shared.resources import instant, new_id, serialise, stamp
from functions.shared.store import Stale, Version
from functions.shared.validation import validate

_TRIES = 5
"""How often a write without If-Match is tried when others write at the same time."""

_VERSION = re.compile(r"[1-9]\d{0,14}")
_NOT_DELETED_YET = "GET, HEAD, DELETE"


def create(request: Request, identity: Identity, resource_type: str) -> Response:
    """201. The server chooses the id; a client's is ignored."""
    if "if-none-exist" in request.headers:
        raise FhirError(400, "not-supported", "Conditional create isn't supported.")
    resource = _resource(request, resource_type)
    version = _version(resource, resource_type, new_id(), 1, owner=identity.subject)
    store.create(version)
    return _written(request, version, created=True)


def read(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """200, or 304 when the client has this version already."""
    version = store.latest(f"{resource_type}/{resource_id}")
    if version is None:
        raise _unknown(resource_type, resource_id)
    require_owner(identity, resource_type, version.owner)
    headers.require_alive(version)
    return _answer(request, version)


def vread(
    request: Request, identity: Identity, resource_type: str, resource_id: str, number: str
) -> Response:
    """200 with the version of that number."""
    version = None
    if _VERSION.fullmatch(number):
        version = store.read(f"{resource_type}/{resource_id}", int(number))
    if version is None:
        raise _unknown(resource_type, resource_id)
    require_owner(identity, resource_type, version.owner)
    headers.require_alive(version)
    return _answer(request, version)


def update(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """200 with the new version; 201 when that brought a deleted resource back.

    With If-Match 412 unless it names the latest version. Without, the last writer wins, in order.
    """
    matched = headers.if_match(request)
    resource = _resource(request, resource_type)
    if resource.get("id") != resource_id:
        raise FhirError(
            400,
            "value",
            f"The resource's id must be {quote(resource_id)}, as in the URL.",
            expression=[f"{resource_type}.id"],
        )
    if matched is not None and resource_type not in PRIVATE_TYPES:
        # Nobody's ownership matters here, so what is stored needn't be read first.
        version = _version(resource, resource_type, resource_id, matched + 1)
        store.append(version)
        return _written(request, version)
    for _ in range(_TRIES):
        last = store.latest(f"{resource_type}/{resource_id}")
        if last is None:
            raise FhirError(
                405,
                "not-supported",
                "Ids are given by the server: create the resource with POST.",
                headers={"Allow": _NOT_DELETED_YET},
            )
        require_owner(identity, resource_type, last.owner)
        if last.erased or matched is not None:
            headers.require_alive(last)
        if matched not in (None, last.version):
            raise Stale
        version = _version(
            resource, resource_type, resource_id, last.version + 1, last.owner, last.dataset
        )
        try:
            store.append(version, revive=last.deleted)
        except Stale:
            if matched is not None:
                raise
            continue
        return _written(request, version, created=last.deleted)
    raise _busy()


def delete(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """204, whether or not there was something left to delete."""
    matched = headers.if_match(request)
    pk = f"{resource_type}/{resource_id}"
    for _ in range(_TRIES):
        last = store.latest(pk)
        if last is None:
            return Response(204)
        require_owner(identity, resource_type, last.owner)
        if last.deleted or last.erased:
            return Response(204, headers={"ETag": headers.etag(last)})
        if matched not in (None, last.version):
            raise Stale
        tombstone = Version(
            pk=pk,
            version=last.version + 1,
            body=b"",
            owner=last.owner,
            updated=instant(),
            deleted=True,
            dataset=last.dataset,
        )
        try:
            store.append(tombstone)
        except Stale:
            if matched is not None:
                raise
            continue
        sent = {"ETag": headers.etag(tombstone), **consistency.header([tombstone])}
        return Response(204, headers=sent)
    raise _busy()


def _resource(request: Request, resource_type: str) -> dict[str, Any]:
    """The resource in the body, of the URL's type; its structure isn't checked yet."""
    resource = resource_of(request)
    if resource.get("resourceType") != resource_type:
        raise FhirError(
            400,
            "structure",
            f"The body's resourceType must be {resource_type}, as in the URL.",
            expression=[f"{resource_type}.resourceType"],
        )
    if not isinstance(resource.get("meta", {}), dict):
        raise FhirError(
            400, "structure", "meta must be an object.", expression=[f"{resource_type}.meta"]
        )
    return resource


def _version(
    resource: dict[str, Any],
    resource_type: str,
    resource_id: str,
    number: int,
    owner: str = "",
    dataset: str = "",
) -> Version:
    """The version that a write makes: stamped, valid, and small enough to be served again."""
    updated = instant()
    stamped = stamp(resource, resource_id, number, updated)
    validate(stamped)
    body = serialise(stamped)
    if size_in_answer(body) > MAX_ANSWER_BYTES:
        raise FhirError(413, "too-long", "The resource is too large.")
    return Version(
        pk=f"{resource_type}/{resource_id}",
        version=number,
        body=body,
        owner=owner,
        updated=updated,
        dataset=dataset,
    )


def _answer(request: Request, version: Version) -> Response:
    if _is_known(request, version):
        return Response(304, headers=headers.of_version(version))
    return fhir(200, version.body, headers.of_version(version))


def _written(request: Request, version: Version, *, created: bool = False) -> Response:
    """The answer to a write, as `Prefer: return=…` asks for it."""
    status = 201 if created else 200
    sent = {**headers.of_version(version), **consistency.header([version])}
    if created:
        sent["Location"] = f"{request.base_url}/{version.pk}/_history/{version.version}"
    match headers.preference(request, "return"):
        case "minimal":
            return Response(status, headers=sent)
        case "operationoutcome":
            issue = {"severity": "information", "code": "informational"}
            return fhir(status, {"resourceType": "OperationOutcome", "issue": [issue]}, sent)
    return fhir(status, version.body, sent)


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


def _busy() -> FhirError:
    return FhirError(409, "conflict", "Others are changing the resource; try again.")
