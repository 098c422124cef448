"""A version of a resource to its index document: what it is found and sorted by, and no body."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import Any

from functions.search import paths, terms
from functions.search.intervals import date_bounds
from functions.search.parameters import Parameter, Source, for_type
from functions.search.rows import Row, rows
from functions.shared.items import Version
from functions.shared.resources import parse

SORT_FIELDS = {"date": "sort_date", "number": "sort_number", "quantity": "sort_number"}
"""Kind -> field with the keys that it sorts by; other kinds use `sort_text`."""

MAX_COMBINATIONS = 64
"""Rows of a composite per element: its components' values multiply."""


def document(version: Version) -> dict[str, Any]:
    """The document of a version; a tombstone has what access and order need, but no values.

    Raises an exception when the body isn't a resource; such a record can never be indexed.
    """
    resource_type, _, resource_id = version.pk.partition("/")
    found: dict[str, Any] = {
        "pk": version.pk,
        "type": resource_type,
        "id": resource_id,
        "deleted": version.deleted or version.erased,
        "updated": date_bounds(version.updated).low,
    }
    if version.owner:
        found["owner"] = version.owner
    if version.dataset:
        found["dataset"] = version.dataset
    if not found["deleted"]:
        resource = parse(version.body)
        if resource.get("resourceType") != resource_type:
            raise ValueError("the body isn't a resource of its key's type")
        found |= values(resource)
    return found


def values(resource: dict[str, Any]) -> dict[str, Any]:
    """The fields of a resource by kind and code.

    `present` lists the codes of parameters with any value, indexable or not: for `:missing`.
    """
    found: defaultdict[str, Any] = defaultdict(lambda: defaultdict(list))
    nested: dict[str, list[dict[str, Any]]] = {"quantity": [], "composite": []}
    present = []
    for code, parameter in for_type(resource["resourceType"]).items():
        if parameter.kind == "composite":
            combined = _combinations(parameter, resource)
            nested["composite"] += combined
            exists = bool(combined)
        else:
            exists = _add(found, nested["quantity"], parameter, resource)
        if exists:
            present.append(code)
    filled = {name: items for name, items in nested.items() if items}
    return {"present": present, **{k: dict(v) for k, v in found.items()}, **filled}


def _add(
    found: dict[str, Any],
    quantities: list[dict[str, Any]],
    parameter: Parameter,
    resource: dict[str, Any],
) -> bool:
    exists = False
    for source in parameter.sources:
        elements = paths.values(resource, resource, source.steps)
        exists = exists or _has(resource, source, elements)
        for value in elements:
            for row in rows(parameter, source, value):
                if parameter.kind == "quantity":  # value and unit of one element belong together
                    quantities.append({"parameter": parameter.code, **row.fields})
                    if row.comparable:
                        code = terms.comparable(parameter.code)
                        quantities.append({"parameter": code, **row.comparable})
                else:
                    for field, items in row.fields.items():
                        found[field][parameter.code] += items
                if row.sort:
                    sort = SORT_FIELDS.get(parameter.kind, "sort_text")
                    found[sort][parameter.code] += row.sort
    return exists


def _has(resource: dict[str, Any], source: Source, elements: list[Any]) -> bool:
    """Whether there is an element; "holds" has a value without one, too."""
    if source.steps[-1][0] == "holds":
        return bool(paths.values(resource, resource, source.steps[:-1]))
    return bool(elements)


def _combinations(parameter: Parameter, resource: dict[str, Any]) -> list[dict[str, Any]]:
    """One document per combination of the components' values within one element."""
    combined: list[dict[str, Any]] = []
    for source in parameter.sources:
        for element in paths.values(resource, resource, source.steps):
            sides = [_component(c, resource, element) for c in parameter.components]
            for number, combination in enumerate(product(*sides)):
                if number == MAX_COMBINATIONS:
                    break
                parts = {f"c{i}": row.fields for i, row in enumerate(combination, 1)}
                combined.append({"parameter": parameter.code, **parts})
                if any(row.comparable for row in combination):
                    code = terms.comparable(parameter.code)
                    parts = {
                        f"c{i}": r.comparable or r.fields for i, r in enumerate(combination, 1)
                    }
                    combined.append({"parameter": code, **parts})
    return combined


def _component(component: Parameter, resource: dict[str, Any], element: Any) -> list[Row]:
    return [
        row
        for source in component.sources
        for value in paths.values(resource, element, source.steps)
        for row in rows(component, source, value)
    ]
