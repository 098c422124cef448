"""What a write makes: the next version of a resource, stamped, valid, and fit to be served again.

Nothing here is stored: interactions on one resource and bundles do that, each in its own way.
"""

from __future__ import annotations

from typing import Any

from functions.shared import headers
from functions.shared.errors import FhirError, quote
from functions.shared.http import MAX_ANSWER_BYTES, size_in_answer
from functions.shared.items import Version
from functions.shared.resources import ID, instant, serialise, stamp
from functions.shared.store import Stale
from functions.shared.validation import validate


def require_type(resource: dict[str, Any], resource_type: str) -> dict[str, Any]:
    """The resource, if it is of that type; its structure isn't checked yet."""
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


def require_id(resource: dict[str, Any], resource_id: str) -> None:
    """400 unless it is the id of the resource in the body, too."""
    if resource.get("id") != resource_id:
        raise FhirError(
            400,
            "value",
            f"The resource's id must be {quote(resource_id)}, as in the URL.",
            expression=[f"{resource['resourceType']}.id"],
        )


def given_id(resource: dict[str, Any]) -> str:
    """The id in a body, when it is one that a client may choose."""
    resource_id = resource.get("id")
    if not isinstance(resource_id, str) or not ID.fullmatch(resource_id):
        path = f"{resource['resourceType']}.id"
        raise FhirError(400, "value", f"{path} can't be an id.", expression=[path])
    return resource_id


def require_match(last: Version, matched: int | None) -> None:
    """412 unless `last` is the version that If-Match names; 410 when that isn't alive."""
    if last.erased or matched is not None:
        headers.require_alive(last)
    if matched not in (None, last.version):
        raise Stale


def draft(
    resource: dict[str, Any], resource_id: str, number: int, owner: str = "", dataset: str = ""
) -> Version:
    """The version of that number. 400 unless it is valid, 413 when it is too large."""
    updated = instant()
    stamped = stamp(resource, resource_id, number, updated)
    validate(stamped)
    body = serialise(stamped)
    if size_in_answer(body) > MAX_ANSWER_BYTES:
        raise FhirError(413, "too-long", "The resource is too large.")
    return Version(
        pk=f"{resource['resourceType']}/{resource_id}",
        version=number,
        body=body,
        owner=owner,
        updated=updated,
        dataset=dataset,
    )


def successor(resource: dict[str, Any], last: Version) -> Version:
    """The version after `last`, with its owner."""
    resource_id = last.pk.partition("/")[2]
    return draft(resource, resource_id, last.version + 1, last.owner, last.dataset)
