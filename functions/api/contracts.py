"""What each route takes and gives, as the OpenAPI document tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

RESOURCE = "{type}"
"""Stands for the resource type of a path, also among schemas."""

_CONDITIONS = ("If-None-Match", "If-Modified-Since")
_PART = ("_summary", "_elements")
_PAGE = ("_count", "_cursor")
_HISTORY = ("_since", "_at", *_PAGE)
_RESULT = ("_sort", "_total", *_PART, "_include", "_revinclude", *_PAGE)
_SEARCH = ("X-Consistency-Token", "Prefer-handling")
_EVERYTHING = ("start", "end", "_since", "_type", *_PAGE)
_UPLOAD = ("Prefer-handling",)
_EXPORT = ("_outputFormat", "_since", "_type", "_typeFilter", "Prefer-asynchronous")


class Contract(NamedTuple):
    """`gives` has the schemas of each status' body, none for no body; `takes` that of the request.

    `criteria`: where search parameters go, `query` or `form`. `versioned`: answers have an ETag.
    """

    name: str
    summary: str
    gives: Mapping[int, tuple[str, ...]]
    takes: str = ""
    parameters: tuple[str, ...] = ()
    criteria: str = ""
    versioned: bool = False


_WRITTEN = {200: (RESOURCE, "OperationOutcome"), 201: (RESOURCE, "OperationOutcome")}
_CHANGED = {200: (RESOURCE, "OperationOutcome")}
_REMOVED = {200: ("OperationOutcome",), 204: ()}
_READ = {200: (RESOURCE,), 304: ()}
_BUNDLE = {200: ("Bundle",)}
_OUTCOME = {200: ("OperationOutcome",)}
_STARTED: Mapping[int, tuple[str, ...]] = {202: ()}
_JOB = {200: ("BulkManifest",), 202: ()}

METADATA = Contract("metadata", "What the API can do", {200: ("CapabilityStatement",)})

CONTRACTS: Mapping[tuple[str, str], Contract] = {
    ("GET", "/openapi.json"): Contract(
        "openapi", "This document; with `_type` that of some types in detail", {200: ("OpenApi",)},
        parameters=("_type",),
    ),
    ("GET", "/"): Contract(
        "search-system", "Search in several types", _BUNDLE,
        parameters=("_type", *_SEARCH), criteria="query",
    ),
    ("POST", "/"): Contract(
        "bundle", "A batch or a transaction", _BUNDLE, "Bundle",
        ("Prefer-return", "Idempotency-Key", "X-Consistency-Token"),
    ),
    ("POST", "/_search"): Contract(
        "search-system-by-form", "Search in several types, with the parameters in a form", _BUNDLE,
        parameters=_SEARCH, criteria="form",
    ),
    ("GET", "/{type}"): Contract(
        "search", "Search", _BUNDLE, parameters=_SEARCH, criteria="query",
    ),
    ("POST", "/{type}/_search"): Contract(
        "search-by-form", "Search, with the parameters in a form", _BUNDLE,
        parameters=_SEARCH, criteria="form",
    ),
    ("GET", "/{type}/{id}/{member}"): Contract(
        "search-compartment", "Search in what belongs to this one", _BUNDLE,
        parameters=_SEARCH, criteria="query",
    ),
    ("POST", "/{type}/{id}/{member}/_search"): Contract(
        "search-compartment-by-form", "Search in what belongs to this one, by a form", _BUNDLE,
        parameters=_SEARCH, criteria="form",
    ),
    ("GET", "/{type}/{id}/$everything"): Contract(
        "everything", "The record of a patient", _BUNDLE,
        parameters=(*_EVERYTHING, "X-Consistency-Token"),
    ),
    ("POST", "/{type}/{id}/$everything"): Contract(
        "everything-by-parameters", "The record of a patient", _BUNDLE, "Parameters",
        ("X-Consistency-Token",),
    ),
    ("GET", "/{type}/{id}/$evidence"): Contract(
        "evidence", "The log of a dataset: who asked for it, was granted it, read it",
        {200: ("Evidence",)}, parameters=("after",),
    ),
    ("POST", "/{type}/{id}/$attach"): Contract(
        "attach", "Have a challenge's evaluation use a dataset", _OUTCOME,
        parameters=("challenge",),
    ),
    ("POST", "/{type}/{id}/$detach"): Contract(
        "detach", "Have a challenge's evaluation no longer use a dataset", _OUTCOME,
        parameters=("challenge",),
    ),
    ("GET", "/{type}/$attached"): Contract(
        "attached", "The datasets that a challenge's evaluation uses", {200: ("Parameters",)},
        parameters=("challenge",),
    ),
    ("POST", "/{type}/{id}/$erase"): Contract(
        "erase", "Delete for good, with all versions", _OUTCOME,
    ),
    ("GET", "/$export"): Contract(
        "export", "Start an export of all that you may read", _STARTED, parameters=_EXPORT,
    ),
    ("POST", "/$export"): Contract(
        "export-by-parameters", "Start an export of all that you may read", _STARTED,
        "Parameters", ("Prefer-asynchronous",),
    ),
    ("GET", "/{type}/$export"): Contract(
        "export-patients", "Start an export of all patients' records", _STARTED,
        parameters=_EXPORT,
    ),
    ("POST", "/{type}/$export"): Contract(
        "export-patients-by-parameters", "Start an export of all patients' records", _STARTED,
        "Parameters", ("Prefer-asynchronous",),
    ),
    ("GET", "/{type}/{id}/$export"): Contract(
        "export-group", "Start an export of the records of a Group's patients", _STARTED,
        parameters=_EXPORT,
    ),
    ("POST", "/{type}/{id}/$export"): Contract(
        "export-group-by-parameters", "Start an export of the records of a Group's patients",
        _STARTED, "Parameters", ("Prefer-asynchronous",),
    ),
    ("GET", "/$export/{id}"): Contract(
        "export-status", "How far an export is, and its files when it is done", _JOB,
    ),
    ("DELETE", "/$export/{id}"): Contract(
        "export-cancel", "Cancel an export, or delete its files", _STARTED,
    ),
    ("POST", "/$import"): Contract(
        "import", "Start an import of uploaded files", _STARTED, "Parameters",
        ("Prefer-asynchronous",),
    ),
    ("GET", "/$import/{id}"): Contract(
        "import-status", "How far an import is, and what was refused when it is done", _JOB,
    ),
    ("DELETE", "/$import/{id}"): Contract(
        "import-cancel", "Stop an import; what is written stays", _STARTED,
    ),
    ("POST", "/{type}/$validate"): Contract(
        "validate", "Say whether it could be stored", _OUTCOME, RESOURCE, ("mode", "profile"),
    ),
    ("POST", "/{type}/{id}/$validate"): Contract(
        "validate-change", "Say whether it could be changed to this", _OUTCOME, RESOURCE,
        ("mode", "profile"),
    ),
    ("POST", "/{type}"): Contract(
        "create", "Create, or with If-None-Exist: create unless there is one", _WRITTEN, RESOURCE,
        ("If-None-Exist", "Prefer-return", "Idempotency-Key"), versioned=True,
    ),
    ("GET", "/{type}/{id}"): Contract(
        "read", "The current version", _READ, "", (*_PART, *_CONDITIONS), versioned=True,
    ),
    ("GET", "/{type}/{id}/_history/{version}"): Contract(
        "vread", "A version", _READ, "", (*_PART, *_CONDITIONS), versioned=True,
    ),
    ("GET", "/_history"): Contract(
        "history-system", "Versions of several types, newest first", _BUNDLE,
        parameters=("_type", *_HISTORY),
    ),
    ("GET", "/{type}/_history"): Contract(
        "history-type", "Versions of the type, newest first", _BUNDLE, parameters=_HISTORY,
    ),
    ("GET", "/{type}/{id}/_history"): Contract(
        "history-instance", "Its versions, newest first", _BUNDLE, parameters=_HISTORY,
    ),
    ("PUT", "/{type}/{id}"): Contract(
        "update", "Replace, or bring back what was deleted", _WRITTEN, RESOURCE,
        ("If-Match", "Prefer-return"), versioned=True,
    ),
    ("PUT", "/{type}"): Contract(
        "conditional-update", "Replace the one that matches, or create it", _WRITTEN, RESOURCE,
        ("If-Match", "Prefer-return"), "query", versioned=True,
    ),
    ("PATCH", "/{type}/{id}"): Contract(
        "patch", "Change parts (JSON Patch)", _CHANGED, "JsonPatch",
        ("If-Match", "Prefer-return"), versioned=True,
    ),
    ("PATCH", "/{type}"): Contract(
        "conditional-patch", "Change parts of the one that matches", _CHANGED, "JsonPatch",
        ("If-Match", "Prefer-return"), "query", versioned=True,
    ),
    ("DELETE", "/{type}/{id}"): Contract(
        "delete", "Delete", _REMOVED, "", ("If-Match", "Prefer-return"),
    ),
    ("DELETE", "/{type}"): Contract(
        "conditional-delete", "Delete the one that matches, if any", _REMOVED, "",
        ("If-Match", "Prefer-return"), "query",
    ),
}  # fmt: skip
"""By method and template of `routes.ROUTES`."""

BINARY_CONTRACTS: Mapping[str, Contract] = {
    "create": Contract(
        "create", "Announce a file, which makes the URL to send it to", {201: ("BinaryAnswer",)},
        "BinaryRequest", _UPLOAD, versioned=True,
    ),
    "read": Contract(
        "read", "What is known of the file, and a URL for it", {200: ("BinaryAnswer",), 302: ()},
        "", _UPLOAD, versioned=True,
    ),
    "update": Contract(
        "update", "Announce a new version of the file",
        {200: ("BinaryAnswer",), 201: ("BinaryAnswer",)},
        "BinaryRequest", (*_UPLOAD, "If-Match"), versioned=True,
    ),
    "delete": Contract(
        "delete", "Delete, with the bytes of all versions", {204: ()}, "", ("If-Match",),
    ),
    "vread": Contract(
        "vread", "A version", {200: ("BinaryAnswer",), 302: ()}, "", _UPLOAD, versioned=True,
    ),
    "upload-status": Contract(
        "upload-status", "What has arrived", {200: ("UploadStatus",)},
    ),
    "upload-parts": Contract(
        "upload-parts", "URLs for parts", {200: ("UploadTickets",)}, "UploadParts",
    ),
    "complete": Contract(
        "complete", "Join the parts", {202: ("UploadStatus",)},
    ),
    "abort": Contract(
        "abort", "Give the upload up", {204: ()},
    ),
    "erase": Contract(
        "erase", "Delete for good, with all versions and their bytes", _OUTCOME,
    ),
}  # fmt: skip
"""By name in `BINARY_ROUTES`."""

RESULT_PARAMETERS = _RESULT
"""Of every search, beside its criteria."""
