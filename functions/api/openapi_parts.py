"""Parameters and schemas of the OpenAPI document that no table of FHIR's has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from functions.api.elements import SUMMARIES
from functions.search.parameters import Parameter
from functions.search.query import MODIFIERS
from functions.shared.resources import RESOURCE_TYPES

Schema = dict[str, Any]

ID_PATTERN = r"^[A-Za-z0-9\-.]{1,64}$"

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_DAY = r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?"
_ZONE = r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])"
_FULL_DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_PREFIX = "(eq|ne|gt|lt|ge|le|sa|eb|ap)?"
_INSTANT = f"{_FULL_DAY}T{_TIME}{_ZONE}"
_ANY_DATE = f"({_DAY}|{_INSTANT})"

FORMATS: Mapping[str, str] = {
    "fhir-date": f"^{_DAY}$",
    "fhir-dateTime": f"^{_ANY_DATE}$",
    "fhir-instant": f"^{_INSTANT}$",
}
"""What stands for the formats of functions/shared/fhir_r4_schema.jsonl, which OpenAPI lacks."""

_VALUES: Mapping[str, Schema] = {
    "date": {
        "type": "string",
        "pattern": f"^{_PREFIX}{_ANY_DATE}(,{_PREFIX}{_ANY_DATE})*$",
        "examples": ["ge2026-01", "2026-01-31T12:00:00Z"],
    },
    "number": {
        "type": "string",
        "pattern": rf"^{_PREFIX}-?[0-9]{{1,15}}(\.[0-9]{{1,15}})?$",
        "examples": ["gt0.8"],
    },
    "quantity": {**_TEXT, "examples": ["5.4|http://unitsofmeasure.org|mg", "le5"]},
    "reference": {**_TEXT, "examples": ["Patient/1"]},
    "string": {**_TEXT, "examples": ["mull"]},
    "token": {**_TEXT, "examples": ["http://loinc.org|718-7", "718-7"]},
    "uri": {**_TEXT, "examples": ["urn:example:1"]},
    "composite": _TEXT,
}


def _query(name: str, description: str, schema: Schema = _TEXT) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str, schema: Schema = _TEXT) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


_ETAG: Schema = {"type": "string", "pattern": '^(W/)?"[1-9][0-9]{0,14}"$'}
_WHEN: Schema = {"type": "string", "pattern": FORMATS["fhir-dateTime"]}

PARAMETERS: Mapping[str, Schema] = {
    "_at": _query("_at", "Versions that were current at some time in this date or instant.", _WHEN),
    "_count": _query("_count", "Entries of a page, at most 1,000; 0 for the total only.", _NUMBER),
    "_cursor": _query("_cursor", "Where the page begins: taken from a link `next`."),
    "_elements": _query("_elements", "Only these elements, between commas."),
    "_format": _query(
        "_format", "In place of Accept.", {"enum": ["json", "application/fhir+json"]}
    ),
    "_include": _query("_include", "`Type:parameter[:Target]`; also with `:iterate`."),
    "_outputFormat": _query(
        "_outputFormat", "Of the files.", {"enum": ["application/fhir+ndjson", "ndjson"]}
    ),
    "_pretty": _query("_pretty", "Laid out for people.", {"enum": ["true", "false"]}),
    "_revinclude": _query("_revinclude", "`Type:parameter[:Target]`; also with `:iterate`."),
    "_since": _query("_since", "Only what was written from then on.", _WHEN),
    "_sort": _query("_sort", "Parameters between commas, `-` before one that goes down."),
    "_summary": _query("_summary", "A part of each resource.", {"enum": list(SUMMARIES)}),
    "_total": _query("_total", "How exact.", {"enum": ["none", "estimate", "accurate"]}),
    "_type": _query("_type", "Resource types between commas."),
    "_typeFilter": _query(
        "_typeFilter", "`Type?parameter=value`: of that type only what a search would find."
    ),
    "after": _query("after", "The number of a record: only those behind it.", _NUMBER),
    "challenge": {
        **_query("challenge", "The challenge's number.", {"type": "integer", "minimum": 1}),
        "required": True,
    },
    "start": _query("start", "The first day of care.", _WHEN),
    "end": _query("end", "The last day of care.", _WHEN),
    "mode": _query("mode", "What it is meant for.", {"enum": ["create", "update", "delete"]}),
    "profile": _query("profile", "Only the base definition of the type is known."),
    "If-Match": _header("If-Match", "Only if this is the current version (412).", _ETAG),
    "If-Modified-Since": _header("If-Modified-Since", "304 unless changed since."),
    "If-None-Exist": _header("If-None-Exist", "Criteria of a conditional create."),
    "If-None-Match": _header("If-None-Match", "304 if this is the version.", _ETAG),
    "Idempotency-Key": _header(
        "Idempotency-Key",
        "Done once however often it is sent within a day.",
        {"type": "string", "pattern": "^[!-~]{1,64}$"},
    ),
    "Prefer-asynchronous": {
        **_header("Prefer", "Jobs are asynchronous.", {"enum": ["respond-async"]}),
        "required": True,
    },
    "Prefer-handling": _header(
        "Prefer",
        "`strict`: unknown parameters are 400; a Binary's own members are extensions.",
        {"enum": ["handling=strict", "handling=lenient"]},
    ),
    "Prefer-return": _header(
        "Prefer",
        "What a write answers; `return=minimal` (no body) is understood as well.",
        {"enum": ["return=representation", "return=OperationOutcome"]},
    ),
    "X-Consistency-Token": _header(
        "X-Consistency-Token", "Of a write: the answer shows it, or is 503 after five seconds."
    ),
}
"""By the names that contracts use."""

HEADERS: Mapping[str, Schema] = {
    "Content-Location": {"description": "Where to ask after the job.", "schema": _TEXT},
    "ETag": {"required": True, "description": "The version.", "schema": _ETAG},
    "Last-Modified": {"required": True, "schema": _TEXT},
    "Location": {"required": True, "schema": {"type": "string", "format": "uri"}},
    "X-Consistency-Token": {"description": "Of the write, for searches.", "schema": _TEXT},
    "X-Progress": {"description": "How far the job is.", "schema": _TEXT},
    "X-Request-Id": {"required": True, "schema": _TEXT},
}

CRITERIA: Schema = {
    "name": "criteria",
    "in": "query",
    "description": "Search parameters of the type, as `/metadata` lists them, with modifiers and"
    " chains. `/openapi.json?_type=Patient` describes those of a type.",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": _TEXT},
}
"""Where the type isn't known, any names."""


