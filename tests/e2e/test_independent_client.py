"""A client that was written for other servers takes what this one answers: SMART Health IT's.

Its classes are made from R4's definitions. They refuse an element that R4 lacks, a value of a wrong
type and a resource without a mandatory element.
"""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models import binary, bundle, observation, patient
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.fhirdate import FHIRDate
from fhirclient.models.fhirelementfactory import FHIRElementFactory
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.server import FHIRNotFoundException

# Their attributes are None until they are set, and a type checker sees no more of them.
Binary: Any = binary.Binary
Bundle: Any = bundle.Bundle
Observation: Any = observation.Observation
Patient: Any = patient.Patient

PATCH = {"Content-Type": "application/json-patch+json"}
STRICT = {"Prefer": "handling=strict"}


@pytest.fixture
def server(stack: dict[str, Any], client: Callable[[str], Any]) -> Any:
    """The API as the client knows servers; key and token are headers of its session."""
    made: Any = FHIRClient(settings={"app_id": "tests", "api_base": stack["api_url"]}).server
    made.session.headers.update(
        {name: client("practitioner").headers[name] for name in ("Authorization", "x-api-key")}
    )
    return made


def made(server: Any, family: str) -> Any:
    sent = Patient({"resourceType": "Patient", "name": [{"family": family}], "gender": "female"})
    return Patient(sent.create(server))


def taken(answer: Any, status: int = 200) -> Any:
    """The resource of an answer as the client's class of its type has it."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    return FHIRElementFactory.instantiate(body["resourceType"], body)


def test_its_classes_refuse_what_r4_lacks() -> None:
    for wrong in ({"nickname": "Jo"}, {"birthDate": 1970}, {"link": [{}]}):
        with pytest.raises(FHIRValidationError):
            Patient({"resourceType": "Patient", **wrong})


def test_it_writes_and_reads(server: Any) -> None:
    assert server.capabilityStatement.fhirVersion == "4.0.1"
    one = made(server, "Independent")
    one.birthDate = FHIRDate("1970-01-01")
    assert Patient(one.update(server)).meta.versionId == "2"
    assert Patient.read(one.id, server).birthDate.isostring == "1970-01-01"
    assert Patient.read_from(f"Patient/{one.id}/_history/1", server).birthDate is None
    history = Bundle.read_from(f"Patient/{one.id}/_history", server)
    assert [entry.resource.meta.versionId for entry in history.entry] == ["2", "1"]
    one.delete(server)
    with pytest.raises(FHIRNotFoundException):
        Patient.read(str(uuid.uuid4()), server)


def test_it_searches_page_by_page(
    server: Any, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    family = f"Independent{uuid.uuid4().hex}"
    written = {made(server, family).id for _ in range(5)}

    def found() -> Iterator[str]:
        search = Patient.where({"family": family, "_count": "2", "_sort": "_id"})
        return (one.id for one in search.perform_resources_iter(server))

    eventually(lambda: set(found()) == written)
    assert list(found()) == sorted(written)


@pytest.mark.parametrize(
    "path",
    [
        "Observation?subject:Patient.name=x&_include=Observation:subject",
        "Patient/{id}/$everything",
        "Patient/{id}/Observation",
        "Patient/_history?_count=5",
        "_history?_type=Patient&_count=5",
        "?_type=Patient&_count=3&_total=accurate",
        "Patient?_count=3&_summary=count",
    ],
)
def test_it_takes_every_kind_of_bundle(
    client: Callable[[str], Any], server: Any, path: str
) -> None:
    one = made(server, "Independent")
    answer = client("practitioner").get(f"/{path.format(id=one.id)}")
    assert isinstance(taken(answer), Bundle)


def test_it_takes_bundles_patches_and_outcomes(client: Callable[[str], Any], server: Any) -> None:
    api, one = client("practitioner"), made(server, "Independent")
    entry = {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": {"resourceType": "Patient", "active": True},
        "request": {"method": "POST", "url": "Patient"},
    }
    value = {
        "resource": {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": entry["fullUrl"]},
        },
        "request": {"method": "POST", "url": "Observation"},
    }
    for kind in ("transaction", "batch"):
        sent = Bundle({"resourceType": "Bundle", "type": kind, "entry": [entry, value]})
        told = Bundle(sent.create(server))
        assert [x.response.status[:3] for x in told.entry] == ["201", "201"]
    stored = told.entry[1].response.location.partition("/_history")[0].rpartition("/")[2]
    assert Observation.read(stored, server).status == "final"
    path = f"/Patient/{one.id}"
    change = '[{"op":"replace","path":"/gender","value":"other"}]'
    assert taken(api.patch(path, data=change, headers=PATCH)).gender == "other"
    checked = api.post("/Patient/$validate", json={"resourceType": "Patient"})
    assert isinstance(taken(checked), OperationOutcome)
    assert isinstance(taken(api.get("/metadata")), CapabilityStatement)
    for refused, status in (
        (api.get(f"/Patient/{uuid.uuid4()}"), 404),
        (api.post("/Patient", json={"resourceType": "Patient", "nickname": "Jo"}), 400),
        (api.get("/Patient?nonsense=1", headers=STRICT), 400),
        (api.put(path, json=one.as_json(), headers={"If-Match": 'W/"9"'}), 412),
    ):
        assert isinstance(taken(refused, status), OperationOutcome)


def test_it_takes_binary_under_strict_handling(client: Callable[[str], Any]) -> None:
    """Without it the answer has members that clients of FHIR Works know, and R4 doesn't."""
    api = client("data-owner")
    asked = {"resourceType": "Binary", "contentType": "text/csv"}
    answer = taken(api.post("/Binary", json=asked, headers=STRICT), 201)
    assert isinstance(answer, Binary)
    assert any(extension.valueUrl for extension in answer.meta.extension)
    with pytest.raises(FHIRValidationError):
        taken(api.post("/Binary", json=asked), 201)
