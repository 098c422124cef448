"""Links between resources, found by their data types: a bundle's entries refer to each other.

https://hl7.org/fhir/R4/http.html#trules: those are references, elements of type uri, url, oid and
uuid, and links in the narrative. Canonicals are not, nor is text that only looks like a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from functions.shared.errors import FhirError
from functions.shared.resources import RESOURCE_TYPES
from functions.shared.validation import definitions_of

_LINKS = frozenset({"uri", "url", "oid", "uuid"})
_REF = "#/$defs/"
_IN_NARRATIVE = re.compile(r"""(\b(?:href|src)\s*=\s*)(["'])(.*?)\2""")

Replace = Callable[[str, bool], str]
"""(link, whether it is a Reference's) -> what it becomes."""


def rewrite(resource: dict[str, Any], replace: Replace) -> None:
    """Replaces the links of a resource, in place. What isn't valid is left to validation."""
    try:
        _resource(resource, replace)
    except RecursionError:
        raise FhirError(400, "structure", "The resource is nested too deeply.") from None


def _resource(resource: dict[str, Any], replace: Replace) -> None:
    kind = resource.get("resourceType")
    if isinstance(kind, str) and kind in RESOURCE_TYPES:
        _object(resource, kind, definitions_of(kind), replace)


def _object(
    value: dict[str, Any], kind: str, definitions: dict[str, Any], replace: Replace
) -> None:
    elements = definitions.get(kind, {}).get("properties", {})
    for name, schema in elements.items():
        if name in value:
            value[name] = _element(value[name], schema, definitions, replace)
    if kind == "Reference" and isinstance(value.get("reference"), str):
        value["reference"] = replace(value["reference"], True)


def _element(
    value: Any, schema: dict[str, Any], definitions: dict[str, Any], replace: Replace
) -> Any:
    """The element with its links replaced."""
    if isinstance(value, list):
        inner = schema.get("items", {})
        return [_element(item, inner, definitions, replace) for item in value]
    kind = schema.get("$ref", "").removeprefix(_REF).removesuffix("?")
    if isinstance(value, dict):
        if kind:
            _object(value, kind, definitions, replace)
        else:
            _resource(value, replace)
        return value
    if isinstance(value, str):
        if kind in _LINKS:
            return replace(value, False)
        if kind == "xhtml":
            return _IN_NARRATIVE.sub(
                lambda found: f"{found[1]}{found[2]}{replace(found[3], False)}{found[2]}", value
            )
    return value
