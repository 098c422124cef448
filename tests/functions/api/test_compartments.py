"""Compartments and $everything: where is searched, who may, and what is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.search.compartments import COMPARTMENTS, members, types_of
from functions.search.parameters import for_type
from tests.functions.api.conftest import BASE, EMPTY, Client
from tests.functions.api.test_includes import found, modes
from tests.functions.api.test_search import filters, hits, links
from tests.scripted_engine import ScriptedEngine

FORMS = ["Patient/1", f"{BASE}/Patient/1"]


def test_a_search_in_a_compartment(api: Client, engine: Callable[..., ScriptedEngine]) -> None:
    scripted = engine(EMPTY, EMPTY)
    bundle = api.get("/Patient/1/Observation?status=final").body
    assert links(bundle)["self"] == f"{BASE}/Patient/1/Observation?status=final"
    clauses = filters(scripted.asked[0])
    assert clauses[1] == {"terms": {"type": ["Observation"]}}
    fields = [clause["bool"]["filter"][1]["terms"] for clause in clauses[3]["bool"]["should"]]
    assert fields == [{"reference.subject": FORMS}, {"reference.performer": FORMS}]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = api.call("POST", "/Patient/1/Observation/_search", "status=final", form)
    assert posted.status == 200
    assert filters(scripted.asked[1]) == clauses


def test_every_type_at_once_as_far_as_the_groups_allow(
    client: Callable[..., Client], engine: Callable[..., ScriptedEngine]
) -> None:
    scripted = engine(EMPTY, EMPTY, EMPTY)
    assert client().get("/Patient/1/*?_lastUpdated=gt2020").status == 200
    assert client().get("/Patient/1/*?_type=Observation,Condition").status == 200
    assert client("auditor").get("/Patient/1/*").status == 200
    types = [filters(asked)[1]["terms"]["type"] for asked in scripted.asked]
    assert types == [sorted(types_of("Patient")), ["Condition", "Observation"], ["Patient"]]


@pytest.mark.parametrize(
    ("path", "group", "status"),
    [
        ("/Organization/1/Patient", "practitioner", 404),
        ("/Patient/1/Organization", "practitioner", 404),
        ("/Patient/1/Nonsense", "practitioner", 404),
        ("/Patient/1/$nonsense", "practitioner", 404),
        ("/Patient/1/*?_type=Nonsense", "practitioner", 400),
        ("/Patient/1/Observation?code:x=y", "practitioner", 400),
        ("/Patient/1/Observation", "auditor", 403),
        ("/Patient/1/*?_type=Observation", "auditor", 403),
        ("/Encounter/1/Observation", "auditor", 403),
        ("/Patient/nobody/$everything", "practitioner", 404),
        ("/Organization/1/$everything", "practitioner", 404),
    ],
)
def test_what_is_refused(
    client: Callable[..., Client],
    engine: Callable[..., ScriptedEngine],
    path: str,
    group: str,
    status: int,
) -> None:
    scripted = engine()
    reply = client(group).get(path)
    assert (reply.status, reply.body["resourceType"]) == (status, "OperationOutcome")
    assert not scripted.asked


def test_everything_of_a_patient(api: Client, engine: Callable[..., ScriptedEngine]) -> None:
    doctor = api.make({"resourceType": "Practitioner"})
    patient = api.make(
        {
            "resourceType": "Patient",
            "generalPractitioner": [{"reference": f"Practitioner/{doctor['id']}"}],
        }
    )
    path = f"/Patient/{patient['id']}/$everything"
    scripted = engine(*[hits(patient), found(doctor)] * 2)
    query = "start=2020&end=2021-06&_since=2019-01-01T00:00:00Z&_count=5"
    bundle = api.get(f"{path}?{query}&shoe-size=46").body
    assert links(bundle)["self"] == f"{BASE}{path}?{query}"
    assert modes(bundle) == [(patient["id"], "match"), (doctor["id"], "include")]
    clauses = filters(scripted.asked[0])
    assert clauses[1] == {"terms": {"type": sorted(types_of("Patient"))}}
    assert {"terms": {"pk": [f"Patient/{patient['id']}"]}} in clauses[2]["bool"]["should"]
    assert [c["bool"]["should"][1]["range"]["date.date"] for c in clauses[3:5]] == [
        {"gte": 1577836800000000, "relation": "intersects"},
        {"lte": 1625097599999999, "relation": "intersects"},
    ]
    assert clauses[5] == {"range": {"updated": {"gte": 1546300800000000}}}
    parameters = [{"name": "_count", "valueInteger": 5}, {"name": "start", "valueDate": "2020"}]
    body = {"resourceType": "Parameters", "parameter": parameters}
    assert api.call("POST", path, body).status == 200
    assert scripted.asked[2].body["size"] == 6
    strict = {"Prefer": "handling=strict"}
    assert api.call("GET", f"{path}?shoe-size=46", headers=strict).status == 400
    assert api.get(f"{path}?start=yesterday").status == 400
    assert api.call("POST", path, {"resourceType": "Patient"}).status == 400
    assert api.call("POST", path, {"resourceType": "Parameters", "parameter": 1}).status == 400
    api.call("DELETE", f"/Patient/{patient['id']}")
    assert api.get(path).status == 410


def test_compartments_are_made_of_parameters_that_are_indexed() -> None:
    for name in COMPARTMENTS:
        types = types_of(name)
        clause: Any = members(name, "1", types, BASE)
        text = json.dumps(clause)
        assert f'"pk": ["{name}/1"]' in text
        for part in clause["bool"]["should"]:
            if "bool" in part:
                kinds, references = (next(iter(c["terms"].items())) for c in part["bool"]["filter"])
                code = references[0].removeprefix("reference.")
                assert all(for_type(kind)[code].kind == "reference" for kind in kinds[1])
