"""Entry point of the uploads function: /Binary, its versions and its operations.

Search and history of Binary belong to functions.api.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Concatenate

from functions.shared import consistency, erasure, headers
from functions.shared.access import Operation, require
from functions.shared.binary_routes import BINARY_ROUTES
from functions.shared.clients import dynamodb
from functions.shared.errors import FhirError
from functions.shared.http import Request, Response, fhir, negotiate, resource_of, respond
from functions.shared.identity import Identity, authenticate
from functions.shared.items import Version
from functions.shared.log import configure
from functions.shared.resources import serialise
from functions.uploads import binary, bucket, members, parts
from functions.uploads.bucket import PutTicket
from functions.uploads.state import Upload

configure()
dynamodb()
bucket.s3()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answers one API Gateway event."""
    return respond(event, context, _route)


def _route(request: Request) -> Response:
    identity = authenticate(request)
    path = request.path.rstrip("/")
    for pattern, methods in _ROUTES.items():
        match = re.fullmatch(pattern, path)
        if match is None:
            continue
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            allowed = ", ".join(methods)
            raise FhirError(405, "not-supported", f"Use {allowed}.", headers={"Allow": allowed})
        request.log["resource"] = "/".join(("Binary", *match.groups()[:1]))
        return methods[method](request, identity, *match.groups())
    raise FhirError(404, "not-found", "There is nothing at this address.")


def _create(request: Request, identity: Identity) -> Response:
    require(identity, "create", "Binary")
    negotiate(request)
    if "if-none-exist" in request.headers:
        raise FhirError(400, "not-supported", "Binary has no conditional create.")
    resource, declared = members.take(_binary_of(request), strict=_strict(request))
    version, upload, put = binary.create(identity, resource, declared, request.base_url)
    return _written(201, request, version, upload, put)


def _read(request: Request, identity: Identity, binary_id: str) -> Response:
    require(identity, "read", "Binary")
    return _answer(request, *binary.read(identity, binary_id))


def _vread(request: Request, identity: Identity, binary_id: str, number: str) -> Response:
    require(identity, "vread", "Binary")
    return _answer(request, *binary.read_version(identity, binary_id, int(number)))


def _update(request: Request, identity: Identity, binary_id: str) -> Response:
    require(identity, "update", "Binary")
    negotiate(request)
    sent = _binary_of(request)
    if sent.get("id") != binary_id:
        raise FhirError(
            400, "invalid", "The id of the body isn't that of the URL.", expression=["Binary.id"]
        )
    resource, declared = members.take(sent, strict=_strict(request))
    version, upload, put, revived = binary.update(
        identity, binary_id, resource, declared, request.base_url, headers.if_match(request)
    )
    return _written(201 if revived else 200, request, version, upload, put)


def _delete(request: Request, identity: Identity, binary_id: str) -> Response:
    require(identity, "delete", "Binary")
    tombstone = binary.delete(identity, binary_id, headers.if_match(request))
    if tombstone is None:
        return Response(204)
    sent = {"ETag": headers.etag(tombstone), **consistency.header([tombstone])}
    return Response(204, headers=sent)


def _erase(request: Request, identity: Identity, binary_id: str) -> Response:
    require(identity, "erase", "Binary")
    return erasure.answer(binary.erase(identity, binary_id))


def _upload_status(request: Request, identity: Identity, binary_id: str) -> Response:
    """The newest version's upload as plain JSON; `received` lists what has arrived."""
    return _status(200, _upload(identity, "read", binary_id))


def _upload_parts(request: Request, identity: Identity, binary_id: str) -> Response:
    """URLs for parts of the newest version's upload."""
    upload = _upload(identity, "update", binary_id)
    tickets = parts.tickets(upload, resource_of(request))
    answer = {
        "version": str(upload.version),
        "parts": [
            {"number": number, "url": put.url, "headers": put.headers} for number, put in tickets
        ],
        "expires": min(put.expires for _, put in tickets),
    }
    return _json(200, answer)


def _complete(request: Request, identity: Identity, binary_id: str) -> Response:
    """Joins the parts; the answer tells the state, as verification comes afterwards."""
    upload = _upload(identity, "update", binary_id)
    parts.complete(upload)
    written = consistency.named([(f"Binary/{upload.binary_id}", upload.version)])
    return _status(202, upload, written)


def _abort(request: Request, identity: Identity, binary_id: str) -> Response:
    parts.abort(_upload(identity, "update", binary_id))
    return Response(204)


def _upload(identity: Identity, operation: Operation, binary_id: str) -> Upload:
    """The newest version's upload, for one of its owner's operations on it."""
    require(identity, operation, "Binary")
    version, uploads = binary.read(identity, binary_id, as_owner=True)
    upload = _of(version, uploads)
    if upload is None:
        raise FhirError(404, "not-found", "This Binary has no upload.")
    return upload


