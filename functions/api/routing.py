"""Which interaction answers a request: one table, of which the CapabilityStatement tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl

from functions.api import interactions
from functions.shared.access import Operation, require
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response, fhir, negotiate
from functions.shared.identity import Identity, authenticate
from functions.shared.resources import ID, RESOURCE_TYPES

_FORM = "application/x-www-form-urlencoded"
_MAX_PARAMETERS = 1000
_METADATA_SECONDS = 300  # how long the edge and clients may keep it

BY_UPLOADS = frozenset({"create", "read", "vread", "update", "delete"})
"""Interactions on Binary, which the gateway gives to functions/uploads."""

NOT_ON_BINARY = frozenset({"patch"})
"""Interactions that Binary doesn't have: its versions are those of its bytes."""

_ELSEWHERE = BY_UPLOADS | NOT_ON_BINARY


class Route(NamedTuple):
    """A method on a path. `code` is the interaction's in the CapabilityStatement, if it has one."""

    method: str
    template: str
    code: str
    operation: Operation | None
    answer: Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Call:
    """A routed request and the values of its path."""

    request: Request
    identity: Identity
    resource_type: str
    resource_id: str
    version: str
    member: str


def route(request: Request) -> Response:
    """Answers a request: `/metadata` for everybody, all else for those with an ID token."""
    negotiate(request)
    segments = tuple(request.path.strip("/").split("/")) if request.path.strip("/") else ()
    method = "GET" if request.method == "HEAD" else request.method
    if segments == ("metadata",):
        request.log["route"] = "/metadata"
        return _metadata(request, method)
    identity = authenticate(request)
    template, values = _match(segments)
    request.log["route"] = template
    if kind := values.get("type"):
        request.log["resource"] = "/".join(filter(None, (kind, values.get("id"))))
    found = _BY_TEMPLATE[template].get(method)
    if found is None or (kind == "Binary" and found.code in _ELSEWHERE):
        raise _not_allowed(template, kind)
    if kind and found.operation:
        require(identity, found.operation, kind)
    get = values.get
    call = Call(
        request, identity, get("type", ""), get("id", ""), get("version", ""), get("member", "")
    )
    return found.answer(call)


