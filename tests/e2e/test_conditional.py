"""Conditional interactions against the real index, and many of them at the same time."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.fhir import found, outcome

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def patient(value: str, **more: Any) -> dict[str, Any]:
    identifier = [{"system": "urn:ai4h:test", "value": value}]
    return {"resourceType": "Patient", "identifier": identifier, **more}


def test_parallel_conditional_creates_make_one(
    client: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    for _ in range(5):
        value = uuid.uuid4().hex
        query = f"identifier=urn:ai4h:test|{value}"

        def create(_: int, value: str = value, query: str = query) -> tuple[int, str]:
            answer = client("practitioner").post(
                "/Patient", json=patient(value), headers={"If-None-Exist": query}
            )
            return answer.status_code, answer.json().get("id", answer.text)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(create, range(8)))
        statuses = Counter(status for status, _ in answers)
        assert statuses[201] == 1
        assert set(statuses) <= {200, 201}, answers
        assert len({made for _, made in answers}) == 1
        api = client("practitioner")
        eventually(lambda query=query, api=api: len(found(api, f"/Patient?{query}")) == 1)
        later = api.post("/Patient", json=patient(value), headers={"If-None-Exist": query})
        assert later.status_code == 200
        assert later.json()["id"] == answers[0][1]
        assert later.headers["Location"].endswith("/_history/1")


def test_conditional_update_patch_and_delete(client: Callable[..., Any]) -> None:
    api, value = client("practitioner"), uuid.uuid4().hex
    path = f"/Patient?identifier=urn:ai4h:test|{value}"
    made = api.put(path, json=patient(value))
    assert made.status_code == 201, made.text
    updated = api.put(path, json=patient(value, active=True))
    assert (updated.status_code, updated.json()["id"]) == (200, made.json()["id"])
    token = {"X-Consistency-Token": updated.headers["X-Consistency-Token"]}
    operations = json.dumps([{"op": "replace", "path": "/active", "value": False}])
    patched = api.patch(path, data=operations, headers={**JSON_PATCH, **token})
    assert (patched.status_code, patched.json()["active"]) == (200, False)
    twin = api.post("/Patient", json=patient(value))
    token = {"X-Consistency-Token": twin.headers["X-Consistency-Token"]}
    for several in (api.delete(path, headers=token), api.put(path, json=patient(value))):
        assert outcome(several, 412)["issue"][0]["code"] == "multiple-matches"
    assert api.delete(f"/Patient/{twin.json()['id']}").status_code == 204
    token = {"X-Consistency-Token": patched.headers["X-Consistency-Token"]}
    only = f"{path}&_id={made.json()['id']}"
    assert api.delete(only, headers=token).status_code == 204
    outcome(api.get(f"/Patient/{made.json()['id']}"), 410)
    assert api.delete(only).status_code == 204
    outcome(api.delete("/Patient"), 400)
    outcome(api.delete("/Patient?shoe-size=46"), 400)


def test_conditional_read(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    made = api.post("/Patient", json=patient("read"))
    path = f"/Patient/{made.json()['id']}"
    since = {"If-Modified-Since": made.headers["Last-Modified"]}
    assert api.get(path, headers=since).status_code == 304
    assert api.get(path, headers={"If-None-Match": 'W/"2"'}).status_code == 200


def test_ids_are_the_servers_unless_configured(client: Callable[..., Any]) -> None:
    mine = patient("mine") | {"id": "mine"}
    outcome(client("practitioner").put("/Patient/mine", json=mine), 405)


def test_a_create_that_is_sent_again_is_not_done_again(client: Callable[..., Any]) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}

    def create(_: int) -> tuple[int, str]:
        answer = client("practitioner").post("/Patient", json=patient("again"), headers=key)
        return answer.status_code, answer.text

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(create, range(8)))
    assert len(answers) == 1
    assert answers.pop()[0] == 201
    other = client("practitioner").post("/Patient", json=patient("other"), headers=key)
    outcome(other, 422)
