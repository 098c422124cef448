"""Dates and numbers as intervals, and the prefixes that compare them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.search.intervals import date_bounds, number
from functions.search.parameters import for_type
from functions.search.query import parameter_clause
from functions.shared.errors import FhirError
from tests.unit.search.ranges import Range, matches

SECOND = 1_000_000
DAY = 86_400 * SECOND


def micros(*moment: int) -> int:
    return (datetime(*moment, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@pytest.mark.parametrize(
    ("text", "low", "width"),
    [
        ("2000", micros(2000, 1, 1), 366 * DAY),
        ("2001", micros(2001, 1, 1), 365 * DAY),
        ("2000-02", micros(2000, 2, 1), 29 * DAY),
        ("2000-12", micros(2000, 12, 1), 31 * DAY),
        ("1969-12-31", -DAY, DAY),
        ("2026-03-14T23:30-05:00", micros(2026, 3, 15, 4, 30), 60 * SECOND),
        ("2026-03-14T23:30:00-05:00", micros(2026, 3, 15, 4, 30), SECOND),
        ("2026-03-14T23:30:00 05:00", micros(2026, 3, 14, 18, 30), SECOND),
        ("2026-03-14T23:30:00", micros(2026, 3, 14, 23, 30), SECOND),
        ("2026-03-14T23:30:00.5Z", micros(2026, 3, 14, 23, 30) + 500_000, 100_000),
        ("2026-03-14T23:30:00.123Z", micros(2026, 3, 14, 23, 30) + 123_000, 1000),
        ("2026-03-14T23:30:00.123456789Z", micros(2026, 3, 14, 23, 30) + 123_456, 1),
        ("2016-12-31T23:59:60Z", micros(2017, 1, 1), SECOND),
        (
            "9999-12-31T23:59:59-14:00",
            micros(9999, 12, 31, 23, 59, 59) + 14 * 3600 * SECOND,
            SECOND,
        ),
    ],
)
def test_a_date_covers_what_its_precision_says(text: str, low: int, width: int) -> None:
    assert date_bounds(text) == (low, low + width - 1, False)


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "20", "2026-13", "2026-02-30", "2026-2-3", "0000", "2026-01-01T24:00",
        "2026-01-01T10", "2026-01-01T10:00:00+15:00", "2026-01-01T10:00:00+01:60", "2026-01-01Z",
        "2026-01-01T10:00:61Z", "2026-W01",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        date_bounds(text)


@pytest.mark.parametrize(
    ("text", "value", "low", "high"),
    [
        ("100", 100, 99.5, 100.5),
        ("100.00", 100, 99.995, 100.005),
        ("1e2", 100, 50, 150),
        ("-3", -3, -3.5, -2.5),
        ("0.10", 0.1, 0.095, 0.105),
        ("5.40e-1", 0.54, 0.5395, 0.5405),
        ("+7", 7, 6.5, 7.5),
    ],
)
def test_a_number_covers_what_its_digits_say(
    text: str, value: float, low: float, high: float
) -> None:
    assert number(text) == (value, (low, high, True))


@pytest.mark.parametrize("text", ["", "x", "1,5", "NaN", "Infinity", "1e9999", "0x10", "1" * 61])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        number(text)


def found_by_date(query: str, stored: Range) -> bool:
    clause = parameter_clause(for_type("Observation")["date"], "", [query], "")
    return matches(clause, "date.date", stored)


def day(first: str | None, last: str | None = None) -> Range:
    stored = {}
    if first:
        stored["gte"] = date_bounds(first).low
    if last := last or first:
        stored["lte"] = date_bounds(last).high
    return stored


STORED = {
    "year": day("2025"),
    "month": day("2025-03"),
    "day": day("2025-03-10"),
    "noon": day("2025-03-10T12:00:00Z"),
    "next": day("2025-03-11"),
    "before": day("2025-03-09"),
    "week": day("2025-03-07", "2025-03-13"),
    "from then on": {"gte": date_bounds("2025-03-10").low},
    "until then": {"lte": date_bounds("2025-03-10").high},
    "long ago": {"lte": date_bounds("1960").high},
}


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", "day, noon"),
        ("eq", "day, noon"),
        ("ne", "year, month, next, before, week, from then on, until then, long ago"),
        ("gt", "year, month, next, week, from then on"),
        ("lt", "year, month, before, week, until then, long ago"),
        ("ge", "year, month, day, noon, next, week, from then on"),
        ("le", "year, month, day, noon, before, week, until then, long ago"),
        ("sa", "next"),
        ("eb", "before, long ago"),
    ],
)
def test_prefixes_on_dates(prefix: str, expected: str) -> None:
    """https://hl7.org/fhir/R4/search.html#prefix, against a day."""
    found = [
        name for name, stored in STORED.items() if found_by_date(f"{prefix}2025-03-10", stored)
    ]
    assert sorted(found) == sorted(expected.split(", "))


