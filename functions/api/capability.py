"""The CapabilityStatement, made from the tables that route and search."""

from __future__ import annotations

from functools import cache
from typing import Any

from functions.api.interactions import updates_create
from functions.api.routing import NOT_ON_BINARY, ROUTES
from functions.search.parameters import for_type
from functions.shared.http import FHIR_JSON
from functions.shared.resources import RESOURCE_TYPES, serialise

_RELEASED = "2026-11-24"
_URL = "urn:base-url"


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
        "date": _RELEASED,
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
            }
        ],
    }


def _resource(name: str) -> dict[str, Any]:
    missing = NOT_ON_BINARY if name == "Binary" else frozenset()
    return {
        "type": name,
        "interaction": [{"code": c} for c in _codes(of_type=True) if c not in missing],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": updates_create() and name != "Binary",
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [
            {"name": parameter.code, "type": parameter.kind}
            for parameter in sorted(for_type(name).values(), key=lambda found: found.code)
        ],
    }


def _codes(*, of_type: bool) -> list[str]:
    """The interactions on the types, or on the system."""
    return list(
        dict.fromkeys(r.code for r in ROUTES if r.template.startswith("/{type}") == of_type)
    )
