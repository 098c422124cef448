"""JSON Patch (RFC 6902) on resources: https://hl7.org/fhir/R4/http.html#patch."""

from __future__ import annotations

from typing import Any

from functions.api import writes
from functions.shared import headers
from functions.shared.errors import FhirError, quote
from functions.shared.http import MAX_BODY_BYTES, Request
from functions.shared.items import Version
from functions.shared.resources import parse, parse_any, serialise

JSON_PATCH = "application/json-patch+json"

MAX_OPERATIONS = 1_000
"""Each may copy the whole resource."""

Operations = list[dict[str, Any]]


def operations_of(request: Request) -> Operations:
    """The operations in a request's body. 415 for other patches, 400 for what is none."""
    require_media_type(request.headers.get("content-type", ""))
    return operations_in(request.body)


def require_media_type(value: str) -> None:
    """415 for patches of another kind."""
    if value.split(";")[0].strip().lower() != JSON_PATCH:
        raise FhirError(
            415,
            "not-supported",
            f"Send the patch as {JSON_PATCH}.",
            headers={"Accept-Patch": JSON_PATCH},
        )


def operations_in(body: bytes) -> Operations:
    """The operations in a JSON text."""
    operations = parse_any(body)
    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations):
        raise FhirError(400, "structure", "A JSON Patch is an array of operations.")
    if len(operations) > MAX_OPERATIONS:
        raise FhirError(422, "too-costly", f"A patch has at most {MAX_OPERATIONS} operations.")
    return operations


def patched(operations: Operations, last: Version, matched: int | None) -> Version:
    """The version after `last` that the operations make; errors as of `resource_after`."""
    return writes.successor(resource_after(operations, last, matched), last)


def resource_after(operations: Operations, last: Version, matched: int | None) -> dict[str, Any]:
    """What the operations make of a version's resource.

    410 when it was deleted, 412 unless If-Match names it, 422 when an operation can't be done.
    """
    headers.require_alive(last)
    writes.require_match(last, matched)
    resource_type, _, resource_id = last.pk.partition("/")
    resource = _apply(operations, parse(last.body))
    if not isinstance(resource, dict) or (
        (resource.get("resourceType"), resource.get("id")) != (resource_type, resource_id)
    ):
        raise _refused(f"a patch leaves resourceType and id of {quote(last.pk)} as they are")
    return writes.require_type(resource, resource_type)


def _apply(operations: Operations, document: Any) -> Any:
    from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchException  # nothing else needs it
    from jsonpointer import JsonPointerException

    for number, operation in enumerate(operations):
        try:
            document = JsonPatch([operation]).apply(document, in_place=True)
        except InvalidJsonPatch as error:
            raise FhirError(400, "structure", f"Operation {number}: {_reason(error)}.") from None
        except (JsonPatchException, JsonPointerException) as error:
            raise _refused(f"operation {number}: {_reason(error)}") from None
        except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
            raise _refused(f"operation {number} doesn't fit the resource") from None
        # Copies of copies double what they copy: small patches would fill the memory.
        if operation["op"] == "copy" and len(serialise(document)) > MAX_BODY_BYTES:
            raise FhirError(413, "too-long", "The patch makes the resource too large.")
    return document


def _reason(error: Exception) -> str:
    return quote(error.args[0] if error.args else type(error).__name__)


def _refused(diagnostics: str) -> FhirError:
    return FhirError(422, "processing", f"The patch can't be applied: {diagnostics}.")
