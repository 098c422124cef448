"""Compartment searches and `$everything`, against an evaluation in memory."""

from collections.abc import Callable
from typing import Any

from tests.e2e.fhir import outcome
from tests.e2e.hospital import Hospital, key_of, matches, pages


def test_what_is_in_a_compartment(client: Callable[..., Any], hospital: Hospital) -> None:
    api = client("practitioner")
    for patient in hospital.of("Patient")[:10]:
        expected = {key_of(o) for o in hospital.pointing("Observation", ("subject",), patient)}
        assert matches(api, f"/{key_of(patient)}/Observation?_count=3") == expected
        final = f"/{key_of(patient)}/Observation?code=718-7"
        assert matches(api, final) == {
            key for key in expected if "718-7" in str(hospital.members[key]["code"])
        }
    for doctor in hospital.of("Practitioner")[:3]:
        expected = hospital.pointing("Observation", ("performer",), doctor)
        found = matches(api, f"/{key_of(doctor)}/Observation?_count=100")
        assert found == set(map(key_of, expected))


def test_everything_of_a_patient(client: Callable[..., Any], hospital: Hospital) -> None:
    api = client("practitioner")
    for patient in hospital.of("Patient")[:10]:
        values = hospital.pointing("Observation", ("subject",), patient)
        visits = hospital.pointing("Encounter", ("subject",), patient)
        reports = hospital.pointing("DiagnosticReport", ("subject",), patient)
        record = [patient, *values, *visits, *reports]
        referred = [
            *hospital.target(patient, "generalPractitioner"),
            *hospital.target(patient, "managingOrganization"),
            *(d for value in values for d in hospital.target(value, "performer")),
            *(v for value in values for v in hospital.target(value, "encounter")),
            *(o for visit in visits for o in hospital.target(visit, "serviceProvider")),
            *(v for report in reports for v in hospital.target(report, "result")),
        ]
        found: dict[str, set[str]] = {"match": set(), "include": set()}
        for page in pages(api, f"/{key_of(patient)}/$everything?_count=4"):
            for entry in page["entry"]:
                found[entry["search"]["mode"]].add(key_of(entry["resource"]))
        assert found["match"] == set(map(key_of, record))
        assert found["match"] | found["include"] == set(map(key_of, [*record, *referred]))


def test_a_compartment_shows_no_more_than_the_groups(
    client: Callable[..., Any], hospital: Hospital
) -> None:
    patient = key_of(hospital.of("Patient")[0])
    auditor = client("auditor")
    outcome(auditor.get(f"/{patient}/Observation"), 403)
    assert matches(auditor, f"/{patient}/$everything") == {patient}
    outcome(client("non-practitioner").get(f"/{patient}/$everything"), 403)
    outcome(auditor.get("/Patient/nobody/$everything"), 404)
