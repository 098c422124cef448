"""Resources to index documents: what R4's parameters find in them."""

from typing import Any

import pytest

from functions.search import terms
from functions.search.extract import MAX_COMBINATIONS, document, values
from functions.search.index import COMPONENTS, SETTINGS, mapping
from functions.search.intervals import date_bounds
from functions.search.parameters import for_type, shared_by
from functions.search.query import parameter_clause
from functions.shared.errors import FhirError
from functions.shared.items import Version
from functions.shared.resources import RESOURCE_TYPES, parse, serialise

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {
        "lastUpdated": "2026-01-31T12:00:00.000Z",
        "tag": [{"system": "urn:t", "code": "X"}],
        "profile": ["http://p/a|2"],
    },
    "identifier": [{"system": "urn:mrn", "value": "N-1", "type": {"text": "Chart Nº"}}],
    "name": [{"family": "Müller", "given": ["Ánna", "Eva"], "use": "official"}, {"text": "Mü"}],
    "gender": "female",
    "birthDate": "1961-04",
    "telecom": [{"system": "email", "value": "A@b.c"}, {"system": "phone", "value": "1"}],
    "address": [{"line": ["Am Weg 1"], "city": "Zürich"}],
    "deceasedDateTime": "2020",
    "generalPractitioner": [{"reference": "Organization/o"}],
    "managingOrganization": {"identifier": {"system": "urn:x", "value": "1"}},
}


def observation(**elements: Any) -> dict[str, Any]:
    return values({"resourceType": "Observation", "status": "final", "code": {}, **elements})


def test_a_patient() -> None:
    found = values(PATIENT)

    assert found["string"]["family"] == ["muller"]
    assert found["string"]["given"] == ["anna", "eva"]
    assert set(found["string"]["name"]) == {"muller", "anna", "eva", "mu"}
    assert found["exact"]["family"] == ["Müller"]
    assert found["string"]["address-city"] == ["zurich"]
    assert "am weg 1" in found["string"]["address"]
    assert set(found["token"]["gender"]) == {
        terms.code("female"),
        terms.coding("", "female"),
        terms.system("http://hl7.org/fhir/administrative-gender"),
        terms.coding("http://hl7.org/fhir/administrative-gender", "female"),
    }
    assert terms.coding("urn:mrn", "n-1") in found["token"]["identifier"]
    assert found["text"]["identifier"] == ["chart no"]
    assert found["token"]["email"][0] == terms.code("a@b.c")
    assert found["token"]["phone"][0] == terms.code("1")
    assert terms.code("true") in found["token"]["deceased"]
    assert found["token"]["_tag"][:2] == [terms.system("urn:t"), terms.code("x")]
    assert found["uri"]["_profile"] == ["http://p/a|2", "http://p/a"]
    april = date_bounds("1961-04")
    assert found["date"]["birthdate"] == [{"gte": april.low, "lte": april.high}]
    assert found["reference"]["general-practitioner"] == ["Organization/o", "/o"]
    assert terms.coding("urn:x", "1") in found["identifier"]["organization"]
    assert found["sort_text"]["name"] == ["muller anna eva", "mu"]
    assert found["sort_date"]["birthdate"] == [april.low]
    assert {"organization", "death-date", "_id"} <= set(found["present"])
    assert "language" not in found["present"]


def test_false_and_missing_are_not_deceased_but_present_differs() -> None:
    living = values({"resourceType": "Patient", "deceasedBoolean": False})
    unknown = values({"resourceType": "Patient"})
    for found in (living, unknown):
        assert terms.code("false") in found["token"]["deceased"]
    assert "deceased" in living["present"]
    assert "deceased" not in unknown["present"]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"effectivePeriod": {"start": "2025", "end": "2026"}}, [("2025", "2026")]),
        ({"effectivePeriod": {"start": "2025"}}, [("2025", None)]),
        ({"effectivePeriod": {"end": "1960"}}, [(None, "1960")]),
        ({"effectivePeriod": {"start": "2026", "end": "2025"}}, []),
        (
            {"effectiveTiming": {"event": ["2025", "2026-01"]}},
            [("2025", "2025"), ("2026-01", "2026-01")],
        ),
        (
            {"effectiveTiming": {"repeat": {"boundsPeriod": {"end": "1960"}}}},
            [(None, "1960")],
        ),
    ],
)
def test_dates_are_ranges_and_open_where_nothing_is_said(
    element: dict[str, Any], expected: list[tuple[str | None, str | None]]
) -> None:
    ranges = [
        ({"gte": date_bounds(first).low} if first else {})
        | ({"lte": date_bounds(last).high} if last else {})
        for first, last in expected
    ]
    found = observation(**element)
    assert found.get("date", {}).get("date", []) == ranges
    assert "date" in found["present"]  # :missing goes by the element, readable or not


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        ({"probabilityDecimal": 0.1}, {"gte": 0.1, "lte": 0.1}),
        (
            {"probabilityRange": {"low": {"value": -2}, "high": {"value": -1}}},
            {"gte": -2, "lte": -1},
        ),
        ({"probabilityRange": {"high": {"value": -1}}}, {"lte": -1}),
        ({"probabilityRange": {"low": {"value": 5}}}, {"gte": 5}),
    ],
)
def test_numbers_and_ranges(probability: dict[str, Any], expected: dict[str, float]) -> None:
    found = values({"resourceType": "RiskAssessment", "prediction": [probability]})
    assert found["number"]["probability"] == [expected]


