"""Validation of a resource's structure."""

from __future__ import annotations

from typing import Any

from functions.shared.errors import FhirError, quote
from functions.shared.resources import RESOURCE_TYPES


def validate(resource: dict[str, Any]) -> None:
    """400 unless the resource is valid FHIR R4; expressions point to the elements."""
    kind = resource.get("resourceType")
    if kind not in RESOURCE_TYPES:
        raise FhirError(
            400, "structure", f"{quote(kind)} is no resource type.", expression=["resourceType"]
        )
