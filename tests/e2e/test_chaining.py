"""Chained parameters and `_has`, against an evaluation in memory of the same resources."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.fhir import found, outcome
from tests.e2e.hospital import Hospital, Resource, elements, matches

Question = Callable[[Hospital, Resource], bool]


def family(name: str) -> Callable[[Resource], bool]:
    return lambda resource: name in list(elements(resource, "name", "family"))


def coded(code: str) -> Callable[[Resource], bool]:
    return lambda resource: code in list(elements(resource, "code", "coding", "code"))


def is_in(city: str) -> Callable[[Resource], bool]:
    return lambda resource: city in list(elements(resource, "address", "city"))


QUESTIONS: dict[str, tuple[str, Question]] = {
    "subject:Patient.family=okafor": (
        "Observation",
        lambda h, o: any(map(family("Okafor"), h.target(o, "subject"))),
    ),
    "subject.family=muller": (
        "Observation",
        lambda h, o: any(map(family("Müller"), h.target(o, "subject"))),
    ),
    "patient.gender:not=male&code=718-7": (
        "Observation",
        lambda h, o: (
            coded("718-7")(o) and any(p["gender"] != "male" for p in h.target(o, "subject"))
        ),
    ),
    "patient.birthdate=lt1960&performer:Practitioner.active=false": (
        "Observation",
        lambda h, o: (
            any(p["birthDate"] < "1960" for p in h.target(o, "subject"))
            and any(not p["active"] for p in h.target(o, "performer"))
        ),
    ),
    "encounter.service-provider.partof.address-city=porto": (
        "Observation",
        lambda h, o: any(
            is_in("Porto")(clinic)
            for visit in h.target(o, "encounter")
            for department in h.target(visit, "serviceProvider")
            for clinic in h.target(department, "partOf")
        ),
    ),
    "organization:missing=false&organization.partof:Organization.name=clinic 2": (
        "Patient",
        lambda h, p: any(
            clinic["name"] == "Clinic 2"
            for department in h.target(p, "managingOrganization")
            for clinic in h.target(department, "partOf")
        ),
    ),
    "_has:Observation:patient:code=http://loinc.org|2345-7": (
        "Patient",
        lambda h, p: any(map(coded("2345-7"), h.pointing("Observation", ("subject",), p))),
    ),
    "_has:Observation:subject:value-quantity=gt8&gender=female": (
        "Patient",
        lambda h, p: (
            p["gender"] == "female"
            and any(
                o["valueQuantity"]["value"] > 8 for o in h.pointing("Observation", ("subject",), p)
            )
        ),
    ),
    "_has:Observation:patient:_has:DiagnosticReport:result:status=final": (
        "Patient",
        lambda h, p: any(
            h.pointing("DiagnosticReport", ("result",), o)
            for o in h.pointing("Observation", ("subject",), p)
        ),
    ),
    "_has:Encounter:subject:service-provider.partof.name=clinic 1": (
        "Patient",
        lambda h, p: any(
            clinic["name"] == "Clinic 1"
            for visit in h.pointing("Encounter", ("subject",), p)
            for department in h.target(visit, "serviceProvider")
            for clinic in h.target(department, "partOf")
        ),
    ),
    "subject:Patient._has:Encounter:patient:status=in-progress&code=4548-4": (
        "Observation",
        lambda h, o: (
            coded("4548-4")(o)
            and any(
                visit["status"] == "in-progress"
                for patient in h.target(o, "subject")
                for visit in h.pointing("Encounter", ("subject",), patient)
            )
        ),
    ),
    "result.patient:Patient.general-practitioner:Practitioner.family:exact=Silva": (
        "DiagnosticReport",
        lambda h, r: any(
            family("Silva")(doctor)
            for value in h.target(r, "result")
            for patient in h.target(value, "subject")
            for doctor in h.target(patient, "generalPractitioner")
        ),
    ),
}


@pytest.mark.parametrize("query", QUESTIONS)
def test_a_chain_finds_what_an_evaluation_in_memory_finds(
    client: Callable[..., Any], hospital: Hospital, query: str
) -> None:
    kind, holds = QUESTIONS[query]
    expected = hospital.where(kind, lambda resource: holds(hospital, resource))
    assert 0 < len(expected) < len(hospital.of(kind)), "the question tells them apart"
    api = client("practitioner")
    assert matches(api, f"/{kind}?{query}&_tag={hospital.tag}&_count=200") == expected
    counted = api.get(f"/{kind}?{query}&_tag={hospital.tag}&_summary=count").json()
    assert counted["total"] == len(expected)


def test_what_a_user_may_not_see_decides_nothing(client: Callable[..., Any]) -> None:
    """Every step is filtered: neither a chain nor `_has` tells of somebody else's documents."""
    title = uuid.uuid4().hex
    owner, other, auditor = (client(g) for g in ("data-owner", "practitioner", "auditor"))

    def store(api: Any, resource: Resource) -> Any:
        answer = api.post(f"/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        return answer

    patient = store(other, {"resourceType": "Patient"}).json()["id"]
    document = store(
        owner,
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "description": title,
            "subject": {"reference": f"Patient/{patient}"},
            "content": [{"attachment": {"url": "urn:x"}}],
        },
    )
    task = store(
        other,
        {
            "resourceType": "Task",
            "status": "draft",
            "intent": "plan",
            "focus": {"reference": f"DocumentReference/{document.json()['id']}"},
        },
    )
    other.headers["X-Consistency-Token"] = (
        f"{document.headers['X-Consistency-Token']},{task.headers['X-Consistency-Token']}"
    )
    owner.headers["X-Consistency-Token"] = document.headers["X-Consistency-Token"]
    assert found(owner, f"/DocumentReference?description={title}") == [document.json()["id"]]
    behind = f"focus:DocumentReference.description={title}"
    has = f"_has:DocumentReference:subject:description={title}"
    assert found(other, f"/Task?{behind}") == []
    assert found(other, f"/Patient?{has}") == []
    assert found(client("admin"), f"/Task?{behind}") == [task.json()["id"]]
    assert found(client("admin"), f"/Patient?{has}") == [patient]
    outcome(auditor.get(f"/Patient?{has}"), 403)
    outcome(auditor.get("/Patient?general-practitioner:Practitioner.name=x"), 403)


@pytest.mark.parametrize(
    "query",
    [
        "subject:Nonsense.name=x",
        "subject:Practitioner.name=x",
        "subject.nonsense=x",
        "code.text=x",
        "subject.=x",
        ".name=x",
        "subject:Patient.=x",
        "_has=x",
        "_has:Nonsense:subject:code=x",
        "_has:DiagnosticReport:result=x",
        "_has:DiagnosticReport:nonsense:code=x",
        "_has:DiagnosticReport:code:code=x",
        "_has:Encounter:subject:status=finished",
        "_has:DiagnosticReport:result:nonsense=x",
        "_has:DiagnosticReport:result:_has:x=x",
        "subject:Patient.birthdate=yesterday",
        "subject:Patient." + "link:Patient." * 10 + "name=x",
    ],
)
def test_a_wrong_chain_is_the_clients_error(client: Callable[..., Any], query: str) -> None:
    for preference in ("strict", "lenient"):
        headers = {"Prefer": f"handling={preference}"}
        answer = client("practitioner").get(f"/Observation?{query}", headers=headers)
        assert answer.status_code in {400, 422}, answer.text
        outcome(answer, answer.status_code)
