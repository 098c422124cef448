"""The data API through gateway, key, token, function and table: interactions and every error."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.e2e.fhir import PATIENT, outcome


def test_create_read_vread_update_delete(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    made = api.post("/Patient", json=PATIENT)
    assert made.status_code == 201, made.text
    patient = made.json()
    path = f"/Patient/{patient['id']}"
    assert made.headers["ETag"] == 'W/"1"'
    assert made.headers["Location"].endswith(f"{path}/_history/1")
    assert made.headers["Last-Modified"].endswith("GMT")
    assert patient["meta"]["versionId"] == "1"
    assert patient["name"] == PATIENT["name"]

    assert api.get(path).json() == patient
    assert api.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304

    changed = patient | {"birthDate": "1970-02-03"}
    updated = api.put(path, json=changed, headers={"If-Match": 'W/"1"'})
    assert updated.status_code == 200, updated.text
    assert updated.headers["ETag"] == 'W/"2"'
    outcome(api.put(path, json=changed, headers={"If-Match": 'W/"1"'}), 412)
    assert api.get(f"{path}/_history/1").json() == patient
    assert api.get(f"{path}/_history/2").json()["birthDate"] == "1970-02-03"

    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 204
    assert outcome(api.get(path), 410)["issue"][0]["code"] == "deleted"
    assert api.get(f"{path}/_history/2").status_code == 200


def test_location_of_a_create_can_be_read(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    made = api.post("/Patient", json=PATIENT)
    seen = requests.get(made.headers["Location"], headers=api.headers, timeout=10)
    assert seen.json() == made.json()


def test_numbers_keep_their_precision(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    body = (
        '{"resourceType":"Observation","status":"final","code":{"text":"x"},'
        '"valueQuantity":{"value":1.10}}'
    )
    made = api.post("/Observation", data=body)
    assert made.status_code == 201, made.text
    assert '"value":1.10' in api.get(f"/Observation/{made.json()['id']}").text


def test_a_client_id_is_ignored_on_create(client: Callable[..., Any]) -> None:
    made = client("practitioner").post("/Patient", json=PATIENT | {"id": "mine"})
    assert made.status_code == 201
    assert made.json()["id"] != "mine"


def test_a_large_resource_survives(client: Callable[..., Any]) -> None:
    """3 MB that don't compress to less than an item may hold: they go by the overflow bucket."""
    api = client("practitioner")
    noise = "".join(uuid.uuid4().hex for _ in range(3_000_000 // 32))
    body = PATIENT | {"text": {"status": "generated", "div": f"<div>{noise}</div>"}}
    made = api.post("/Patient", json=body)
    assert made.status_code == 201, made.text[:300]
    assert api.get(f"/Patient/{made.json()['id']}").json()["text"]["div"] == f"<div>{noise}</div>"


def test_metadata_needs_neither_key_nor_token(stack: dict[str, Any]) -> None:
    answer = requests.get(stack["api_url"] + "/metadata", timeout=10)
    assert answer.status_code == 200
    statement = answer.json()
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"
    types = {resource["type"] for resource in statement["rest"][0]["resource"]}
    assert len(types) > 140
    assert len(answer.content) <= 200_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("null", 400),
        ('"Patient"', 400),
        ('{"resourceType":"Observation"}', 400),
        ('{"resourceType":"Nonsense"}', 400),
        ('{"resourceType":"Patient","resourceType":"Patient","gender":"no such"}', 400),
        ('{"resourceType":"Patient","birthDate":"31.12.1999"}', 400),
        ('{"resourceType":"Patient","name":"Schmidt"}', 400),
        ('{"resourceType":"Patient","unheardOf":1}', 400),
        ('{"resourceType":"Patient","name":[{"family":"\\ud800"}]}', 400),
        ('{"resourceType":"Patient","multipleBirthInteger":NaN}', 400),
        ('{"resourceType":"Patient","multipleBirthInteger":1' + "0" * 5000 + "}", 400),
        ('{"resourceType":"Patient","extension":' + "[" * 50_000 + "]" * 50_000 + "}", 400),
        (b'{"resourceType":"Patient","gender":"\xff"}', 400),
    ],
)
def test_a_wrong_body_is_400_with_the_reason(
    client: Callable[..., Any], body: str | bytes, status: int
) -> None:
    answer = client("practitioner").post("/Patient", data=body)
    assert answer.status_code in {status, 422}, answer.text
    assert outcome(answer, answer.status_code)["issue"][0]["diagnostics"]


def test_required_elements_are_required(client: Callable[..., Any]) -> None:
    answer = client("practitioner").post("/Observation", json={"resourceType": "Observation"})
    assert answer.status_code in {400, 422}
    text = json.dumps(outcome(answer, answer.status_code))
    assert "status" in text
    assert "code" in text


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/Patient/unknown", {}, 404),
        ("GET", "/Unknown/1", {}, 404),
        ("GET", "/Patient/1/nonsense", {}, 404),
        ("GET", "/Patient/" + "a" * 65, {}, 404),
        ("GET", "/Patient/%00", {}, 404),
        ("GET", "/Patient/1/_history/zero", {}, 404),
        ("GET", "/Patient/1/_history/" + "9" * 60, {}, 404),
        ("GET", "/Patient/..%2f..%2fBinary", {}, 404),
        ("PUT", "/Patient", {}, 400),
        ("PATCH", "/Patient/1", {}, 415),
        ("POST", "/Patient/1", {}, 405),
        ("DELETE", "/metadata", {}, 405),
        ("GET", "/Patient/unknown", {"Accept": "text/turtle"}, 406),
        ("POST", "/Patient", {"Content-Type": "text/plain"}, 415),
    ],
)
def test_a_wrong_request_has_its_own_status(
    client: Callable[..., Any], method: str, path: str, headers: dict[str, str], status: int
) -> None:
    body = json.dumps(PATIENT) if method in {"POST", "PUT", "PATCH"} else None
    answer = client("practitioner").request(method, path, data=body, headers=headers)
    outcome(answer, status)


@pytest.mark.parametrize("etag", ["1", "W/1", 'W/"', 'W/"x"', '"-1"', 'W/"' + "9" * 50 + '"'])
def test_a_malformed_if_match_is_the_clients_error(client: Callable[..., Any], etag: str) -> None:
    api = client("practitioner")
    patient = api.post("/Patient", json=PATIENT).json()
    answer = api.put(f"/Patient/{patient['id']}", json=patient, headers={"If-Match": etag})
    assert answer.status_code in {400, 412}, answer.text
    outcome(answer, answer.status_code)


def test_an_id_that_differs_from_the_url_is_400(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    patient = api.post("/Patient", json=PATIENT).json()
    outcome(api.put(f"/Patient/{patient['id']}", json=patient | {"id": "other"}), 400)


def test_a_body_over_4_mb_is_413(client: Callable[..., Any]) -> None:
    body = PATIENT | {"text": {"status": "generated", "div": "<div>" + "x" * 4_400_000 + "</div>"}}
    outcome(client("practitioner").post("/Patient", json=body), 413)


def test_messages_never_reflect_markup(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    answer = api.post("/Patient", data='{"resourceType":"Patient","<script>":1}')
    assert "<script>" not in answer.text
    assert "<b>" not in api.get("/<b>").text
