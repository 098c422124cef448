"""_summary and _elements, in searches and reads: what is left, marked as a part."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.api import elements
from functions.shared.resources import RESOURCE_TYPES, parse
from functions.shared.validation import validate
from tests.functions.api.conftest import Client
from tests.functions.api.test_includes import found
from tests.functions.api.test_search import hits
from tests.scripted_engine import ScriptedEngine

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
OBSERVATION = {
    "resourceType": "Observation",
    "meta": {"tag": [{"code": "mine"}]},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "status": "final",
    "_status": {"extension": [{"url": "urn:x", "valueString": "y"}]},
    "code": {"coding": [{"code": "c", "display": "C"}]},
    "category": [{"text": "laboratory"}],
    "valueQuantity": {"value": 1, "unit": "mg"},
    "note": [{"text": "private"}],
    "component": [{"code": {"text": "c"}, "valueString": "v", "interpretation": [{"text": "i"}]}],
}
FRAME = {"resourceType", "id", "meta"}
STATUS = {"status", "_status", "code"}


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("_summary=true", FRAME | STATUS | {"valueQuantity", "component"}),
        ("_summary=text", FRAME | STATUS | {"text"}),
        ("_summary=data", set(OBSERVATION) | FRAME - {"text"}),
        ("_elements=note,value", FRAME | STATUS | {"note", "valueQuantity"}),
        ("_elements=note&_elements=category,", FRAME | STATUS | {"note", "category"}),
    ],
)
def test_what_is_left_in_reads_and_searches(
    api: Client, engine: Callable[..., ScriptedEngine], query: str, members: set[str]
) -> None:
    made = api.make(OBSERVATION)
    engine(hits(made))
    read = api.get(f"/Observation/{made['id']}?{query}")
    (entry,) = api.get(f"/Observation?{query}").body["entry"]
    vread = api.get(f"/Observation/{made['id']}/_history/1?{query}")
    for part in (read.body, vread.body, entry["resource"]):
        assert part.keys() == members - ({"text"} if query.endswith("data") else set())
        assert part["meta"]["tag"] == [{"code": "mine"}, SUBSETTED]
        validate(parse(json.dumps(part).encode()))
    assert read.headers["ETag"] == 'W/"1"'


def test_a_summary_leaves_out_parts_of_elements() -> None:
    body = json.dumps(OBSERVATION | {"id": "o"}).encode()
    summary = json.loads(elements.Subset("true", frozenset()).of(body))
    assert summary["component"] == [{"code": {"text": "c"}, "valueString": "v"}]


def test_whole_resources_are_not_marked(api: Client, engine: Callable[..., ScriptedEngine]) -> None:
    made = api.call("POST", "/Observation", OBSERVATION)
    for query in ("_summary=false", "_elements=", "_summary="):
        engine(hits(made.body))
        assert api.get(f"/Observation/{made.body['id']}?{query}").text == made.text
        assert made.text in api.get(f"/Observation?{query}").text


def test_elements_are_for_matches_and_summaries_for_all(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    patient = api.make({"resourceType": "Patient", "photo": [{"title": "x"}]})
    subject = {"subject": {"reference": f"Patient/{patient['id']}"}}
    made = api.make(OBSERVATION | subject)

    def second(query: str) -> dict[str, Any]:
        engine(hits(made), found(patient))
        return api.get(f"/Observation?_include=Observation:subject&{query}").body["entry"][1]

    assert second("_elements=status")["resource"] == patient
    assert "photo" not in second("_summary=true")["resource"]
    assert api.get("/Observation?_include=*&_summary=text").status == 400


@pytest.mark.parametrize("query", ["_summary=yes", "_summary=true&_elements=code"])
def test_what_is_refused(api: Client, engine: Callable[..., ScriptedEngine], query: str) -> None:
    made = api.make(OBSERVATION)
    scripted = engine()
    for path in ("/Observation", f"/Observation/{made['id']}"):
        assert api.get(f"{path}?{query}").status == 400
    assert api.get(f"/Observation/{made['id']}?_summary=count").status == 400
    assert not scripted.asked


def test_every_type_has_a_summary() -> None:
    for name in RESOURCE_TYPES:
        body = json.dumps({"resourceType": name, "id": "x", "meta": {}, "text": {}}).encode()
        part = json.loads(elements.Subset("true", frozenset()).of(body))
        assert part == {"resourceType": name, "id": "x", "meta": {"tag": [SUBSETTED]}}
