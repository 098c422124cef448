"""Search requests to plans, their limits, and cursors."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.search import cursor
from functions.search.parameters import for_type
from functions.search.plan import DEFAULT_COUNT, MAX_COUNT, Plan, read
from functions.shared.errors import FhirError


def plan(*pairs: tuple[str, str], strict: bool = True, kind: str = "Patient") -> Plan:
    return read(
        list(pairs), for_type(kind), frozenset({kind}), base_url="https://api.test", strict=strict
    )


def refusal(*pairs: tuple[str, str], strict: bool = True) -> tuple[int, str]:
    with pytest.raises(FhirError) as refused:
        plan(*pairs, strict=strict)
    return refused.value.status, refused.value.issues[0].code


def test_parameters_add_up_and_values_are_alternatives() -> None:
    found = plan(("gender", "male,female"), ("gender", "male"), ("birthdate", "2000"))
    assert len(found.clauses) == 3
    assert found.used == [("gender", "male,female"), ("gender", "male"), ("birthdate", "2000")]


def test_what_a_page_looks_like() -> None:
    assert (plan().count, plan().total, plan().order()) == (
        DEFAULT_COUNT,
        "none",
        [{"pk": {"order": "asc"}}],
    )
    found = plan(("_count", "5"), ("_total", "accurate"), ("_sort", "-birthdate,name,_id"))
    assert (found.count, found.total) == (5, "accurate")
    assert found.order() == [
        {
            "sort_date.birthdate": {
                "order": "desc",
                "missing": "_last",
                "unmapped_type": "long",
            }
        },
        {"sort_text.name": {"order": "asc", "missing": "_last", "unmapped_type": "keyword"}},
        {"id": {"order": "asc", "missing": "_last", "unmapped_type": "keyword"}},
        {"pk": {"order": "asc"}},
    ]
    assert plan(("_count", "999999999")).count == MAX_COUNT
    assert plan(("_count", "999999999")).used == [("_count", str(MAX_COUNT))]
    assert plan(("_count", "0")).count_only
    assert plan(("_summary", "count")).count_only


def test_unknown_parameters_follow_the_preference() -> None:
    pairs = [("shoe-size", "46"), ("_query-time", "1"), ("_sort", "shoe-size"), ("gender", "")]
    found = plan(*pairs, ("gender", "male"), ("_sort", "name,shoe-size"), strict=False)
    assert found.used == [("gender", "male"), ("_sort", "name")]
    for pair in pairs[:3]:
        assert refusal(pair) == (400, "not-supported")
    plan(pairs[3])


@pytest.mark.parametrize(
    "name",
    [
        "near", "_has", "_include:recurse", "_text", "_content", "_list", "_query", "_filter",
    ],
)  # fmt: skip
def test_filters_that_are_not_supported_are_never_just_left_out(name: str) -> None:
    assert refusal((name, "x"), strict=False) == (400, "not-supported")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_count", "many"),
        ("_count", "-1"),
        ("_count", "1.5"),
        ("_total", "some"),
        ("gender:nonsense", "male"),
        ("birthdate", "yesterday"),
        ("family", "x" * 20_000),
    ],
)
def test_wrong_values_are_400_whatever_the_preference(name: str, value: str) -> None:
    for strict in (True, False):
        assert refusal((name, value), strict=strict)[0] == 400


@pytest.mark.parametrize(
    "pair",
    [
        ("identifier", ",".join(map(str, range(2_001)))),
        ("family", ",".join(map(str, range(801)))),
        ("family:contains", ",".join(["x" * 250] * 40)),
        ("birthdate", ",".join(f"ne{year}" for year in range(1500, 1950))),
        ("general-practitioner", ",".join(map(str, range(2_000))) + ",x"),
        ("_sort", ",".join(["family"] * 9)),
    ],
)
def test_too_much_at_once_is_422(pair: tuple[str, str]) -> None:
    assert refusal(pair) == (422, "too-costly")


def test_negations_cost_two_clauses() -> None:
    plan(*[("gender:not", str(number)) for number in range(400)])
    pairs = [("gender:not", str(number)) for number in range(401)]
    assert refusal(*pairs) == (422, "too-costly")


def with_cursor(found: Plan, text: str) -> Plan:
    found.cursor = text
    return found


PAIRS = [("gender", "male"), ("_sort", "-birthdate,name")]


def test_a_cursor_leads_back_to_its_place() -> None:
    keys = [-(2**63), None, "Patient/1"]
    text = cursor.encode(plan(*PAIRS), keys)
    assert text.replace("-", "").replace("_", "").isalnum()
    for same in (PAIRS, [*reversed(PAIRS), ("_count", "7"), ("_total", "accurate")]):
        found = plan(*same, ("_cursor", text))
        assert cursor.decode(found) == keys
        assert ("_cursor", text) not in found.used


def forged(*content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def test_a_cursor_of_another_search_or_of_none_is_refused() -> None:
    good = cursor.encode(plan(*PAIRS), [1, "x", "Patient/1"])
    digest = json.loads(base64.urlsafe_b64decode(good + "=="))[0]
    other = plan(("gender", "female"), PAIRS[1])
    refused = [
        with_cursor(other, good),
        *(
            with_cursor(plan(*PAIRS), text)
            for text in (
                "\x00nonsense", "ü", "A", "A" * 7_000, forged(), forged(digest), good + "A",
                base64.urlsafe_b64encode(b"[" * 4_000).decode(), forged(digest, 1, "x"),
                forged(digest, 1, "x", "Patient/1", "Patient/1"), forged(digest, True, "x", "P/1"),
                forged(digest, 2**63, "x", "P/1"), forged(digest, 1.5, "x", "P/1"),
                forged(digest, 1, {}, "P/1"), forged(digest, 1, "x", 5),
                forged(digest, 1, "x", "P/"), forged("0" * 16, 1, "x", "P/1"),
            )
        ),
    ]  # fmt: skip
    for found in refused:
        with pytest.raises(FhirError) as error:
            cursor.decode(found)
        assert error.value.status == 400, found.cursor


@given(st.text(max_size=50) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
@settings(max_examples=50, deadline=None)
def test_no_cursor_is_a_fault(text: str) -> None:
    with pytest.raises(FhirError):
        cursor.decode(with_cursor(plan(*PAIRS), text))


NAMES = [
    "family", "gender", "birthdate", "general-practitioner", "_id", "_lastUpdated", "_profile",
    "_sort", "_count", "_total", "_summary", "_tag", "_elements", "family:exact", "family:contains",
    "gender:not", "gender:text", "birthdate:missing", "general-practitioner:identifier",
    "general-practitioner:Organization", "_profile:below", "_profile:above", "odd:", ":", "", ".",
    "_include", "_include:iterate", "_revinclude", "_has:Observation:patient:code", "link.name",
]  # fmt: skip
VALUES = st.text(max_size=30) | st.sampled_from(
    [
        "http://[",
        "|",
        "$",
        "\\",
        ",",
        "1e309",
        "ne",
        "9999-12-31T23:59:60Z",
        "0001",
        "ap2026",
        "*",
        "Patient:link",
        "Patient:*:Patient",
    ]
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3), st.booleans())
@settings(max_examples=80, deadline=None)
def test_no_search_is_a_fault(pairs: list[tuple[str, str]], strict: bool) -> None:
    try:
        json.dumps(plan(*pairs, strict=strict).clauses, allow_nan=False)
    except FhirError as error:
        if error.status not in (400, 422):
            raise
