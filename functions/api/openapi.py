"""The API's OpenAPI 3.1 document, made from the tables that route and search.

Of the whole API with the type as a parameter of the paths; or of some types, each with its own
paths, search parameters and schema: all 146 would be too large for an answer, and for any viewer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from functions.api import openapi_parts as parts
from functions.api.capability import RELEASED
from functions.api.contracts import (
    BINARY_CONTRACTS,
    CONTRACTS,
    METADATA,
    RESOURCE,
    RESULT_PARAMETERS,
    Contract,
)
from functions.api.json_patch import JSON_PATCH
from functions.api.openapi_parts import Schema
from functions.api.routes import BY_UPLOADS, NOT_ON_BINARY, ROUTES, Route
from functions.search.compartments import COMPARTMENTS
from functions.search.compartments import types_of as members_of
from functions.search.parameters import for_type
from functions.shared.binary_routes import BINARY_ROUTES
from functions.shared.errors import FhirError, quote
from functions.shared.http import FHIR_JSON, Request, Response
from functions.shared.resources import RESOURCE_TYPES, serialise
from functions.shared.validation import definitions_of

MAX_TYPES = 20

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_MEDIA_TYPES = {"JsonPatch": JSON_PATCH, "OpenApi": _JSON, "UploadParts": _JSON}
_MEDIA_TYPES |= {"UploadTickets": _JSON, "UploadStatus": _JSON, "BulkManifest": _JSON}
_MEDIA_TYPES |= {"Evidence": "application/x-ndjson"}

_OF_DATASETS = ("$attach", "$detach", "$evidence")
_NAMED = (*_OF_DATASETS, "$everything", "$export")
"""Operations that certain types have."""

_EVERYWHERE = ("_format", "_pretty")

_DESCRIPTION = """FHIR R4 (4.0.1) as JSON. Wherever there is GET, there is HEAD. Every error is an
OperationOutcome. `/openapi.json?_type=Patient,Observation` describes types in detail, with their
search parameters and elements."""


def answer(request: Request) -> Response:
    """200 with the document. 400 for unknown types, 422 for too many of them."""
    names = sorted(
        {
            name.strip()
            for key, value in request.query
            if key == "_type"
            for name in value.split(",")
            if name.strip()
        }
    )
    for name in names:
        if name not in RESOURCE_TYPES:
            raise FhirError(400, "value", f"{quote(name)} isn't a resource type.")
    if len(names) > MAX_TYPES:
        raise FhirError(422, "too-costly", f"Ask for at most {MAX_TYPES} types at once.")
    body = _described(tuple(names))
    servers = serialise({"servers": [{"url": request.base_url}]})
    return Response(200, servers[:-1] + b"," + body[1:], {"Content-Type": _JSON})


@cache
def _described(names: tuple[str, ...]) -> bytes:
    """The document without its servers: the address is what a client found the API under."""
    return serialise(document(names))


def document(names: Iterable[str] = ()) -> dict[str, Any]:
    """The document of these types, or (none given) of the whole API."""
    wanted = tuple(names)
    paths: dict[str, dict[str, Any]] = {"/metadata": {"get": _metadata()}}
    for kind in ("", *(wanted or (RESOURCE, "Binary"))):
        for method, template, contract in _routes(kind):
            place = paths.setdefault(template.replace(RESOURCE, kind), {})
            place[method.lower()] = _operation(kind, template, contract)
    return {
        "openapi": "3.1.0",
        "info": {"title": "AI4H data API", "version": RELEASED, "description": _DESCRIPTION},
        "security": [{"apiKey": [], "idToken": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "idToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
            "parameters": {**parts.PARAMETERS, **_search_parameters(wanted)},
            "headers": dict(parts.HEADERS),
            "responses": _RESPONSES,
            "schemas": _schemas(wanted),
        },
    }


def _routes(kind: str) -> Iterator[tuple[str, str, Contract]]:
    """(method, template, contract) of a type, or ("") of the system. `{type}` is any but Binary."""
    for method, template in dict.fromkeys((r.method, r.template) for r in ROUTES if _has(kind, r)):
        yield method, template, CONTRACTS[method, template]
    for method, template, name in BINARY_ROUTES if kind == "Binary" else ():
        yield method, template, BINARY_CONTRACTS[name]


def _has(kind: str, route: Route) -> bool:
    """Whether a type has a route, as the gateway lets it come here."""
    if not kind or not route.template.startswith("/{type}"):
        return not kind and not route.template.startswith("/{type}")
    if kind == "Binary":
        return bool(route.code) and route.code not in BY_UPLOADS | NOT_ON_BINARY
    if "{member}" in route.template:
        return kind in (RESOURCE, *COMPARTMENTS)
    if any(word in route.template for word in _NAMED):
        return kind in (RESOURCE, *_types_at(route.template))
    return True


def _metadata() -> Schema:
    return {**_operation("", "/metadata", METADATA), "security": []}


def _operation(kind: str, template: str, contract: Contract) -> Schema:
    named = kind not in ("", RESOURCE)
    given = (*_EVERYWHERE, *contract.parameters)
    listed = [*_path_parameters(kind, template), *_refs("parameters", given)]
    body: Schema = {}
    if contract.criteria:
        listed += _refs("parameters", RESULT_PARAMETERS if contract.criteria == "query" else ())
        body = _form(kind) if contract.criteria == "form" else {}
        listed += _criteria(kind) if contract.criteria == "query" else []
    if contract.takes:
        body = {"required": True, "content": _content((contract.takes,), kind)}
    return {
        "operationId": f"{contract.name}-{kind}" if named else contract.name,
        "summary": contract.summary,
        "tags": [kind if named else "All types" if kind else "System"],
        "parameters": listed,
        **({"requestBody": body} if body else {}),
        "responses": {
            **{str(s): _response(s, given, contract, kind) for s, given in contract.gives.items()},
            "4XX": {"$ref": "#/components/responses/Refused"},
            "503": {"$ref": "#/components/responses/Unavailable"},
        },
    }


def _path_parameters(kind: str, template: str) -> list[Schema]:
    own = {
        "type": {"enum": _types_at(template)},
        "id": {"type": "string", "pattern": parts.ID_PATTERN},
        "member": {"enum": ["*", *_members(kind)]},
        "version": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    }
    names = re.findall(r"{(\w+)}", template.replace(RESOURCE, kind))
    return [{"name": n, "in": "path", "required": True, "schema": own[n]} for n in names]


def _types_at(template: str) -> list[str]:
    if "{member}" in template:
        return list(COMPARTMENTS)
    if "$export" in template:
        return ["Group" if "{id}" in template else "Patient"]
    if any(word in template for word in _OF_DATASETS):
        return ["DocumentReference"]
    return ["Patient"] if "$everything" in template else sorted(RESOURCE_TYPES - {"Binary"})


def _members(kind: str) -> list[str]:
    of = [kind] if kind in COMPARTMENTS else COMPARTMENTS
    return sorted(frozenset().union(*map(members_of, of)))


def _criteria(kind: str) -> list[Schema]:
    if kind in ("", RESOURCE):
        return [parts.CRITERIA]
    return _refs("parameters", [f"{kind}.{code}" for code in sorted(for_type(kind))])


def _form(kind: str) -> Schema:
    known = for_type(kind) if kind not in ("", RESOURCE) else {}
    shown = [parts.search_parameter(parameter) for parameter in known.values()]
    shown += [parts.PARAMETERS[name] for name in RESULT_PARAMETERS]
    schema = {
        "type": "object",
        "properties": {parameter["name"]: parameter["schema"] for parameter in shown},
        "additionalProperties": {"type": "string"},
    }
    return {"content": {_FORM: {"schema": schema}}}


def _response(status: int, given: tuple[str, ...], contract: Contract, kind: str) -> Schema:
    headers = ["X-Request-Id"]
    if contract.versioned and status not in (302,):
        headers += ["ETag", "Last-Modified"]
    if status in (201, 302):
        headers.append("Location")
    if status == 202 and not given:
        headers += ["Content-Location", "X-Progress"]
    if any(name in ("Prefer-return", "BinaryAnswer") for name in (*contract.parameters, *given)):
        headers.append("X-Consistency-Token")
    content = {"content": _content(given, kind)} if given else {}
    named = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return {"description": _MEANINGS[status], "headers": named, **content}


_MEANINGS = {
    200: "Done",
    201: "Created",
    202: "Taken up",
    204: "Done",
    302: "The bytes, where another Accept than FHIR's asks for them",
    304: "The client has this version",
}


def _content(names: tuple[str, ...], kind: str) -> Schema:
    schemas = [{"$ref": f"#/components/schemas/{_schema_name(name, kind)}"} for name in names]
    media_type = _MEDIA_TYPES.get(names[0], FHIR_JSON)
    return {media_type: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}


def _schema_name(name: str, kind: str) -> str:
    if name != RESOURCE:
        return name
    return "Resource" if kind == RESOURCE else kind


_RESPONSES = {
    "Refused": {
        "description": "Refused; the issue says why",
        "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
        "content": {FHIR_JSON: {"schema": {"$ref": "#/components/schemas/OperationOutcome"}}},
    },
    "Unavailable": {
        "description": "A service that is needed doesn't answer at the moment",
        "headers": {"Retry-After": {"schema": {"type": "string"}}},
        "content": {FHIR_JSON: {"schema": {"$ref": "#/components/schemas/OperationOutcome"}}},
    },
}


def _search_parameters(names: Iterable[str]) -> dict[str, Schema]:
    return {
        f"{name}.{code}": parts.search_parameter(parameter)
        for name in sorted({*names, "Binary"})
        for code, parameter in for_type(name).items()
    }


def _schemas(names: Iterable[str]) -> dict[str, Schema]:
    """Those of the types, of what every API has besides, and of Binary with its own members."""
    found: dict[str, Schema] = {}
    always = ("Binary", "Bundle", "CapabilityStatement", "OperationOutcome", "Parameters")
    for name in sorted({*names, *always}):
        found |= {_named(key): _rewritten(schema) for key, schema in definitions_of(name).items()}
    binary = found["Binary"]
    for name, members in (("BinaryRequest", parts.DECLARED), ("BinaryAnswer", parts.TOLD)):
        found[name] = {**binary, "properties": {**binary["properties"], **members}}
    return found | dict(parts.SCHEMAS)


def _named(definition: str) -> str:
    """The name of a definition as OpenAPI lets names be."""
    return definition.replace("?", "-or-null")


def _rewritten(schema: Any) -> Any:
    """A schema of FHIR's in terms of the document."""
    if isinstance(schema, list):
        return [_rewritten(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if link := schema.get("$ref"):
        return {"$ref": f"#/components/schemas/{_named(link.removeprefix('#/$defs/'))}"}
    inner = {key: _rewritten(value) for key, value in schema.items()}
    name = inner.get("format")  # or the schema of an element of that name
    if isinstance(name, str):
        del inner["format"]
        inner["pattern"] = parts.FORMATS[name]
    return inner


def _refs(section: str, names: Iterable[str]) -> list[Schema]:
    return [{"$ref": f"#/components/{section}/{name}"} for name in names]
