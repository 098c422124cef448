"""Search through the whole path: write, stream, index, query, page."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.fhir import found, outcome


@pytest.fixture(scope="module")
def ward(client: Callable[..., Any], eventually: Callable[..., Any]) -> dict[str, Any]:
    """Three patients and two observations that only this module's tag finds."""
    api, tag = client("practitioner"), uuid.uuid4().hex
    meta = {"tag": [{"system": "urn:test", "code": tag}]}

    def store(resource: dict[str, Any]) -> str:
        made = api.post(f"/{resource['resourceType']}", json=resource | {"meta": meta})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    patients = [
        store(
            {
                "resourceType": "Patient",
                "name": [{"family": family, "given": [given]}],
                "birthDate": born,
                "gender": gender,
                "identifier": [{"system": "urn:mrn", "value": f"{tag}-{number}"}],
            }
        )
        for number, (family, given, born, gender) in enumerate(
            [
                ("Müller", "Ánna", "1961-04-23", "female"),
                ("Muller", "Bert", "1980-12", "male"),
                ("Zimmermann", "Cleo", "2001", "female"),
            ]
        )
    ]
    observations = [
        store(
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
                "subject": {"reference": f"Patient/{patients[0]}"},
                "effectiveDateTime": when,
                "valueQuantity": {
                    "value": value,
                    "system": "http://unitsofmeasure.org",
                    "code": "mg/dL",
                },
            }
        )
        for when, value in (("2026-03-14T23:30:00-05:00", 1.1), ("2025-01-02", 2.5))
    ]
    eventually(lambda: len(found(api, f"/Patient?_tag=urn:test|{tag}")) == 3)
    eventually(lambda: len(found(api, f"/Observation?_tag={tag}")) == 2)
    return {"tag": tag, "patients": patients, "observations": observations}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("family=mul", [0, 1]),
        ("family=MÜLLER", [0, 1]),
        ("family:exact=Müller", [0]),
        ("family:contains=mmerm", [2]),
        ("given=anna", [0]),
        ("name=cleo", [2]),
        ("name=anna,bert", [0, 1]),
        ("name=anna&gender=male", []),
        ("gender=female", [0, 2]),
        ("gender:not=female", [1]),
        ("birthdate=1961", [0]),
        ("birthdate=1961-04-23", [0]),
        ("birthdate=1980-12-24", []),
        ("birthdate=ge1980", [1, 2]),
        ("birthdate=lt1980", [0]),
        ("birthdate=gt1961&birthdate=lt2001", [1]),
        ("birthdate:missing=true", []),
        ("deceased:missing=true", [0, 1, 2]),
        ("_id={p0},{p2}", [0, 2]),
        ("identifier=urn:mrn|{tag}-1", [1]),
        ("identifier={tag}-2", [2]),
        ("identifier=|{tag}-2", []),
    ],
)
def test_patients(
    client: Callable[..., Any], ward: dict[str, Any], query: str, expected: list[int]
) -> None:
    filled = query.format(tag=ward["tag"], p0=ward["patients"][0], p2=ward["patients"][2])
    ids = found(client("practitioner"), f"/Patient?{filled}&_tag=urn:test|{ward['tag']}")
    assert sorted(ids) == sorted(ward["patients"][number] for number in expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("code=http://loinc.org|2160-0", [0, 1]),
        ("code=http://loinc.org|", [0, 1]),
        ("code=|2160-0", []),
        ("subject=Patient/{patient}", [0, 1]),
        ("subject={patient}", [0, 1]),
        ("patient={patient}", [0, 1]),
        ("subject:Patient={patient}", [0, 1]),
        ("subject:Group={patient}", []),
        ("date=2026-03-15", [0]),
        ("date=2026-03-14", []),
        ("date=2025", [1]),
        ("date=gt2025-06", [0]),
        ("date=sa2025-01-02", [0]),
        ("value-quantity=1.1", [0]),
        ("value-quantity=gt2|http://unitsofmeasure.org|mg/dL", [1]),
        ("value-quantity=gt2||mg/dL", [1]),
        ("value-quantity=gt2||kg", []),
        ("value-quantity=11|http://unitsofmeasure.org|mg/L", [0]),
        ("value-quantity=ge0.025|http://unitsofmeasure.org|g/L", [1]),
        ("value-quantity=gt0.025|http://unitsofmeasure.org|g/L", []),
        ("value-quantity=gt0|http://unitsofmeasure.org|mmol/L", []),
        ("code-value-quantity=2160-0$lt20|http://unitsofmeasure.org|mg/L", [0]),
    ],
)
def test_observations(
    client: Callable[..., Any], ward: dict[str, Any], query: str, expected: list[int]
) -> None:
    filled = query.format(patient=ward["patients"][0])
    ids = found(client("practitioner"), f"/Observation?{filled}&_tag={ward['tag']}")
    assert sorted(ids) == sorted(ward["observations"][number] for number in expected)


