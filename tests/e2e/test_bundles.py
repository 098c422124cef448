"""Transactions and batches through the gateway, also many at the same time."""

import base64
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.fhir import PATIENT, found, outcome

URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


def bundle(kind: str, *entries: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **asked: str) -> Any:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **asked}}
    made |= {"resource": resource} if resource is not None else {}
    return made | ({"fullUrl": full_url} if full_url else {})


def observation(subject: str) -> dict[str, Any]:
    base = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    return base | {"subject": {"reference": subject}}


def statuses(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry["response"]["status"][:3] for entry in answer.json()["entry"]]


def test_a_transaction_is_done_as_a_whole(
    client: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    api = client("practitioner")
    old, gone = (api.post("/Patient", json=PATIENT).json() for _ in range(2))
    operations = json.dumps([{"op": "add", "path": "/active", "value": True}])
    patch = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(operations.encode()).decode(),
    }
    answer = api.post(
        "/",
        json=bundle(
            "transaction",
            entry("POST", "Observation", observation(URN)),
            entry("POST", "Patient", PATIENT, URN),
            entry("PATCH", f"Patient/{old['id']}", patch, ifMatch='W/"1"'),
            entry("DELETE", f"Patient/{gone['id']}"),
            entry("GET", f"Patient/{old['id']}"),
        ),
    )
    assert statuses(answer) == ["201", "201", "200", "204", "200"]
    locations = [e["response"].get("location", "") for e in answer.json()["entry"]]
    stored = api.absolute(locations[0]).json()
    assert stored["subject"]["reference"] == "/".join(locations[1].split("/")[-4:-2])
    assert answer.json()["entry"][4]["resource"]["active"] is True
    outcome(api.get(f"/Patient/{gone['id']}"), 410)
    subject = stored["subject"]["reference"]
    eventually(lambda: found(api, f"/Observation?subject={subject}") == [stored["id"]])

    failing = bundle(
        "transaction",
        entry("DELETE", f"Patient/{old['id']}"),
        entry("POST", "Patient", PATIENT | {"birthDate": "x"}),
    )
    assert outcome(api.post("/", json=failing), 400)["issue"][0]["expression"] == [
        "Bundle.entry[1].resource.birthDate"
    ]
    assert api.get(f"/Patient/{old['id']}").status_code == 200
    binary = bundle("transaction", entry("POST", "Binary", {"resourceType": "Binary"}))
    outcome(api.post("/", json=binary), 422)


def test_parallel_transactions_make_no_duplicates_and_lose_nothing(
    client: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    """Each adds an observation to one patient, whom whoever is first makes, and counts on it."""
    api, value = client("practitioner"), uuid.uuid4().hex
    counter = api.post("/Patient", json=PATIENT).json()
    query = f"identifier=urn:ai4h:test|{value}"
    patient = PATIENT | {"identifier": [{"system": "urn:ai4h:test", "value": value}]}

    def send(_: int) -> str:
        own = client("practitioner")
        for _ in range(200):
            seen = own.get(f"/Patient/{counter['id']}")
            body = seen.json()
            body["multipleBirthInteger"] = body.get("multipleBirthInteger", 0) + 1
            answer = own.post(
                "/",
                json=bundle(
                    "transaction",
                    entry("POST", "Patient", patient, URN, ifNoneExist=query),
                    entry("POST", "Observation", observation(URN)),
                    entry("PUT", f"Patient/{body['id']}", body, ifMatch=seen.headers["ETag"]),
                ),
            )
            if answer.status_code == 200:
                made = answer.json()["entry"][1]["response"]["location"]
                return own.absolute(made).json()["subject"]["reference"]
            assert answer.status_code in {409, 412}, answer.text
        raise AssertionError("starves")

    with ThreadPoolExecutor(4) as pool:
        subjects = list(pool.map(send, range(12)))
    assert len(set(subjects)) == 1
    assert api.get(f"/Patient/{counter['id']}").json()["multipleBirthInteger"] == 12
    eventually(lambda: len(found(api, f"/Observation?subject={subjects[0]}")) == 12)
    assert len(found(api, f"/Patient?{query}")) == 1


def test_a_large_transaction(client: Callable[..., Any]) -> None:
    """100 writes and 3.6 MB that hardly compress."""
    api = client("practitioner")
    noise = "".join(uuid.uuid4().hex for _ in range(36_000 // 32))
    large = {"resourceType": "Basic", "code": {"text": noise}}
    sent = bundle("transaction", *(entry("POST", "Basic", large) for _ in range(100)))
    answer = api.post("/", json=sent)
    assert statuses(answer) == ["201"] * 100
    stored = api.absolute(answer.json()["entry"][99]["response"]["location"])
    assert stored.json()["code"]["text"] == noise
    assert outcome(
        api.post("/", json=bundle("transaction", *[entry("DELETE", "Patient/1")] * 101)), 413
    )


def test_a_batch_answers_entry_by_entry(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    many = [entry("POST", "Patient", PATIENT)] * 40
    answer = api.post(
        "/",
        json=bundle(
            "batch",
            *many,
            entry("GET", "Patient/unknown"),
            entry("GET", "Patient?name=schm&_count=1"),
            entry("POST", "Binary", {"resourceType": "Binary"}),
        ),
    )
    assert statuses(answer) == ["201"] * 40 + ["404", "200", "422"]
    assert answer.json()["entry"][41]["resource"]["type"] == "searchset"
    outcome(api.post("/", json=bundle("document")), 400)


def test_a_bundle_that_is_sent_again_is_not_done_again(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    for kind in ("transaction", "batch"):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        sent = bundle(kind, entry("POST", "Patient", PATIENT))
        first, again = (api.post("/", json=sent, headers=key) for _ in range(2))
        assert statuses(first) == ["201"]
        assert first.json() == again.json()
