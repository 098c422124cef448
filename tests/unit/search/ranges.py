"""What a range clause means, to check meanings rather than the form of clauses."""

from __future__ import annotations

import math
from typing import Any

Range = dict[str, float]
"""A range of the index: gte, gt, lte, lt; without one of a side it is open there."""


def matches(clause: dict[str, Any], field: str, value: Range) -> bool:
    """Whether a document whose field has this one range is found by the clause."""
    if "bool" in clause:
        return any(matches(inner, field, value) for inner in clause["bool"]["should"])
    ((found, limits),) = clause["range"].items()
    assert found == field
    wanted, present = _ends(limits), _ends(value)
    if limits["relation"] == "within":
        return wanted[0] <= present[0] and present[1] <= wanted[1]
    assert limits["relation"] == "intersects"
    return wanted[0] <= present[1] and present[0] <= wanted[1]


def _ends(limits: dict[str, Any]) -> tuple[float, float]:
    low = limits["gte"] if "gte" in limits else _next(limits.get("gt"), 1)
    high = limits["lte"] if "lte" in limits else _next(limits.get("lt"), -1)
    return low, high


def _next(limit: float | None, sign: int) -> float:
    """The engine turns exclusive limits into the neighbouring number."""
    if limit is None:
        return -sign * math.inf
    if isinstance(limit, int):
        return limit + sign
    return math.nextafter(limit, sign * math.inf)
