"""Search values to clauses: R4's rules for each kind of parameter, and for modifiers."""

from typing import Any

import pytest

from functions.search import terms
from functions.search.parameters import for_type
from functions.search.query import NOTHING, parameter_clause, split, unescape
from functions.shared.errors import FhirError
from functions.shared.resources import RESOURCE_TYPES

BASE = "https://api.test/api"


def clause(kind: str, name: str, *values: str) -> dict[str, Any]:
    code, _, modifier = name.partition(":")
    return parameter_clause(for_type(kind)[code], modifier, values, BASE)


def looked_up(found: dict[str, Any], field: str) -> list[str]:
    """The terms that a clause looks up in one field, and nothing else."""
    assert found.keys() == {"terms"}, found
    assert found["terms"].keys() == {field}
    return found["terms"][field]


def test_strings_begin_contain_or_are_exactly() -> None:
    assert clause("Patient", "family", "MÜL") == {"prefix": {"string.family": {"value": "mul"}}}
    assert looked_up(clause("Patient", "family:exact", "MÜL"), "exact.family") == ["MÜL"]
    contained = clause("Patient", "family:contains", "a*b?c\\\\d")
    assert contained == {"wildcard": {"string.family": {"value": "*abcd*"}}}
    assert clause("Patient", "family", "!") == clause("Patient", "family:contains", "-") == NOTHING


def test_alternatives_are_one_lookup_where_that_is_possible() -> None:
    assert looked_up(clause("Patient", "family:exact", "a", "b", "a"), "exact.family") == ["a", "b"]
    mixed = clause("Patient", "family", "a", "b")
    assert mixed["bool"].keys() == {"should"}
    assert len(mixed["bool"]["should"]) == 2


@pytest.mark.parametrize(
    ("value", "term"),
    [
        ("ABC", terms.code("abc")),
        ("http://x|Abc", terms.coding("http://x", "abc")),
        ("|abc", terms.coding("", "abc")),
        ("http://x|", terms.system("http://x")),
        (r"a\|b", terms.code("a|b")),
        (r"s\|t|a\,b", terms.coding("s|t", "a,b")),
        ("a|b|c", terms.coding("a", "b|c")),
    ],
)
def test_tokens(value: str, term: str) -> None:
    assert looked_up(clause("Observation", "code", value), "token.code") == [term]


def test_modifiers_of_tokens() -> None:
    negated = clause("Patient", "gender:not", "male", "female")
    (inner,) = negated["bool"]["must_not"]
    assert looked_up(inner, "token.gender") == [terms.code("male"), terms.code("female")]
    assert clause("Observation", "code:text", "Créa") == {
        "prefix": {"text.code": {"value": "crea"}}
    }


def test_missing_is_of_every_kind_and_not_the_same_as_not() -> None:
    present = {"term": {"present": "gender"}}
    assert clause("Patient", "gender:missing", "false") == present
    assert clause("Patient", "gender:missing", "true") == {"bool": {"must_not": [present]}}
    for value in (["maybe"], ["true", "false"]):
        with pytest.raises(FhirError):
            clause("Patient", "gender:missing", *value)


def test_ids_that_can_be_none_find_nothing() -> None:
    assert looked_up(clause("Patient", "_id", "a", "b"), "id") == ["a", "b"]
    for value in ("a b", "x|y", "a" * 65):
        assert clause("Patient", "_id", value) == NOTHING


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("subject", "Patient/1", {"Patient/1", f"{BASE}/Patient/1"}),
        ("subject", f"{BASE}/Patient/1", {"Patient/1", f"{BASE}/Patient/1"}),
        ("subject:Patient", "1", {"Patient/1", f"{BASE}/Patient/1"}),
        (
            "subject",
            "1",
            {"/1", *(f"{BASE}/{t}/1" for t in ("Patient", "Group", "Device", "Location"))},
        ),
        ("subject", "http://other/Patient/1", {"http://other/Patient/1"}),
        ("subject", "urn:uuid:1", {"urn:uuid:1"}),
        ("subject", "http://[", {"http://["}),
        (
            "subject",
            "Patient/1/_history/2",
            {"Patient/1/_history/2", f"{BASE}/Patient/1/_history/2"},
        ),
    ],
)
def test_references(name: str, value: str, expected: set[str]) -> None:
    assert set(looked_up(clause("Observation", name, value), "reference.subject")) == expected