def _match(segments: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The template of a path and its values. 404 for a path that no template has."""
    values: dict[str, str] = {}
    names = []
    for position, segment in enumerate(segments):
        if segment in _WORDS:
            names.append(segment)
            continue
        name = ("type", "id", "member", "version")[min(position, 2 if position > 3 else position)]
        values[name] = segment
        names.append(f"{{{name}}}")
    template = "/" + "/".join(names)
    if operation := next((s for s in values.values() if s.startswith("$")), ""):
        raise FhirError(404, "not-supported", f"There is no operation {quote(operation)} here.")
    if template not in _BY_TEMPLATE:
        raise FhirError(404, "not-found", "There is nothing at this path.")
    if "type" in values and values["type"] not in RESOURCE_TYPES:
        raise FhirError(
            404, "not-supported", f"{quote(values['type'])} isn't a resource type of FHIR R4."
        )
    if "id" in values and not ID.fullmatch(values["id"]):
        raise FhirError(404, "not-found", f"{quote(values['id'])} can't be an id.")
    return template, values


def _not_allowed(template: str, kind: str | None) -> FhirError:
    methods = [
        method
        for method, found in _BY_TEMPLATE[template].items()
        if not (kind == "Binary" and found.code in _ELSEWHERE)
    ]
    allow = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
    return FhirError(
        405,
        "not-supported",
        f"The server doesn't support this method here; it supports: {allow or 'none'}.",
        headers={"Allow": allow},
    )


def _metadata(request: Request, method: str) -> Response:
    if method != "GET":
        raise FhirError(405, "not-supported", "Use GET or HEAD.", headers={"Allow": "GET, HEAD"})
    from functions.api import capability  # here, since nothing else needs it

    return fhir(
        200,
        capability.statement(request.base_url),
        {"Cache-Control": f"public, max-age={_METADATA_SECONDS}"},
    )


def _openapi(call: Call) -> Response:
    from functions.api import openapi

    return openapi.answer(call.request)


def _create(call: Call) -> Response:
    if "if-none-exist" in call.request.headers:
        return _create_unmatched(call)
    return interactions.create(call.request, call.identity, call.resource_type)


def _read(call: Call) -> Response:
    return interactions.read(call.request, call.identity, call.resource_type, call.resource_id)


def _vread(call: Call) -> Response:
    return interactions.vread(
        call.request, call.identity, call.resource_type, call.resource_id, call.version
    )


def _update(call: Call) -> Response:
    return interactions.update(call.request, call.identity, call.resource_type, call.resource_id)


def _patch(call: Call) -> Response:
    return interactions.patch(call.request, call.identity, call.resource_type, call.resource_id)


def _delete(call: Call) -> Response:
    return interactions.delete(call.request, call.identity, call.resource_type, call.resource_id)


def _create_unmatched(call: Call) -> Response:
    from functions.api import conditional  # here, as search

    return conditional.create(call.request, call.identity, call.resource_type)


def _update_matching(call: Call) -> Response:
    from functions.api import conditional

    return conditional.update(call.request, call.identity, call.resource_type)


def _patch_matching(call: Call) -> Response:
    from functions.api import conditional

    return conditional.patch(call.request, call.identity, call.resource_type)


def _delete_matching(call: Call) -> Response:
    from functions.api import conditional

    return conditional.delete(call.request, call.identity, call.resource_type)


def _validate(call: Call) -> Response:
    from functions.api import validate

    return validate.check(call.request, call.identity, call.resource_type, call.resource_id)


def _bundle(call: Call) -> Response:
    from functions.api import bundles

    return bundles.process(call.request, call.identity)


def _history(call: Call) -> Response:
    from functions.api import history  # here, as search

    return history.history(call.request, call.identity, call.resource_type, call.resource_id)


def _search(call: Call) -> Response:
    from functions.api import search  # here, since reads and writes don't need it

    parameters = _parameters(call.request)
    return search.search(call.request, call.identity, call.resource_type or None, parameters)


def _search_compartment(call: Call) -> Response:
    from functions.api import compartments  # here, as search

    compartment = (call.resource_type, call.resource_id)
    parameters = _parameters(call.request)
    return compartments.search(call.request, call.identity, compartment, call.member, parameters)


def _everything(call: Call) -> Response:
    from functions.api import compartments  # here, as search

    if call.resource_type != "Patient":
        raise FhirError(404, "not-supported", "Only a Patient has the operation $everything.")
    return compartments.everything(
        call.request, call.identity, call.resource_id, call.request.query
    )


def _erase(call: Call) -> Response:
    from functions.api import erase  # here, since few requests need it

    return erase.erase(call.request, call.identity, call.resource_type, call.resource_id)


def _export(call: Call) -> Response:
    from functions.api import bulk_export  # here, since few requests need it

    return bulk_export.export(call.request, call.identity, call.resource_type, call.resource_id)


def _import(call: Call) -> Response:
    from functions.api import bulk_import

    return bulk_import.start(call.request, call.identity)


def _job_status(call: Call) -> Response:
    from functions.api import bulk

    return bulk.status(call.request, call.identity, call.resource_id)


def _job_cancel(call: Call) -> Response:
    from functions.api import bulk

    return bulk.cancel(call.request, call.identity, call.resource_id)


def _evidence(call: Call) -> Response:
    from functions.api import evidence  # here, since few requests need it

    if call.resource_type != "DocumentReference":
        raise FhirError(404, "not-supported", "Only a DocumentReference has evidence.")
    return evidence.export(call.request, call.identity, call.resource_id)


def _attach(call: Call) -> Response:
    from functions.api import attachments  # here, since few requests need it

    _require_dataset(call)
    return attachments.attach(call.request, call.identity, call.resource_id)


def _detach(call: Call) -> Response:
    from functions.api import attachments

    _require_dataset(call)
    return attachments.detach(call.request, call.identity, call.resource_id)


def _attached(call: Call) -> Response:
    from functions.api import attachments

    _require_dataset(call)
    return attachments.attached(call.request, call.identity)


def _require_dataset(call: Call) -> None:
    if call.resource_type != "DocumentReference":
        raise FhirError(404, "not-supported", "Only a DocumentReference is attached.")


def _parameters(request: Request) -> list[tuple[str, str]]:
    """Of a search: from the URL, and from a form that was posted."""
    return [*request.query, *(_form(request) if request.method == "POST" else ())]


def _form(request: Request) -> list[tuple[str, str]]:
    if not request.body:
        return []
    media_type = request.headers.get("content-type", _FORM).split(";")[0].strip().lower()
    if media_type != _FORM:
        raise FhirError(415, "not-supported", f"Send the parameters as {_FORM}.")
    try:
        return parse_qsl(
            request.body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise FhirError(400, "structure", "The form isn't valid, or too long.") from None


ROUTES = (
    Route("GET", "/openapi.json", "", None, _openapi),
    Route("GET", "/", "search-system", "search", _search),
    Route("POST", "/", "batch", None, _bundle),
    Route("POST", "/", "transaction", None, _bundle),
    Route("POST", "/_search", "search-system", "search", _search),
    Route("GET", "/{type}", "search-type", "search", _search),
    Route("POST", "/{type}/_search", "search-type", "search", _search),
    Route("GET", "/{type}/{id}/{member}", "", "search", _search_compartment),
    Route("POST", "/{type}/{id}/{member}/_search", "", "search", _search_compartment),
    Route("GET", "/{type}/{id}/$everything", "", "read", _everything),
    Route("POST", "/{type}/{id}/$everything", "", "read", _everything),
    Route("GET", "/{type}/{id}/$evidence", "", "read", _evidence),
    Route("POST", "/{type}/{id}/$attach", "", "attach", _attach),
    Route("POST", "/{type}/{id}/$detach", "", "attach", _detach),
    Route("GET", "/{type}/$attached", "", "attach", _attached),
    Route("GET", "/$export", "", None, _export),
    Route("POST", "/$export", "", None, _export),
    Route("GET", "/{type}/$export", "", "export", _export),
    Route("POST", "/{type}/$export", "", "export", _export),
    Route("GET", "/{type}/{id}/$export", "", "export", _export),
    Route("POST", "/{type}/{id}/$export", "", "export", _export),
    Route("GET", "/$export/{id}", "", None, _job_status),
    Route("DELETE", "/$export/{id}", "", None, _job_cancel),
    Route("POST", "/$import", "", None, _import),
    Route("GET", "/$import/{id}", "", None, _job_status),
    Route("DELETE", "/$import/{id}", "", None, _job_cancel),
    Route("POST", "/{type}/$validate", "", "create", _validate),
    Route("POST", "/{type}/{id}/$erase", "", "erase", _erase),
    Route("POST", "/{type}/{id}/$validate", "", "update", _validate),
    Route("POST", "/{type}", "create", "create", _create),
    Route("GET", "/{type}/{id}", "read", "read", _read),
    Route("GET", "/{type}/{id}/_history/{version}", "vread", "vread", _vread),
    Route("GET", "/_history", "history-system", "history", _history),
    Route("GET", "/{type}/_history", "history-type", "history", _history),
    Route("GET", "/{type}/{id}/_history", "history-instance", "history", _history),
    Route("PUT", "/{type}/{id}", "update", "update", _update),
    Route("PUT", "/{type}", "update", "update", _update_matching),
    Route("PATCH", "/{type}/{id}", "patch", "patch", _patch),
    Route("PATCH", "/{type}", "patch", "patch", _patch_matching),
    Route("DELETE", "/{type}/{id}", "delete", "delete", _delete),
    Route("DELETE", "/{type}", "delete", "delete", _delete_matching),
)
"""Every interaction but `capabilities`."""

_WORDS = frozenset(
    {
        "_history",
        "_search",
        "openapi.json",
        "$attach",
        "$attached",
        "$detach",
        "$erase",
        "$everything",
        "$evidence",
        "$export",
        "$import",
        "$validate",
    }
)
"""Segments of a path that are no values."""

_BY_TEMPLATE: Mapping[str, Mapping[str, Route]] = {
    template: {found.method: found for found in ROUTES if found.template == template}
    for template in dict.fromkeys(found.template for found in ROUTES)
}
