"""Evaluates compiled paths (see tools/compile_definitions.py) on a resource."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from functions.search.parameters import Step

_TYPE_AND_ID = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?$")


def values(root: dict[str, Any], start: Any, steps: Sequence[Step]) -> list[Any]:
    """The values that a path leads to from `start`, an element of the resource `root`."""
    found = [start]
    for operation, name, value in steps:
        match operation:
            case "member":
                found = _members(found, name)
            case "where":
                found = [v for v in found if isinstance(v, dict) and v.get(name) == value]
            case "resolves":
                found = [v for v in found if _target(root, v) == name]
            case "item":
                found = found[int(name) : int(name) + 1]
            case "choice":
                found = [v for key in name.split("|") for v in _members(found, key)]
            case "holds":
                found = [any(v is not False for v in found)]
            case "root":
                found = [root]
    return found


def _members(nodes: list[Any], name: str) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        value = node.get(name) if isinstance(node, dict) else None
        if isinstance(value, list):
            found += [item for item in value if item is not None]
        elif value is not None:
            found.append(value)
    return found


def _target(root: dict[str, Any], reference: Any) -> str:
    """The type of the resource that a reference names, as far as the reference itself tells."""
    if not isinstance(reference, dict):
        return ""
    if isinstance(reference.get("resourceType"), str):  # an inline resource
        return reference["resourceType"]
    literal = reference.get("reference")
    if isinstance(literal, str):
        if literal.startswith("#"):
            contained = root.get("contained")
            for resource in contained if isinstance(contained, list) else ():
                if isinstance(resource, dict) and resource.get("id") == literal[1:]:
                    return str(resource.get("resourceType", ""))
        elif match := _TYPE_AND_ID.search(literal):
            return match.group(1)
    return str(reference.get("type", ""))
