"""Dates and numbers as intervals: what a written value covers, by its precision.

https://hl7.org/fhir/R4/search.html#date and #number.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,18}))?)?"
    r"(Z|[+\- ]\d\d:\d\d)?)?)?)?"
)
_NUMBER = re.compile(r"[+-]?\d{1,60}(\.\d{1,60})?([eE][+-]?\d{1,3})?")
_LARGEST = Decimal("1.7976931348623157e308")


class Bounds(NamedTuple):
    """From `low` to `high`, both included, unless `open` leaves `high` out."""

    low: float
    high: float
    open: bool = False


def date_bounds(text: str) -> Bounds:
    """The microseconds since 1970 that a date, partial date or instant covers. ValueError.

    Without a zone it is UTC. A blank before the zone is a plus sign that wasn't escaped in a URL.
    """
    match = _DATE.fullmatch(text.strip())
    if not match:
        raise ValueError(text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    y, m = int(year), int(month or 1)
    leap = second == "60"
    start = datetime(
        y, m, int(day or 1), int(hour or 0), int(minute or 0), 59 if leap else int(second or 0),
        tzinfo=_zone(zone),
    )  # fmt: skip
    low = (start - _EPOCH) // _MICROSECOND + (1_000_000 if leap else 0)
    if fraction:
        low += int(fraction[:6].ljust(6, "0"))
        width = 10 ** max(0, 6 - len(fraction))
    elif second:
        width = 1_000_000
    elif hour:
        width = 60_000_000
    else:
        days = 1 if day else monthrange(y, m)[1] if month else (366 if _is_leap(y) else 365)
        width = days * 86_400_000_000
    return Bounds(low, low + width - 1)


def now() -> int:
    """Microseconds since 1970."""
    return (datetime.now(UTC) - _EPOCH) // _MICROSECOND


def number(text: str) -> tuple[float, Bounds]:
    """A number and what its digits cover: 100 is [99.5, 100.5), 1e2 is [50, 150). ValueError."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(text)
    value = Decimal(text.strip())
    exponent = value.as_tuple().exponent
    half = Decimal(5).scaleb(int(exponent) - 1)
    return real(value), Bounds(real(value - half), real(value + half), open=True)


def real(value: Decimal | float) -> float:
    """As a double, as the index keeps it."""
    return float(max(-_LARGEST, min(_LARGEST, Decimal(value))))


def _zone(text: str | None) -> timezone:
    if not text or text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:])
    offset = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or hours > 14:
        raise ValueError(text)
    return timezone(-offset if text[0] == "-" else offset)


def _is_leap(year: int) -> bool:
    return monthrange(year, 2)[1] == 29
