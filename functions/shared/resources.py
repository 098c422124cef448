"""Resources as JSON: parsing without loss, identifiers, instants, and the server's `meta`."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from functions.shared.errors import FhirError

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""Use `fullmatch`. https://hl7.org/fhir/R4/datatypes.html#id"""

RESOURCE_TYPES = frozenset(Path(__file__).with_name("resource_types.txt").read_text().split())
"""The 146 concrete types of FHIR R4 (4.0.1)."""

# Decimals keep their text: 1.10 means more than 1.1 (https://hl7.org/fhir/R4/json.html#decimal).
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object from a client; numbers that are no integers are `Decimal`. 400 otherwise."""
    value = parse_any(body)
    if not isinstance(value, dict):
        raise FhirError(400, "structure", "The body must be one JSON object.")
    return value


def parse_any(body: bytes) -> Any:
    """As `parse`, but any JSON value."""
    try:
        return _decode(body)
    except msgspec.MsgspecError as error:
        raise FhirError(400, "structure", f"The body isn't valid JSON: {error}.") from None
    except UnicodeDecodeError:
        raise FhirError(400, "structure", "The body isn't valid UTF-8.") from None
    except RecursionError:
        raise FhirError(400, "structure", "The body is nested too deeply.") from None
    except ArithmeticError:
        raise FhirError(400, "structure", "The body has a number out of range.") from None


def serialise(resource: object) -> bytes:
    """JSON in UTF-8, as compact as it goes."""
    return _encode(resource)


def indent(body: bytes) -> bytes:
    """JSON laid out for people; numbers and strings keep their text."""
    return msgspec.json.format(body, indent=2)


def new_id() -> str:
    return str(uuid.uuid4())


def instant() -> str:
    """Now, in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp(resource: dict[str, Any], resource_id: str, version: int, updated: str) -> dict[str, Any]:
    """A copy with the server's `id`, `meta.versionId` and `meta.lastUpdated`; all else is kept."""
    meta = resource.get("meta")
    rest = {
        key: value for key, value in resource.items() if key not in ("resourceType", "id", "meta")
    }
    return {
        "resourceType": resource["resourceType"],
        "id": resource_id,
        "meta": {
            **(meta if isinstance(meta, dict) else {}),
            "versionId": str(version),
            "lastUpdated": updated,
        },
        **rest,
    }
