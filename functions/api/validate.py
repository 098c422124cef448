"""$validate: says of a resource whether it could be stored, and stores nothing.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from __future__ import annotations

from typing import Any

from functions.api import interactions, writes
from functions.shared import access, headers, store
from functions.shared.errors import FhirError, operation_outcome, quote
from functions.shared.http import Request, Response, fhir, resource_of
from functions.shared.identity import Identity
from functions.shared.validation import validate

_MODES = ("create", "update", "delete")
_BASE = "http://hl7.org/fhir/StructureDefinition/"


def check(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """200 with an OperationOutcome, also when it names errors. 422 for profiles: none are known."""
    resource, asked = _asked(request)
    mode, profile = asked.get("mode", ""), asked.get("profile", "")
    if mode and mode not in _MODES:
        raise FhirError(400, "value", f"mode is one of: {', '.join(_MODES)}.")
    if profile not in ("", _BASE + resource_type):
        raise FhirError(422, "not-supported", f"The profile {quote(profile)} isn't known here.")
    try:
        if resource_id and mode != "create":
            _require_there(identity, resource_type, resource_id)
        if mode != "delete":
            _require_valid(resource, resource_type, resource_id if mode != "create" else "")
    except FhirError as error:
        return fhir(200, operation_outcome(error))
    return fhir(200, interactions.success("No issues were found."))


def _asked(request: Request) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """(resource, other parameters): the body is the resource itself, or Parameters that have it."""
    asked = dict(request.query)
    if not request.body:
        return None, asked
    sent = resource_of(request)
    if sent.get("resourceType") != "Parameters":
        return sent, asked
    validate(sent)
    resource = None
    for parameter in sent.get("parameter", ()):
        match parameter:
            case {"name": "resource", "resource": given}:
                resource = given
            case {"name": "mode", "valueCode": str(value)}:
                asked["mode"] = value
            case {"name": "profile", "valueUri": str(value)} | {
                "name": "profile",
                "valueCanonical": str(value),
            }:
                asked["profile"] = value
    return resource, asked


def _require_there(identity: Identity, resource_type: str, resource_id: str) -> None:
    last = store.latest(f"{resource_type}/{resource_id}", body=False)
    if last is None:
        raise FhirError(404, "not-found", f"There is no {resource_type} {quote(resource_id)}.")
    access.require_owner(identity, resource_type, last.owner)
    headers.require_alive(last)


def _require_valid(resource: dict[str, Any] | None, resource_type: str, resource_id: str) -> None:
    if resource is None:
        raise FhirError(400, "required", "There is no resource to validate.")
    writes.require_type(resource, resource_type)
    if resource_id:
        writes.require_id(resource, resource_id)
    validate(resource)