def _status(status: int, upload: Upload, sent: Mapping[str, str] | None = None) -> Response:
    arrived = upload.received
    received = [
        {"number": part.number, "size": part.size, "sha256": part.sha256}
        for part in parts.received(upload)
    ]
    if arrived and not received:
        received = [_present({"number": 1, "size": arrived.size, "sha256": arrived.sha256})]
    answer = {
        "status": upload.status,
        "version": str(upload.version),
        "contentType": upload.content_type,
        "reason": upload.reason,
        "size": upload.size,
        "sha256": upload.sha256,
        "checksum": arrived.checksum if arrived else None,
        "partSize": upload.part_size,
        "received": received,
    }
    return _json(status, _present(answer), sent)


def _json(
    status: int, answer: Mapping[str, Any], sent: Mapping[str, str] | None = None
) -> Response:
    return Response(status, serialise(answer), {"Content-Type": "application/json", **(sent or {})})


def _written(
    status: int, request: Request, version: Version, upload: Upload, put: PutTicket | None
) -> Response:
    if put is None and upload.part_size is None:
        return _answer(request, version, [upload], status, written=True)
    strict = _strict(request)
    answer = _described(upload)
    if put is not None:
        answer |= {
            "presignedPutUrl": put.url,
            "uploadHeaders": put.headers,
            "expires": put.expires,
        }
    resource = members.put(binary.body(version), answer, strict=strict)
    return fhir(status, resource, _headers(request, version, status, written=True))


def _answer(
    request: Request,
    version: Version,
    uploads: list[Upload],
    status: int = 200,
    *,
    written: bool = False,
) -> Response:
    """A version with the newest available bytes among `uploads`, or a redirect to those bytes.

    Never 304: the upload's state and the URL change without a new version.
    """
    upload = _of(version, uploads)
    available = next((u for u in uploads if u.status == "available"), None)
    get = binary.ticket(available) if available else None
    if not written and _wants_bytes(request):
        if get is None:
            state = upload.status if upload else "unknown"
            raise FhirError(404, "not-found", f"No bytes to read: the upload is {state}.")
        return Response(302, headers={"Location": get.url})
    answer: dict[str, Any] = _described(upload) if upload else {"uploadStatus": "expired"}
    if get and available:
        answer |= {
            "presignedGetUrl": get.url,
            "availableVersion": str(available.version),
            "expires": get.expires,
        }
    resource = binary.body(version)
    if upload and (data := binary.inline_data(upload)):
        resource["data"] = data
    resource = members.put(resource, answer, strict=_strict(request))
    return fhir(status, resource, _headers(request, version, status, written=written))


def _described(upload: Upload) -> dict[str, Any]:
    """An upload's members: what is verified once bytes are available, what was declared before."""
    known = upload.received or upload
    return {
        "uploadStatus": upload.status,
        "reason": upload.reason,
        "size": known.size,
        # Of a large file in parts the whole SHA-256 stays its owner's word.
        "sha256": known.sha256 or upload.sha256,
        "checksum": upload.received.checksum if upload.received else None,
        "multipart": True if upload.part_size else None,
        "partSize": upload.part_size,
        "fileName": upload.file_name,
    }


def _of(version: Version, uploads: list[Upload]) -> Upload | None:
    return next((u for u in uploads if u.version == version.version), None)


def _headers(request: Request, version: Version, status: int, *, written: bool) -> dict[str, str]:
    sent = headers.of_version(version) | (consistency.header([version]) if written else {})
    location = f"{request.base_url}/{version.pk}/_history/{version.version}"
    return sent | ({"Location": location} if status == 201 else {})


def _binary_of(request: Request) -> dict[str, Any]:
    resource = resource_of(request)
    if resource.get("resourceType") != "Binary":
        raise FhirError(
            400,
            "structure",
            "The body's resourceType must be Binary, as in the URL.",
            expression=["Binary.resourceType"],
        )
    return resource


def _strict(request: Request) -> bool:
    return headers.preference(request, "handling") == "strict"


def _wants_bytes(request: Request) -> bool:
    """Whether an explicit Accept names other types than FHIR's: then the bytes are meant.

    https://hl7.org/fhir/R4/binary.html#rest. 406 for FHIR in another format than JSON.
    """
    try:
        negotiate(request)
    except FhirError:
        accept = request.headers.get("accept", "").lower()
        if "application/fhir+" in accept or any(name == "_format" for name, _ in request.query):
            raise
        return True
    return False


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


_Answer = Callable[Concatenate[Request, Identity, ...], Response]

_ANSWERS: Mapping[str, _Answer] = {
    "create": _create,
    "read": _read,
    "update": _update,
    "delete": _delete,
    "vread": _vread,
    "upload-status": _upload_status,
    "upload-parts": _upload_parts,
    "complete": _complete,
    "abort": _abort,
    "erase": _erase,
}
_VALUES = {"{id}": r"([A-Za-z0-9\-.]{1,64})", "{version}": "([1-9][0-9]{0,14})"}


def _pattern(template: str) -> str:
    parts = re.split(r"({\w+})", template)
    return "".join(_VALUES.get(part) or re.escape(part) for part in parts)


_ROUTES: Mapping[str, Mapping[str, _Answer]] = {
    _pattern(template): {
        route.method: _ANSWERS[route.name] for route in BINARY_ROUTES if route.template == template
    }
    for template in dict.fromkeys(route.template for route in BINARY_ROUTES)
}
