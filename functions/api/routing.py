"""Finds the interaction that answers a request, among those of `functions/api/routes.py`."""

from collections.abc import Mapping

from functions.api.routes import BY_UPLOADS, NOT_ON_BINARY, ROUTES, Call, Route
from functions.shared.access import require
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response, fhir, negotiate
from functions.shared.identity import authenticate
from functions.shared.resources import ID, RESOURCE_TYPES

_METADATA_SECONDS = 300  # how long the edge and clients may keep it
_ELSEWHERE = BY_UPLOADS | NOT_ON_BINARY

_BY_TEMPLATE: Mapping[str, Mapping[str, Route]] = {
    template: {found.method: found for found in ROUTES if found.template == template}
    for template in dict.fromkeys(found.template for found in ROUTES)
}
_WORDS = frozenset(
    segment
    for template in _BY_TEMPLATE
    for segment in template.split("/")
    if segment and not segment.startswith("{")
)
"""Segments of a path that are no values."""


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