def test_sorting_and_pages(client: Callable[..., Any], ward: dict[str, Any]) -> None:
    api, seen = client("practitioner"), []
    url = f"/Patient?_tag=urn:test|{ward['tag']}&_sort=-birthdate&_count=1"
    first = api.get(url).json()
    assert first["type"] == "searchset"
    assert first["entry"][0]["search"]["mode"] == "match"
    page = first
    while True:
        seen += [entry["resource"]["id"] for entry in page.get("entry", [])]
        links = {link["relation"]: link["url"] for link in page["link"]}
        assert "self" in links
        if "next" not in links:
            break
        page = api.absolute(links["next"]).json()
    assert seen == ward["patients"][::-1]


def test_total_only_as_asked(client: Callable[..., Any], ward: dict[str, Any]) -> None:
    query = f"/Patient?_tag=urn:test|{ward['tag']}&_count=1"
    api = client("practitioner")
    assert api.get(f"{query}&_total=accurate").json()["total"] == 3
    assert "total" not in api.get(f"{query}&_total=none").json()


def test_post_search(client: Callable[..., Any], ward: dict[str, Any]) -> None:
    answer = client("practitioner").post(
        "/Patient/_search",
        data={"_tag": f"urn:test|{ward['tag']}", "family": "zimm"},
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200, answer.text
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == [ward["patients"][2]]


def test_unknown_parameters_follow_the_preference(
    client: Callable[..., Any], ward: dict[str, Any]
) -> None:
    api, query = client("practitioner"), f"/Patient?_tag=urn:test|{ward['tag']}&shoe-size=46"
    lenient = api.get(query, headers={"Prefer": "handling=lenient"}).json()
    assert len(lenient["entry"]) == 3
    self_link = next(link["url"] for link in lenient["link"] if link["relation"] == "self")
    assert "shoe-size" not in self_link
    outcome(api.get(query, headers={"Prefer": "handling=strict"}), 400)


@pytest.mark.parametrize(
    "query",
    [
        "birthdate=yesterday",
        "birthdate=2026-13-45",
        "_count=many",
        "_count=-1",
        "_sort=shoe-size",
        "gender:nonsense=male",
        "_cursor=%00nonsense",
        "family=" + "x" * 20_000,
        "organization.shoe-size=x",
        "_has:Observation:patient=x",
        "_include=Patient:shoe-size",
        "_lastUpdated=ge",
        "identifier=a|b|c|d",
    ],
)
def test_a_wrong_search_is_the_clients_error(client: Callable[..., Any], query: str) -> None:
    answer = client("practitioner").get(f"/Patient?{query}", headers={"Prefer": "handling=strict"})
    assert 400 <= answer.status_code < 500 or answer.status_code == 200, answer.text
    if answer.status_code != 200:
        outcome(answer, answer.status_code)
    else:
        assert query.startswith(("identifier", "family"))


def test_updates_and_deletes_reach_the_index(
    client: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    api, name = client("practitioner"), f"Q{uuid.uuid4().hex}"
    patient = api.post(
        "/Patient", json={"resourceType": "Patient", "name": [{"family": name}]}
    ).json()
    eventually(lambda: found(api, f"/Patient?family={name}") == [patient["id"]])
    patient["name"][0]["family"] = f"R{name}"
    assert api.put(f"/Patient/{patient['id']}", json=patient).status_code == 200
    eventually(lambda: found(api, f"/Patient?family={name}") == [])
    eventually(lambda: found(api, f"/Patient?family=r{name}") == [patient["id"]])
    assert api.delete(f"/Patient/{patient['id']}").status_code == 204
    eventually(lambda: found(api, f"/Patient?family=r{name}") == [])