def search_parameter(parameter: Parameter) -> Schema:
    """A search parameter; further ones with modifiers are like it."""
    modifiers = sorted(MODIFIERS.get(parameter.kind, set()) - RESOURCE_TYPES)
    told = ", ".join(f"`:{name}`" for name in ["missing", *modifiers])
    return _query(parameter.code, f"{parameter.kind}; {told}", _VALUES[parameter.kind])


_DIGEST: Schema = {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"}
_SIZE: Schema = {"type": "integer", "minimum": 0}
_PART_NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000}
_STATUS: Schema = {
    "enum": ["pending", "verifying", "available", "rejected", "expired", "deleted"],
}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


DECLARED: Mapping[str, Schema] = {
    "size": _SIZE,
    "sha256": _DIGEST,
    "fileName": _TEXT,
    "multipart": {"type": "boolean"},
}
"""What a client says of a Binary's bytes, beside FHIR's elements."""

TOLD: Mapping[str, Schema] = {
    **DECLARED,
    "uploadStatus": _STATUS,
    "reason": _TEXT,
    "checksum": _TEXT,
    "partSize": _SIZE,
    "availableVersion": _TEXT,
    "expires": _TEXT,
    "presignedGetUrl": _TEXT,
    "presignedPutUrl": _TEXT,
    "uploadHeaders": {"type": "object", "additionalProperties": _TEXT},
}
"""What the server says of them."""

_FILES: Schema = {
    "type": "array",
    "items": _object(("count",), type=_TEXT, inputUrl=_TEXT, url=_TEXT, count=_SIZE),
}

SCHEMAS: Mapping[str, Schema] = {
    "Evidence": {
        "type": "string",
        "description": "Records a line, and at the end the seal; `ai4h verify-evidence` checks it.",
    },
    "BulkManifest": _object(
        ("transactionTime", "request", "requiresAccessToken", "output", "error"),
        transactionTime=_TEXT,
        request=_TEXT,
        requiresAccessToken={"type": "boolean"},
        output=_FILES,
        deleted=_FILES,
        error=_FILES,
    ),
    "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
    "Resource": {
        "type": "object",
        "properties": {
            "resourceType": {"enum": sorted(RESOURCE_TYPES)},
            "id": {"type": "string", "pattern": ID_PATTERN},
        },
        "required": ["resourceType"],
    },
    "JsonPatch": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "op": {"enum": ["add", "copy", "move", "remove", "replace", "test"]},
                "path": {"type": "string", "examples": ["/active"]},
                "from": _TEXT,
                "value": {},
            },
            "required": ["op", "path"],
        },
    },
    "UploadParts": _object(
        ("parts",),
        parts={
            "type": "array",
            "minItems": 1,
            "maxItems": 500,
            "items": _object(("number", "sha256"), number=_PART_NUMBER, sha256=_DIGEST),
        },
    ),
    "UploadTickets": _object(
        ("version", "parts", "expires"),
        version=_TEXT,
        parts={
            "type": "array",
            "items": _object(
                ("number", "url", "headers"),
                number=_PART_NUMBER,
                url=_TEXT,
                headers={"type": "object", "additionalProperties": _TEXT},
            ),
        },
        expires=_TEXT,
    ),
    "UploadStatus": _object(
        ("status", "version", "contentType", "received"),
        status=_STATUS,
        version=_TEXT,
        contentType=_TEXT,
        reason=_TEXT,
        size=_SIZE,
        sha256=_DIGEST,
        checksum=_TEXT,
        partSize=_SIZE,
        received={
            "type": "array",
            "items": _object(("number", "size"), number=_PART_NUMBER, size=_SIZE, sha256=_DIGEST),
        },
    ),
}
