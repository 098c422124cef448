"""What the end-to-end tests share: a patient, and how to read errors and search results."""

from typing import Any

import requests

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt", "given": ["Jo"]}]}


def outcome(answer: requests.Response, status: int) -> dict[str, Any]:
    """The OperationOutcome of an error answer; fails when the answer is anything else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    assert body["issue"][0]["severity"] in {"error", "fatal"}
    assert body["issue"][0]["code"]
    return body


def found(api: Any, query: str) -> list[str]:
    """The ids that a search finds, in the order of the answer."""
    answer = api.get(query)
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]