def test_a_reference_of_any_type_covers_all_types() -> None:
    found = looked_up(clause("Provenance", "target", "1"), "reference.target")
    assert set(found) == {"/1", *(f"{BASE}/{kind}/1" for kind in RESOURCE_TYPES)}


def test_references_by_identifier() -> None:
    found = clause("Observation", "subject:identifier", "urn:mrn|1")
    assert looked_up(found, "identifier.subject") == [terms.coding("urn:mrn", "1")]


def test_addresses_above_and_below() -> None:
    assert looked_up(clause("ValueSet", "url", "http://x/a"), "uri.url") == ["http://x/a"]
    above = looked_up(clause("ValueSet", "url:above", "http://x/a/b"), "uri.url")
    assert set(above) >= {"http://x/a/b", "http://x/a", "http://x"}
    assert not {"http:", "http:/", "http://"} & set(above)
    below = clause("ValueSet", "url:below", "http://x/a/")["bool"]["should"]
    assert below == [
        {"terms": {"uri.url": ["http://x/a"]}},
        {"prefix": {"uri.url": {"value": "http://x/a/"}}},
    ]


def test_number_and_unit_of_a_quantity_belong_to_one_element() -> None:
    nested = clause("Observation", "value-quantity", "5.4|urn:units|mg")["nested"]
    assert nested["path"] == "quantity"
    code, amount, unit = nested["query"]["bool"]["filter"][0], *_parts(nested)
    assert code == {"term": {"quantity.parameter": "value-quantity"}}
    assert amount["range"].keys() == {"quantity.number"}
    expected = [terms.unit_coding("urn:units", "mg")]
    assert looked_up(unit, "quantity.unit") == expected
    (_, unit) = _parts(clause("Observation", "value-quantity", "5.4||mg")["nested"])
    assert looked_up(unit, "quantity.unit") == [terms.unit("mg")]


def _parts(nested: dict[str, Any]) -> list[dict[str, Any]]:
    """(amount, unit) of a quantity's query."""
    return nested["query"]["bool"]["filter"][1]["bool"]["filter"]


def test_components_of_a_composite_belong_to_one_element() -> None:
    nested = clause("Observation", "component-code-value-quantity", "http://x|1$gt5||mg")["nested"]
    code, first, second = nested["query"]["bool"]["filter"]
    assert nested["path"] == "composite"
    assert code == {"term": {"composite.parameter": "component-code-value-quantity"}}
    assert looked_up(first, "composite.c1.token") == [terms.coding("http://x", "1")]
    assert second["bool"]["filter"][0]["range"].keys() == {"composite.c2.number"}
    escaped = clause("Observation", "code-value-string", r"a$b\$c")["nested"]["query"]
    assert escaped["bool"]["filter"][2] == {"prefix": {"composite.c2.string": {"value": "b$c"}}}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("Patient", "gender:nonsense", "male"),
        ("Patient", "gender:exact", "male"),
        ("Patient", "birthdate:not", "2000"),
        ("Patient", "_id:not", "1"),
        ("Observation", "code:in", "http://x"),
        ("Observation", "code", "|"),
        ("Observation", "subject:Medication", "1"),
        ("Observation", "subject:Patient", "Group/1"),
        ("Observation", "subject", "Nonsense/1"),
        ("Observation", "subject", "a b"),
        ("Observation", "code-value-quantity", "1"),
        ("Observation", "code-value-quantity", "a$1$2"),
        ("Observation", "code-value-quantity", "$1"),
        ("Patient", "family", "x" * 2001),
        ("Patient", "family", "x" * 1001),
        ("Patient", "family", "\N{GRINNING FACE}" * 251),
        ("Patient", "family:contains", "x" * 251),
        ("Observation", "code:text", "x" * 1001),
        ("ValueSet", "url:below", "http://" + "x" * 1000),
    ],
)
def test_what_cannot_be_searched_is_the_clients_error(kind: str, name: str, value: str) -> None:
    with pytest.raises(FhirError) as refused:
        clause(kind, name, value)
    assert refused.value.status == 400


def test_separators_can_be_escaped() -> None:
    assert split(r"a\,b,c\\,d", ",") == [r"a\,b", r"c\\", "d"]
    assert [unescape(part) for part in split(r"a\,b,c\\,d", ",")] == ["a,b", "c\\", "d"]
    assert split("a|b|c", "|", 1) == ["a", "b|c"]
