"""The interactions there are: one table, of which the CapabilityStatement tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl

from functions.api import interactions
from functions.shared.access import Operation
from functions.shared.errors import FhirError
from functions.shared.http import Request, Response
from functions.shared.identity import Identity

_FORM = "application/x-www-form-urlencoded"
_MAX_PARAMETERS = 1000

BY_UPLOADS = frozenset({"create", "read", "vread", "update", "delete"})
"""Interactions on Binary, which the gateway gives to functions/uploads."""

NOT_ON_BINARY = frozenset({"patch"})
"""Interactions that Binary doesn't have: its versions are those of its bytes."""


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
