"""Chains: a search per step, restricted to what the user sees, and never cut short."""

from typing import Any

import pytest

from functions.search import view
from functions.search.chains import MAX_LINKED, MAX_STEPS, Chains
from functions.search.view import View
from functions.shared import grants
from functions.shared.errors import FhirError
from functions.shared.http import Request
from functions.shared.identity import Identity
from tests.scripted_engine import Answer, ScriptedEngine

BASE = "https://api.test/api"
OWN = {"term": {"owner": "me"}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    def scripted(*script: Answer) -> ScriptedEngine:
        engine = ScriptedEngine(*script)
        monkeypatch.setattr(view, "engine", lambda: engine)
        return engine

    return scripted


def chains(*groups: str) -> Chains:
    request = Request("GET", "/", (), {}, b"", BASE, "r")
    identity = Identity("me", "me", frozenset(groups or ("practitioner",)))
    return Chains(View(identity, request, grants.own(identity)), BASE)


def found(*keys: str, total: int | None = None) -> Answer:
    count = len(keys) if total is None else total
    return 200, {"hits": {"total": {"value": count}, "hits": [{"_id": key} for key in keys]}}


def referred(**buckets: list[str]) -> Answer:
    """Buckets of `Patient/` and of what begins with the server's address."""
    values = {"Patient/": buckets["local"], f"{BASE}/Patient/": buckets.get("absolute", [])}
    return 200, {
        "hits": {"hits": []},
        "aggregations": {
            name: {"buckets": [{"key": {"value": value}} for value in its]}
            for name, its in values.items()
        },
    }


def clause(name: str, value: str, kind: str = "Observation", *groups: str) -> dict[str, Any]:
    return chains(*groups).clause(frozenset({kind}), name, value)


def test_what_a_step_finds_becomes_terms_of_the_next(asked: Any) -> None:
    engine = asked(found("Organization/o"), found("Patient/a", "Patient/b"))
    assert clause("subject:Patient.organization.name", "x") == {
        "terms": {
            "reference.subject": [
                "Patient/a",
                f"{BASE}/Patient/a",
                "Patient/b",
                f"{BASE}/Patient/b",
            ]
        }
    }
    types = [a.body["query"]["bool"]["filter"][1]["terms"]["type"] for a in engine.asked]
    assert types == [["Organization"], ["Patient"]]


def test_references_of_what_was_found_become_keys(asked: Any) -> None:
    values = ["Patient/1", "Patient/1/_history/2", "Patient/2", "Practitioner/3"]
    asked(referred(local=values, absolute=[f"{BASE}/Patient/2", f"{BASE}/Patient/4", "urn:x"]))
    assert clause("_has:Observation:patient:code", "x", "Patient") == {
        "terms": {"pk": ["Patient/1", "Patient/2", "Patient/4"]}
    }
    asked(referred(local=[]))
    assert clause("_has:Observation:patient:code", "x", "Patient") == {"match_none": {}}


def test_every_step_is_restricted_to_what_the_user_sees(asked: Any) -> None:
    engine = asked(found(), referred(local=[]))
    clause("focus:DocumentReference.description", "x", "Task")
    clause("_has:DocumentReference:subject:description", "x", "Patient")
    for step in engine.asked:
        filters = step.body["query"]["bool"]["filter"]
        assert filters[0] == {"term": {"deleted": False}}
        assert filters[-1] == OWN
    engine = asked(found())
    clause("focus:DocumentReference.description", "x", "Task", "admin")
    assert OWN not in engine.asked[0].body["query"]["bool"]["filter"]


def test_without_a_type_a_chain_leads_to_all_that_know_the_rest_and_may_be_seen(asked: Any) -> None:
    engine = asked(found(), found())
    clause("subject.name", "x", "Observation")
    clause("subject.name", "x", "Observation", "auditor")
    types = [a.body["query"]["bool"]["filter"][1]["terms"]["type"] for a in engine.asked]
    assert types == [["Location", "Patient"], ["Patient"]]


@pytest.mark.parametrize(
    ("name", "group", "status"),
    [
        ("subject:Patient.name", "auditor", 200),
        ("encounter:Encounter.status", "auditor", 403),
        ("encounter.status", "auditor", 403),
        ("_has:DiagnosticReport:result:status", "auditor", 403),
        ("subject:Practitioner.name", "practitioner", 400),
        ("code.text", "practitioner", 400),
        ("subject.", "practitioner", 400),
        (".name", "practitioner", 400),
        ("_has:A:b", "practitioner", 400),
        ("_has:Nonsense:result:status", "practitioner", 400),
        ("_has:Encounter:subject:status", "practitioner", 400),
    ],
)
def test_what_is_refused(asked: Any, name: str, group: str, status: int) -> None:
    engine = asked(found())
    if status == 200:
        clause(name, "x", "Observation", group)
        return
    with pytest.raises(FhirError) as refused:
        clause(name, "x", "Observation", group)
    assert refused.value.status == status
    assert not engine.asked


def test_too_much_is_422_and_never_cut_short(asked: Any) -> None:
    many = [f"Patient/{number:06}" for number in range(MAX_LINKED + 1)]
    long = "link:Patient." * (MAX_STEPS + 1) + "name"
    endless = "_has:Patient:link:" * 5_000 + "name"
    for name, kind, script in (
        ("subject:Patient.name", "Observation", [found("Patient/1", total=MAX_LINKED + 1)]),
        ("_has:Observation:patient:code", "Patient", [referred(local=many)]),
        (long, "Patient", []),
        (endless, "Patient", []),
    ):
        asked(*script)
        with pytest.raises(FhirError) as refused:
            clause(name, "x", kind)
        assert (refused.value.status, refused.value.issues[0].code) == (422, "too-costly")
    asked(referred(local=[*many[:-1], "Practitioner/1"]))
    assert len(clause("_has:Observation:patient:code", "x", "Patient")["terms"]["pk"]) == MAX_LINKED