def test_approximately_widens_with_the_distance_from_now() -> None:
    assert found_by_date("ap2015", day("2014-06"))
    assert not found_by_date("ap2015", day("1999"))
    assert not found_by_date("2015", day("2014-06"))


NUMBERS: dict[str, Range] = {
    "100": {"gte": 100, "lte": 100},
    "99.5": {"gte": 99.5, "lte": 99.5},
    "100.4": {"gte": 100.4, "lte": 100.4},
    "100.5": {"gte": 100.5, "lte": 100.5},
    "<100": {"lt": 100.0},
    ">100": {"gt": 100.0},
    ">=100": {"gte": 100},
    "90-110": {"gte": 90, "lte": 110},
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("100", "100, 99.5, 100.4"),
        ("100.0", "100"),
        ("1e2", "100, 99.5, 100.4, 100.5, 90-110"),
        ("ne100", "100.5, <100, >100, >=100, 90-110"),
        ("gt100", "100.4, 100.5, >100, >=100, 90-110"),
        ("lt100", "99.5, <100, 90-110"),
        ("ge100", "100, 100.4, 100.5, >100, >=100, 90-110"),
        ("le100", "100, 99.5, <100, 90-110"),
        ("sa100", "100.4, 100.5, >100"),
        ("eb100", "99.5, <100"),
        ("ap100", "100, 99.5, 100.4, 100.5, <100, >100, >=100, 90-110"),
        ("ap80", "<100"),
    ],
)
def test_prefixes_on_numbers(query: str, expected: str) -> None:
    """eq and ne go by the precision written, the others by the exact value."""
    clause = parameter_clause(for_type("RiskAssessment")["probability"], "", [query], "")
    found = [n for n, stored in NUMBERS.items() if matches(clause, "number.probability", stored)]
    assert sorted(found) == sorted(expected.split(", "))


@given(
    stored=st.decimals(-1000, 1000, places=3),
    asked=st.decimals(-1000, 1000, places=1),
)
@settings(max_examples=50, deadline=None)
def test_number_prefixes_agree_with_arithmetic(stored: Decimal, asked: Decimal) -> None:
    half = Decimal("0.05")
    truth = {
        "eq": asked - half <= stored < asked + half,
        "ne": not asked - half <= stored < asked + half,
        "gt": stored > asked,
        "lt": stored < asked,
        "ge": stored >= asked,
        "le": stored <= asked,
    }
    exactly = {"gte": float(stored), "lte": float(stored)}
    parameter = for_type("RiskAssessment")["probability"]
    for prefix, expected in truth.items():
        clause = parameter_clause(parameter, "", [f"{prefix}{asked}"], "")
        assert matches(clause, "number.probability", exactly) == expected, prefix


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        ("Observation", "date", "2026-02-30"),
        ("Observation", "date", "ge"),
        ("Observation", "date", "xx2026"),
        ("RiskAssessment", "probability", "gtx"),
        ("Observation", "value-quantity", "1|mg"),
        ("Observation", "value-quantity", "1|http://unitsofmeasure.org|"),
        ("Observation", "value-quantity", "x||mg"),
    ],
)
def test_values_of_another_form_are_the_clients_error(kind: str, code: str, value: str) -> None:
    with pytest.raises(FhirError) as refused:
        parameter_clause(for_type(kind)[code], "", [value], "")
    assert refused.value.status == 400
