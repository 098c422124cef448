"""Values that have an order: dates, numbers and quantities, with their prefixes (gt, le, ap …).

Semantics: https://hl7.org/fhir/R4/search.html#prefix.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from functions.search import terms, units
from functions.search.clauses import Clause, all_of, any_of, invalid, split, unescape
from functions.search.intervals import Bounds, date_bounds, now, number
from functions.search.units import Unit
from functions.shared.errors import quote

_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)


def date(field: str, value: str) -> Clause:
    """A date with its prefix."""
    prefix, text = _prefix(value)
    try:
        covered = date_bounds(text)
    except ValueError:
        raise invalid(f"{quote(text)} isn't a date.") from None
    if prefix == "ap":
        middle = (covered.low + covered.high) // 2
        margin = int(abs(now() - middle) // 10)
        covered = Bounds(covered.low - margin, covered.high + margin)
    return _compare(field, prefix, covered, covered)


def amount(field: str, value: str, unit: Unit | None = None) -> Clause:
    """A number, or with a unit its value in base units."""
    prefix, text = _prefix(value)
    try:
        exactly, covered = number(text)
    except (ValueError, ArithmeticError):
        raise invalid(f"{quote(text)} isn't a number.") from None
    if prefix == "ap":
        margin = abs(exactly) / 10
        low = min(covered.low, exactly - margin)
        covered = Bounds(low, max(covered.high, exactly + margin))
    if unit:
        exactly = unit.to_base(exactly)
        covered = Bounds(unit.to_base(covered.low), unit.to_base(covered.high), covered.open)
    return _compare(field, prefix, covered, Bounds(exactly, exactly))


def measured(field: Callable[[str], str], value: str) -> Clause:
    """A quantity: its number, and its unit if there is one. `field` gives names of fields."""
    parts = _parts(value)
    if len(parts) not in (1, 3):
        raise invalid("A quantity is number, or number|system|code, or number||code.")
    clauses = [amount(field("number"), parts[0])]
    if len(parts) == 3 and parts[2]:
        system, unit = parts[1:]
        term = terms.unit_coding(system, unit) if system else terms.unit(unit)
        clauses.append({"terms": {field("unit"): [term]}})
    elif len(parts) == 3 and parts[1]:
        raise invalid("A quantity's system needs a code.")
    return all_of(clauses)


def compared(field: Callable[[str], str], value: str, unit: Unit) -> Clause:
    """As `measured`, in any unit of the same dimension."""
    dimension = {"terms": {field("unit"): [terms.dimension(unit.dimension)]}}
    return all_of([amount(field("number"), _parts(value)[0], unit), dimension])


def unit_of(value: str) -> Unit | None:
    """The unit of a quantity, if there are others to compare it with."""
    parts = _parts(value)
    return units.unit(*parts[1:]) if len(parts) == 3 else None


def _parts(value: str) -> list[str]:
    return [unescape(part) for part in split(value, "|")]


def _prefix(value: str) -> tuple[str, str]:
    match = _PREFIXED.fullmatch(unescape(value).strip())
    prefix, text = match.groups() if match else ("", value)
    return prefix or "eq", text


def _compare(field: str, prefix: str, covered: Bounds, exactly: Bounds) -> Clause:
    """A range against ranges. eq and ne go by the value's precision, the others by `exactly`."""

    def ranged(relation: str, **limits: float) -> Clause:
        return {"range": {field: {**limits, "relation": relation}}}

    def inside(bounds: Bounds) -> Clause:
        upper = {"lt" if bounds.open else "lte": bounds.high}
        return ranged("within", gte=bounds.low, **upper)

    above = ranged("intersects", gt=exactly.high)
    below = ranged("intersects", lt=exactly.low)
    match prefix:
        case "gt":
            return above
        case "lt":
            return below
        case "ge":
            return any_of([above, inside(exactly)])
        case "le":
            return any_of([below, inside(exactly)])
        case "sa":
            return ranged("within", gt=exactly.high)
        case "eb":
            return ranged("within", lt=exactly.low)
        case "ap":
            return ranged("intersects", gte=covered.low, lte=covered.high)
        case "ne":
            beyond = {"gte" if covered.open else "gt": covered.high}
            return any_of([ranged("intersects", lt=covered.low), ranged("intersects", **beyond)])
    return inside(covered)
