"""A resource's life through the handler: what is done, what is refused, and what is answered."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.api.conftest import BASE, FHIR, Client

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt"}]}
DATASET = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [{"attachment": {"title": "volumes"}}],
}


def test_from_creation_to_deletion(api: Client) -> None:
    made = api.call("POST", "/Patient", PATIENT | {"id": "mine", "meta": {"versionId": "9"}})
    assert made.status == 201
    patient = made.body
    path = f"/Patient/{patient['id']}"
    assert patient["id"] != "mine"
    assert patient["meta"]["versionId"] == "1"
    assert patient["name"] == PATIENT["name"]
    assert made.headers["ETag"] == 'W/"1"'
    assert made.headers["Location"] == f"{BASE}{path}/_history/1"
    assert made.headers["Last-Modified"].endswith(" GMT")
    assert made.headers["Content-Type"] == FHIR
    assert api.get(path).text == made.text

    changed = patient | {"birthDate": "1970-02-03"}
    updated = api.call("PUT", path, changed, {"If-Match": 'W/"1"'})
    assert (updated.status, updated.headers["ETag"]) == (200, 'W/"2"')
    assert updated.body["meta"]["versionId"] == "2"
    assert "Location" not in updated.headers
    stale = api.call("PUT", path, changed, {"If-Match": 'W/"1"'})
    assert (stale.status, stale.code) == (412, "conflict")
    assert api.call("PUT", path, changed).headers["ETag"] == 'W/"3"'
    assert api.get(f"{path}/_history/1").text == made.text
    assert api.get(f"{path}/_history/2").text == updated.text

    assert api.call("DELETE", path, headers={"If-Match": 'W/"2"'}).status == 412
    for _ in range(2):
        gone = api.call("DELETE", path)
        assert (gone.status, gone.text, gone.headers["ETag"]) == (204, "", 'W/"4"')
    for deleted in (path, f"{path}/_history/4"):
        assert (api.get(deleted).status, api.get(deleted).code) == (410, "deleted")
    assert api.get(f"{path}/_history/3").status == 200
    assert api.call("PUT", path, changed, {"If-Match": 'W/"4"'}).status == 410

    back = api.call("PUT", path, changed)
    assert (back.status, back.headers["ETag"]) == (201, 'W/"5"')
    assert back.headers["Location"] == f"{BASE}{path}/_history/5"
    assert api.get(path).status == 200


def test_unknown_resources(api: Client) -> None:
    assert api.get("/Patient/unknown").code == "not-found"
    assert api.call("DELETE", "/Patient/unknown").status == 204
    unknown = PATIENT | {"id": "unknown"}
    refused = api.call("PUT", "/Patient/unknown", unknown)
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, DELETE")
    assert api.call("PUT", "/Patient/unknown", unknown, {"If-Match": 'W/"1"'}).status == 412


def test_numbers_keep_their_text(api: Client) -> None:
    value = '"valueQuantity":{"value":1.10}'
    body = '{"resourceType":"Observation","status":"final","code":{"text":"x"},' + value + "}"
    made = api.call("POST", "/Observation", body)
    assert value in api.get(f"/Observation/{made.body['id']}").text


def test_a_client_that_knows_the_version_is_not_sent_it_again(api: Client) -> None:
    made = api.call("POST", "/Patient", PATIENT)
    path = f"/Patient/{made.body['id']}"
    for known in ('W/"1"', '"1"', '"7", W/"1"', "*"):
        reply = api.get(path, If_None_Match=known)
        assert (reply.status, reply.text, reply.headers["ETag"]) == (304, "", 'W/"1"')
    assert api.get(path, If_None_Match='W/"2"').status == 200
    modified = made.headers["Last-Modified"]
    assert api.get(path, If_Modified_Since=modified).status == 304
    assert api.get(f"{path}/_history/1", If_Modified_Since=modified).status == 304
    for since in (
        "Mon, 01 Jan 2001 00:00:00 GMT",
        "yesterday",
        "Mon, 99 Feb 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2030 00:00:00 +999999999999",
    ):
        assert api.get(path, If_Modified_Since=since).status == 200, since
    assert api.get(path, If_None_Match='W/"2"', If_Modified_Since=modified).status == 200


def test_the_answer_to_a_write_is_what_the_client_prefers(api: Client) -> None:
    def write(preference: str) -> Any:
        return api.call("POST", "/Patient", PATIENT, {"Prefer": preference})

    minimal = write("handling=strict, return=minimal")
    assert (minimal.status, minimal.text) == (201, "")
    assert {"Location", "ETag", "Last-Modified"} <= minimal.headers.keys()
    outcome = write('return="OperationOutcome"')
    assert outcome.body["issue"][0]["severity"] == "information"
    for preference in ("return=representation", "return=odd", ""):
        assert write(preference).body["resourceType"] == "Patient"


def test_head_is_get_without_body(api: Client) -> None:
    made = api.call("POST", "/Patient", PATIENT)
    reply = api.call("HEAD", f"/Patient/{made.body['id']}")
    assert (reply.status, reply.text, reply.headers["ETag"]) == (200, "", 'W/"1"')


@pytest.mark.parametrize("etag", ["1", "W/1", 'W/"', 'W/"x"', '"-1"', '"0"', f'W/"{"9" * 50}"'])
def test_a_malformed_if_match_is_the_clients_error(api: Client, etag: str) -> None:
    patient = api.make(PATIENT)
    for method in ("PUT", "DELETE"):
        reply = api.call(method, f"/Patient/{patient['id']}", patient, {"If-Match": etag})
        assert reply.status == 400


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/Unknown/1", {}, None, 404),
        ("GET", "/patient/1", {}, None, 404),
        ("GET", "/Patient/1/nonsense", {}, None, 404),
        ("GET", "/Patient/1/$everything", {}, None, 404),
        ("GET", "/Patient/" + "a" * 65, {}, None, 404),
        ("GET", "/Patient/%00", {}, None, 404),
        ("GET", "/Patient/..%2f..%2fBinary", {}, None, 404),
        ("GET", "/Patient/1/_history/zero", {}, None, 404),
        ("GET", "/Patient/1/_history/" + "9" * 60, {}, None, 404),
        ("GET", "/Patient/1/_history/1/2", {}, None, 404),
        ("GET", "/_search/Patient", {}, None, 404),
        ("PUT", "/Patient", {}, PATIENT, 400),
        ("PUT", "/Patient/_history", {}, PATIENT, 405),
        ("PATCH", "/Patient/1", {}, [], 415),
        ("POST", "/Patient/1", {}, PATIENT, 405),
        ("GET", "/Patient/_search", {}, None, 405),
        ("POST", "/Patient/1/_history", {}, None, 405),
        ("DELETE", "/_history", {}, None, 405),
        ("DELETE", "/metadata", {}, None, 405),
        ("PUT", "/", {}, {"resourceType": "Bundle", "type": "batch"}, 405),
        ("POST", "/Binary", {}, {"resourceType": "Binary"}, 405),
        ("GET", "/Binary/1", {}, None, 405),
        ("GET", "/Patient/1", {"Accept": "text/turtle"}, None, 406),
        ("GET", "/Patient/1?_format=xml", {}, None, 406),
        ("GET", "/metadata", {"Accept": "application/fhir+xml"}, None, 406),
        ("POST", "/Patient", {"Content-Type": "text/plain"}, PATIENT, 415),
        ("POST", "/Patient/_search", {"Content-Type": FHIR}, {"name": "x"}, 415),
        ("POST", "/Patient", {}, "x" * 4_194_305, 413),
        ("POST", "/Patient", {}, None, 400),
        ("POST", "/Patient", {}, "[]", 400),
        ("POST", "/Patient", {}, {"resourceType": "Observation"}, 400),
        ("POST", "/Patient", {}, PATIENT | {"meta": 1}, 400),
        ("PUT", "/Patient/1", {}, PATIENT, 400),
        ("PUT", "/Patient/1", {}, PATIENT | {"id": "2"}, 400),
    ],
)
def test_a_wrong_request_has_its_own_status(
    api: Client, method: str, path: str, headers: dict[str, str], body: Any, status: int
) -> None:
    reply = api.call(method, path, body, headers)
    assert reply.status == status, reply.text
    assert reply.code
    assert reply.headers["Content-Type"] == FHIR
    if status == 405:
        assert method not in reply.headers["Allow"].split(", ")


def test_faults_of_a_body_are_pointed_at(api: Client) -> None:
    reply = api.call("POST", "/Observation", {"resourceType": "Observation", "status": "bad"})
    issues = reply.body["issue"]
    assert reply.status == 400
    assert {"code-invalid", "required"} == {issue["code"] for issue in issues}
    assert ["Observation.status"] in [issue["expression"] for issue in issues]


def test_a_resource_that_could_not_be_served_again_is_413(api: Client) -> None:
    """4 MB of quotes, which Lambda's answer escapes: as large as 8 MB."""
    text = '{"resourceType":"Patient","name":[{"family":"' + '\\"' * 1_900_000 + '"}]}'
    assert api.call("POST", "/Patient", text).status == 413


