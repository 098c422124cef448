"""The CapabilityStatement, made from the tables that route and search."""

from __future__ import annotations

from functools import cache
from typing import Any

from functions.api.interactions import updates_create
from functions.api.routes import NOT_ON_BINARY, ROUTES
from functions.search.compartments import COMPARTMENTS
from functions.search.includes import is_followed
from functions.search.parameters import for_type
from functions.shared.http import FHIR_JSON
from functions.shared.resources import RESOURCE_TYPES, serialise

RELEASED = "2026-11-29"
"""When what the API can do last changed."""

_URL = "urn:base-url"
_HL7 = "http://hl7.org/fhir"
_VALIDATE = {
    "name": "validate",
    "definition": f"{_HL7}/OperationDefinition/Resource-validate",
    "documentation": "For every type but Binary, whose requests another function answers",
}
_ERASE = {
    "name": "erase",
    "definition": "urn:ai4h:operation:erase",
    "documentation": "For administrators: deletes with all versions, for good",
}
_EVIDENCE = {
    "name": "evidence",
    "definition": "urn:ai4h:operation:evidence",
    "documentation": "For a dataset's owner: who asked for it, was granted it, read it",
}
_ATTACHMENTS = [
    {
        "name": name,
        "definition": f"urn:ai4h:operation:{name}",
        "documentation": f"For a challenge's hosts: {what}",
    }
    for name, what in (
        ("attach", "its evaluation uses the dataset, as its owner's grant allows"),
        ("detach", "its evaluation no longer uses the dataset"),
        ("attached", "the datasets that its evaluation uses"),
    )
]
_EVERYTHING = {
    "name": "everything",
    "definition": f"{_HL7}/OperationDefinition/Patient-everything",
}
_IMPORT = {
    "name": "import",
    "definition": "urn:ai4h:operation:import",
    "documentation": "For administrators: resources from uploaded files of ndjson",
}
_OF_DATASETS = [_EVIDENCE, *_ATTACHMENTS]
_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
_EXPORTS = {
    "": {"name": "export", "definition": f"{_BULK}/export"},
    "Patient": {"name": "export", "definition": f"{_BULK}/patient-export"},
    "Group": {"name": "export", "definition": f"{_BULK}/group-export"},
}


def statement(base_url: str) -> bytes:
    """The statement as JSON, for the address under which the client found the server."""
    head, tail = _parts()
    return b"".join((head, serialise(base_url)[1:-1], tail))


@cache
def _parts() -> tuple[bytes, bytes]:
    """What precedes and what follows the address, which a client can vary at will."""
    head, _, tail = serialise(_statement()).partition(_URL.encode())
    return head, tail


def _statement() -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": RELEASED,
        "kind": "instance",
        "software": {"name": "AI4H data API"},
        "implementation": {"description": "AI4H platform: FHIR R4 data API", "url": _URL},
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": True,
                    "description": "An API key (x-api-key) and a Cognito ID token (Authorization).",
                },
                "resource": [_resource(name) for name in sorted(RESOURCE_TYPES)],
                "interaction": [{"code": code} for code in _codes(of_type=False)],
                # Of every type; named by each of them it would be a tenth of the statement.
                "operation": [_VALIDATE, _ERASE, _EXPORTS[""], _IMPORT],
                "compartment": [f"{_HL7}/CompartmentDefinition/{c.lower()}" for c in COMPARTMENTS],
            }
        ],
    }


def _resource(name: str) -> dict[str, Any]:
    conditional = name != "Binary"
    missing = frozenset() if conditional else NOT_ON_BINARY
    return {
        "type": name,
        "interaction": [{"code": c} for c in _codes(of_type=True) if c not in missing],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": updates_create(name),
        "conditionalCreate": conditional,
        "conditionalRead": "full-support" if conditional else "not-supported",
        "conditionalUpdate": conditional,
        "conditionalDelete": "single" if conditional else "not-supported",
        "searchInclude": ["*", *(f"{name}:{code}" for code in _followed(name))],
        **({"searchRevInclude": pointing} if (pointing := _pointing()[name]) else {}),
        "searchParam": [
            {"name": parameter.code, "type": parameter.kind}
            for parameter in sorted(for_type(name).values(), key=lambda found: found.code)
        ],
        **({"operation": operations} if (operations := _operations(name)) else {}),
    }


def _operations(name: str) -> list[dict[str, str]]:
    own = {"Patient": [_EVERYTHING], "DocumentReference": _OF_DATASETS}.get(name, [])
    return [*own, _EXPORTS[name]] if name in _EXPORTS else own


def _followed(name: str) -> list[str]:
    """What an include of the type's references may name."""
    found = sorted(p.code for p in for_type(name).values() if is_followed(p))
    return ["*", *found] if found else []


@cache
def _pointing() -> dict[str, list[str]]:
    """Type -> types that refer to it. By wildcards: each parameter would be half of the statement.

    Parameters that lead to any type don't count; with them all types would refer to all.
    """
    found: dict[str, set[str]] = {name: set() for name in RESOURCE_TYPES}
    for source in RESOURCE_TYPES:
        for parameter in filter(is_followed, for_type(source).values()):
            for target in parameter.targets:
                found[target].add(source)
    return {name: [f"{source}:*" for source in sorted(its)] for name, its in found.items()}


def _codes(*, of_type: bool) -> list[str]:
    """The interactions on the types, or on the system."""
    of_these = (r.code for r in ROUTES if r.template.startswith("/{type}") == of_type)
    return [code for code in dict.fromkeys(of_these) if code]