@pytest.mark.parametrize(
    ("quantity", "number", "unit"),
    [
        (
            {"value": 5, "system": "urn:u", "code": "mg", "unit": "Milligram"},
            {"gte": 5, "lte": 5},
            [terms.unit_coding("urn:u", "mg"), terms.unit("mg"), terms.unit("Milligram")],
        ),
        ({"value": 5, "comparator": "<"}, {"lt": 5}, None),
        ({"value": 5, "comparator": ">="}, {"gte": 5}, None),
    ],
)
def test_quantities(
    quantity: dict[str, Any], number: dict[str, float], unit: list[str] | None
) -> None:
    rows = observation(valueQuantity=quantity)["quantity"]
    (row,) = [row for row in rows if row["parameter"] == "value-quantity"]
    assert row["number"] == [number]
    assert row.get("unit") == unit


def test_money_has_its_currency_as_unit() -> None:
    found = values({"resourceType": "Invoice", "totalNet": {"value": 5, "currency": "EUR"}})
    (row,) = found["quantity"]
    assert row["unit"] == [terms.unit_coding("urn:iso:std:iso:4217", "EUR"), terms.unit("EUR")]


def test_a_quantity_too_large_for_the_engine_is_its_largest_number() -> None:
    found = values(parse(b'{"resourceType":"Invoice","totalNet":{"value":1e999999999}}'))
    assert found["quantity"][0]["number"][0]["gte"] == pytest.approx(1.797e308, rel=1e-3)


def test_composites_combine_what_is_in_one_element() -> None:
    def component(code: str, value: int) -> dict[str, Any]:
        return {
            "code": {"coding": [{"system": "urn:c", "code": code}]},
            "valueQuantity": {"value": value},
        }

    found = observation(component=[component("a", 1), component("b", 2)])["composite"]
    pairs = [
        (row["c1"]["token"][1], row["c2"]["number"][0]["gte"])
        for row in found
        if row["parameter"] == "component-code-value-quantity"
    ]
    assert pairs == [(terms.code("a"), 1), (terms.code("b"), 2)]


def test_composites_of_many_codes_are_bounded() -> None:
    many = {"coding": [{"system": "urn:c", "code": str(n)} for n in range(20)], "text": "x"}
    bounded = observation(
        component=[{"code": many, "valueCodeableConcept": many}] * 3,
        code=many,
        valueCodeableConcept=many,
    )["composite"]
    assert len(bounded) <= 10 * MAX_COMBINATIONS


@pytest.mark.parametrize(
    ("subject", "reference", "patient"),
    [
        ({"reference": "Patient/1"}, ["Patient/1", "/1"], ["Patient/1", "/1"]),
        ({"reference": "Group/1"}, ["Group/1", "/1"], None),
        ({"reference": "http://x/Patient/1"}, ["http://x/Patient/1"], ["http://x/Patient/1"]),
        (
            {"reference": "Patient/1/_history/2"},
            ["Patient/1", "/1", "Patient/1/_history/2"],
            ["Patient/1", "/1", "Patient/1/_history/2"],
        ),
        ({"reference": "#in"}, None, None),
        ({"reference": "urn:uuid:1", "type": "Patient"}, ["urn:uuid:1"], ["urn:uuid:1"]),
        ({"display": "somebody"}, None, None),
    ],
)
def test_references(
    subject: dict[str, Any], reference: list[str] | None, patient: list[str] | None
) -> None:
    found = observation(subject=subject, contained=[{"resourceType": "Patient", "id": "in"}])
    assert found.get("reference", {}).get("subject") == reference
    assert found.get("reference", {}).get("patient") == patient