def test_a_large_resource_survives(api: Client) -> None:
    noise = os.urandom(500_000).hex()
    made = api.make(PATIENT | {"name": [{"family": noise}]})
    assert api.get(f"/Patient/{made['id']}").body["name"][0]["family"] == noise


def test_everything_but_the_statement_needs_a_token(client: Callable[..., Client]) -> None:
    nobody = Client("nonsense")
    assert nobody.get("/metadata").status == 200
    for path in ("/", "/Patient/1", "/Patient?name=x", "/nonsense"):
        refused = nobody.get(path)
        assert (refused.status, refused.code) == (401, "login")


def test_groups_may_do_what_the_rules_say(client: Callable[..., Client]) -> None:
    auditor = client("auditor")
    for method, path in (
        ("POST", "/Patient"), ("PUT", "/Patient/1"), ("DELETE", "/Patient/1"),
        ("GET", "/Observation/1"), ("GET", "/Observation/1/_history/1"), ("GET", "/Observation"),
    ):  # fmt: skip
        refused = auditor.call(method, path, PATIENT if method != "GET" else None)
        assert (refused.status, refused.code) == (403, "forbidden"), path
    assert auditor.get("/Patient/unknown").status == 404


def test_private_resources_are_their_owners(client: Callable[..., Client]) -> None:
    owner = client("data-owner", subject="owner")
    others = [client("practitioner", subject="other"), client("data-owner", subject="third")]
    dataset = owner.make(DATASET)
    path = f"/DocumentReference/{dataset['id']}"
    for other in others:
        for reply in (
            other.get(path),
            other.get(f"{path}/_history/1"),
            other.call("PUT", path, dataset),
            other.call("PUT", path, dataset, {"If-Match": 'W/"1"'}),
            other.call("DELETE", path),
        ):
            assert (reply.status, reply.code) == (403, "forbidden")
    admin = client("admin", subject="admin")
    assert admin.call("PUT", path, dataset, {"If-Match": 'W/"1"'}).status == 200
    assert owner.call("PUT", path, dataset, {"If-Match": 'W/"1"'}).status == 412
    assert owner.call("PUT", path, dataset, {"If-Match": 'W/"2"'}).status == 200
    assert owner.call("DELETE", path).status == 204
    assert others[0].get(path).status == 403
    assert owner.get(path).status == 410


def test_writers_without_if_match_take_turns(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write between our read and our write, three times and then always."""
    from functions.shared import store

    patient = api.make(PATIENT)
    path = f"/Patient/{patient['id']}"
    latest, rivals = store.latest, [3]

    def overtaken(pk: str, **how: bool) -> Any:
        found = latest(pk, **how)
        if rivals[0]:
            rivals[0] -= 1
            remaining, rivals[0] = rivals[0], 0
            assert api.call("PUT", path, patient).status == 200
            rivals[0] = remaining
        return found

    monkeypatch.setattr(store, "latest", overtaken)
    ours = api.call("PUT", path, patient | {"gender": "other"})
    assert (ours.status, ours.headers["ETag"]) == (200, 'W/"5"')

    rivals[0] = 100
    for method in ("PUT", "DELETE"):
        lost = api.call(method, path, patient)
        assert (lost.status, lost.code) == (409, "conflict")
    rivals[0] = 1
    stale = api.call("DELETE", path, headers={"If-Match": 'W/"15"'})
    assert stale.status == 412
