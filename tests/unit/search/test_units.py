"""Units of one dimension compare; the factors are those of textbooks, not of the table's makers."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.search.extract import values
from functions.search.parameters import for_type
from functions.search.query import parameter_clause
from functions.search.units import UCUM, unit
from tests.unit.search.ranges import matches


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("mg/dL", "g/L", 0.01),
        ("umol/L", "mmol/L", 0.001),
        ("[lb_av]", "kg", 0.45359237),
        ("[in_i]", "cm", 2.54),
        ("mm[Hg]", "kPa", 0.133322387415),
        ("/min", "/h", 60),
        ("10*3/uL", "10*9/L", 1),
        ("ng/mL", "ug/L", 1),
        ("kcal", "kJ", 4.184),
        ("[IU]/L", "[iU]/mL", 0.001),
    ],
)
def test_a_unit_in_terms_of_another(one: str, other: str, factor: float) -> None:
    first, second = unit(UCUM, one), unit(UCUM, other)
    assert first
    assert second
    assert first.dimension == second.dimension
    assert math.isclose(first.factor / second.factor, factor, rel_tol=1e-9)


def test_temperatures_have_an_offset() -> None:
    celsius, fahrenheit = unit(UCUM, "Cel"), unit(UCUM, "[degF]")
    assert celsius
    assert fahrenheit
    assert celsius.to_base(37) == fahrenheit.to_base(98.6) == 310.15


def test_what_does_not_compare() -> None:
    pairs = [("g/L", "mmol/L"), ("[IU]/L", "/L"), ("[IU]/L", "[CFU]/L"), ("kg", "m"), ("%", "h")]
    for one, other in pairs:
        first, second = unit(UCUM, one), unit(UCUM, other)
        assert first
        assert second
        assert first.dimension != second.dimension
    for system, code in ((UCUM, "[pH]"), (UCUM, "deg"), (UCUM, ""), ("", "mg"), ("urn:x", "mg")):
        assert unit(system, code) is None


def observation(value: float, code: str, system: str = UCUM) -> dict[str, Any]:
    quantity = {"value": value, "system": system, "code": code, "unit": code}
    coding = [{"system": "urn:x", "code": "w"}]
    return {"resourceType": "Observation", "code": {"coding": coding}, "valueQuantity": quantity}


def is_found(resource: dict[str, Any], value: str) -> bool:
    """What the engine does with a nested document and the alternatives of a query."""
    clause = parameter_clause(for_type("Observation")["value-quantity"], "", [value], "")
    query = clause["nested"]["query"]
    alternatives = query["bool"].get("should", [query])
    for document in values(resource)["quantity"]:
        for alternative in alternatives:
            name, *rest = alternative["bool"]["filter"]
            parts = rest[0]["bool"]["filter"] if "filter" in rest[0].get("bool", {}) else rest
            numbers = [c for c in parts if "terms" not in c]
            wanted = {t for c in parts if "terms" in c for t in c["terms"]["quantity.unit"]}
            if (
                name["term"]["quantity.parameter"] == document["parameter"]
                and wanted <= set(document.get("unit", ()))
                and all(matches(c, "quantity.number", document["number"][0]) for c in numbers)
            ):
                return True
    return False


@pytest.mark.parametrize(
    ("stored", "value", "expected"),
    [
        ((5000, "mg"), f"5|{UCUM}|g", True),
        ((5000, "mg"), f"5.00|{UCUM}|g", True),
        ((5010, "mg"), f"5.00|{UCUM}|g", False),
        ((5010, "mg"), f"gt5|{UCUM}|g", True),
        ((5000, "mg"), f"gt5|{UCUM}|g", False),
        ((5000, "mg"), f"ge5|{UCUM}|g", True),
        ((5000, "mg"), f"ne5|{UCUM}|g", False),
        ((60, "/min"), f"le1|{UCUM}|/s", True),
        ((98.6, "[degF]"), f"ge37|{UCUM}|Cel", True),
        ((98.5, "[degF]"), f"ge37|{UCUM}|Cel", False),
        ((5000, "mg"), "5", False),
        ((5000, "mg"), "5000", True),
        ((5000, "mg"), "5||g", False),
        ((5000, "mg"), f"5|{UCUM}|L", False),
        ((7.4, "[pH]"), f"7.4|{UCUM}|[pH]", True),
        ((5000, "mg"), "5|urn:x|g", False),
    ],
)
def test_quantities_are_found_in_any_unit(
    stored: tuple[float, str], value: str, expected: bool
) -> None:
    assert is_found(observation(*stored), value) is expected


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["mg", "Cel", "10*3/uL"]))
def test_no_number_is_out_of_range(value: float, code: str) -> None:
    found = unit(UCUM, code)
    assert found
    assert math.isfinite(found.to_base(value))


def test_components_of_a_composite_compare_too() -> None:
    documents = values(observation(5000, "mg"))["composite"]
    parameter = for_type("Observation")["code-value-quantity"]
    clause = parameter_clause(parameter, "", [f"urn:x|w$5|{UCUM}|g"], "")
    (_, comparable) = clause["nested"]["query"]["bool"]["should"]
    name, _, amount = comparable["bool"]["filter"]
    (twin,) = (d for d in documents if d["parameter"] == name["term"]["composite.parameter"])
    wanted = amount["bool"]["filter"]
    assert matches(wanted[0], "composite.c2.number", twin["c2"]["number"][0])
    assert wanted[1]["terms"]["composite.c2.unit"] == twin["c2"]["unit"]
    assert twin["c1"] == documents[0]["c1"]