def test_what_cannot_be_read_as_its_type_is_left_out() -> None:
    found = values(
        {
            "resourceType": "Patient",
            "birthDate": "2026-02-30",
            "name": ["not a name", {"family": 5}],
            "identifier": [7],
            "gender": {"odd": 1},
        }
    )
    assert "date" not in found
    assert "string" not in found
    assert {"birthdate", "name"} <= set(found["present"])


def version(body: bytes, **changed: Any) -> Version:
    return Version("Patient/p", 1, body, "jo", "2026-01-31T12:00:00.000Z", **changed)


def test_documents_carry_what_access_and_order_need() -> None:
    found = document(version(serialise(PATIENT), dataset="d"))
    assert (found["pk"], found["type"], found["id"]) == ("Patient/p", "Patient", "p")
    assert (found["owner"], found["dataset"], found["deleted"]) == ("jo", "d", False)
    for changed in ({"deleted": True}, {"erased": True}):
        assert document(version(b"", **changed)) == {
            "pk": "Patient/p",
            "type": "Patient",
            "id": "p",
            "owner": "jo",
            "deleted": True,
            "updated": date_bounds("2026-01-31T12:00:00.000Z").low,
        }


@pytest.mark.parametrize("body", [b"", b"neither", b"[]", b'{"resourceType":"Observation"}'])
def test_a_body_that_is_no_resource_of_its_key_has_no_document(body: bytes) -> None:
    with pytest.raises((ValueError, FhirError)):
        document(version(body))


def fields(document: dict[str, Any], properties: dict[str, Any], path: str = "") -> set[str]:
    """The fields of a document that the mapping doesn't have, dynamic ones by kind and code."""
    unknown = set()
    for name, value in document.items():
        field = properties.get(name)
        if field is None:
            unknown.add(path + name)
        elif "properties" in field:
            for item in value if isinstance(value, list) else [value]:
                unknown |= fields(item, field["properties"], f"{path}{name}.")
        elif field.get("type") == "object":
            assert field["dynamic"] == "true"
    return unknown


ODD: list[Any] = [
    None, True, -1, 1.5, "", "x", "2026", [], {}, [None], [[]], [{}], {"coding": 5}, {"start": 5},
    {"coding": [None, {}, {"code": 5}, {"system": {}, "code": "x"}]}, {"text": ["x"]}, "#x",
    {"reference": 7}, {"identifier": "x"}, {"value": "x"}, {"value": True}, {"event": [5, "x"]},
    {"repeat": []}, {"low": {}, "high": {"value": 1}}, {"resourceType": "Patient"},
    {"lastUpdated": 1},
    {"code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": 1, "code": 5}},
]  # fmt: skip
ELEMENTS = [
    "id", "meta", "code", "subject", "focus", "identifier", "contained", "component", "method",
    "effectiveDateTime", "effectivePeriod", "effectiveTiming", "valueQuantity", "valueString",
    "valueCodeableConcept", "valueDateTime",
]  # fmt: skip


@pytest.mark.parametrize("element", ELEMENTS)
def test_no_content_stops_extraction_or_leaves_the_mapping(element: str) -> None:
    properties = mapping()["properties"]
    for odd in ODD:
        for value in (odd, [odd, odd]):
            found = observation(**{element: value})
            assert fields(found, properties) == set(), value
            serialise(found)


def test_the_index_has_room_for_every_parameter() -> None:
    by_kind = {
        "string": 3, "token": 3, "reference": 3, "uri": 2, "date": 2, "number": 2, "quantity": 1,
        "composite": 0,
    }  # fmt: skip
    kinds = {
        (code, parameter.kind)
        for kind in RESOURCE_TYPES
        for code, parameter in for_type(kind).items()
    }
    assert sum(by_kind[kind] for _, kind in kinds) + 100 < SETTINGS["mapping.total_fields.limit"]
    assert all(
        len(parameter.components) <= COMPONENTS
        for kind in RESOURCE_TYPES
        for parameter in for_type(kind).values()
    )


def test_every_parameter_of_every_type_can_be_searched() -> None:
    sample = {
        "string": "a", "token": "a", "date": "2026", "number": "1", "quantity": "1", "uri": "urn:a",
        "reference": "1",
    }  # fmt: skip
    count = 0
    for kind in RESOURCE_TYPES:
        for parameter in for_type(kind).values():
            value = sample.get(parameter.kind) or "$".join(
                sample[component.kind] for component in parameter.components
            )
            parameter_clause(parameter, "", [value], "https://api.test")
            count += 1
    assert count > 2_000


def test_parameters_shared_by_types_mean_the_same_on_all() -> None:
    shared = shared_by(frozenset({"Patient", "Practitioner"}))
    assert {"family", "gender", "_id", "_lastUpdated"} <= shared.keys()
    assert "birthdate" not in shared
    assert "link" not in shared
