"""The operation $import: resources from files of ndjson, which the caller uploaded before.

The request is a resource Parameters, as other servers have it: `inputFormat`, and for each file an
`input` with the parts `url` (`Binary/{id}`) and, if all its resources are of one, `type`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from functions.api import bulk
from functions.api.bulk_export import FORMATS
from functions.bulk.jobs import Import, Input
from functions.shared import access, store
from functions.shared.access import PRIVATE_TYPES
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response, resource_of
from functions.shared.identity import Identity
from functions.shared.resources import ID, RESOURCE_TYPES
from functions.uploads import records

MAX_INPUTS = 500

_PARALLEL = 8


def start(request: Request, identity: Identity) -> Response:
    """202 with the address of the job. 422 for what isn't an available Binary of the caller's."""
    if not access.readable_types(identity, "import"):
        raise FhirError(403, "forbidden", "Your groups don't allow import.")
    bulk.require_asynchronous(request)
    asked = _inputs(resource_of(request), request.base_url)

    def found(one: tuple[str, str]) -> Input:
        return _input(identity, *one)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        inputs = tuple(pool.map(found, asked))
    return bulk.start(bulk.job_of(request, identity, Import(inputs)))


def _inputs(parameters: dict[str, Any], base_url: str) -> list[tuple[str, str]]:
    """(id of a Binary, type or "") of each input."""
    given = parameters.get("parameter")
    if parameters.get("resourceType") != "Parameters" or not isinstance(given, list):
        raise FhirError(400, "structure", "The body must be a resource Parameters.")
    found: list[tuple[str, str]] = []
    for each in given:
        name = each.get("name") if isinstance(each, dict) else None
        if name == "input":
            parts = each.get("part")
            told = dict(map(_named, parts if isinstance(parts, list) else ()))
            found.append((_binary(told.get("url", ""), base_url), _type(told.get("type", ""))))
        elif name == "inputFormat":
            if _named(each)[1] not in FORMATS:
                raise _invalid("inputFormat is application/fhir+ndjson.")
        elif name != "inputSource":
            raise FhirError(400, "not-supported", f"The parameter {quote(name)} isn't supported.")
    if not found:
        raise FhirError(400, "required", "Name at least one file: a parameter input with a url.")
    if len(found) > MAX_INPUTS:
        raise FhirError(422, "too-costly", f"At most {MAX_INPUTS} files at once.")
    return found


def _named(parameter: Any) -> tuple[str, str]:
    """Name and value of a parameter or a part of one."""
    if not isinstance(parameter, dict):
        raise FhirError(400, "structure", "A parameter must be an object.")
    values = (value for member, value in parameter.items() if member.startswith("value"))
    return str(parameter.get("name")), str(next(values, ""))


def _binary(url: str, base_url: str) -> str:
    name = url.removeprefix(f"{base_url}/")
    kind, _, binary_id = name.partition("/")
    if kind != "Binary" or not ID.fullmatch(binary_id):
        raise _invalid(f"The url of an input is Binary/id, not {quote(url)}.")
    return binary_id


def _type(name: str) -> str:
    if name and name not in RESOURCE_TYPES - PRIVATE_TYPES:
        raise _invalid(f"Resources of type {quote(name)} can't be imported.")
    return name


def _input(identity: Identity, binary_id: str, type_: str) -> Input:
    last = store.latest(f"Binary/{binary_id}", body=False)
    # Of the caller's own, also for those who may see others': an import says what is the caller's.
    if last is None or last.deleted or last.erased or last.owner != identity.subject:
        raise FhirError(422, "not-found", f"You have no Binary {quote(binary_id)}.")
    for upload in records.newest_first(binary_id):
        received = upload.received
        if upload.status == "available" and received and upload.bucket:
            return Input(
                binary=binary_id,
                version=upload.version,
                bucket=upload.bucket,
                key=upload.key,
                size=received.size,
                etag=received.etag,
                type=type_,
            )
    raise FhirError(422, "not-found", f"The bytes of Binary {quote(binary_id)} aren't available.")


def _invalid(diagnostics: str) -> FhirError:
    return FhirError(400, "value", diagnostics)
