"""$validate: the verdict of a write without the write."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.api.conftest import Client

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt"}]}
BAD = PATIENT | {"birthDate": "tomorrow"}
HL7 = "http://hl7.org/fhir/StructureDefinition"


def parameters(**values: Any) -> dict[str, Any]:
    kinds = {"resource": "resource", "mode": "valueCode", "profile": "valueUri"}
    listed = [{"name": name, kinds[name]: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": listed}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("", PATIENT, "informational"),
        ("", BAD, "value"),
        ("", parameters(resource=PATIENT, mode="create"), "informational"),
        ("", parameters(mode="create"), "required"),
        ("", None, "required"),
        ("", {"resourceType": "Basic"}, "structure"),
        ("", parameters(resource=PATIENT, profile=f"{HL7}/Patient"), "informational"),
        ("/unknown", PATIENT | {"id": "unknown"}, "not-found"),
        ("/{id}", PATIENT | {"id": "{id}"}, "informational"),
        ("/{id}", PATIENT | {"id": "other"}, "value"),
        ("/{id}", parameters(mode="delete"), "informational"),
        ("/unknown", parameters(mode="delete"), "not-found"),
    ],
)
def test_the_outcome_is_the_answer(api: Client, path: str, body: Any, code: str) -> None:
    made = api.make(PATIENT)["id"]
    if isinstance(body, dict) and body.get("id") == "{id}":
        body = body | {"id": made}
    reply = api.call("POST", f"/Patient{path.replace('{id}', made)}/$validate", body)
    assert (reply.status, reply.code) == (200, code)
    error = reply.body["issue"][0]["severity"] == "error"
    assert error is (code != "informational")
    assert api.get(f"/Patient/{made}").headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("?mode=create", PATIENT, 200),
        ("?mode=nonsense", PATIENT, 400),
        ("", parameters(resource=BAD), 400),
        ("", parameters(resource=PATIENT, profile=f"{HL7}/bp"), 422),
        ("", "{", 400),
    ],
)
def test_what_cannot_be_validated(api: Client, query: str, body: Any, status: int) -> None:
    assert api.call("POST", f"/Patient/$validate{query}", body).status == status


def test_those_who_may_not_write_may_not_ask(client: Callable[..., Client]) -> None:
    assert client("auditor").call("POST", "/Patient/$validate", PATIENT).status == 403
    assert client().call("GET", "/Patient/$validate").status == 405


def test_it_is_in_the_statement(api: Client) -> None:
    operations = api.get("/metadata").body["rest"][0]["operation"]
    assert "validate" in {operation["name"] for operation in operations}
