"""Bundles: transactions as a whole or not at all, batches entry by entry."""

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from functions.api import bundles
from functions.api.json_patch import JSON_PATCH
from functions.shared import store
from functions.shared.resources import parse
from functions.shared.transactions import MAX_ACTIONS
from functions.shared.validation import validate
from tests.functions.api.conftest import BASE, EMPTY, Client, Reply
from tests.functions.api.test_conditional import matching
from tests.scripted_engine import ScriptedEngine

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt"}]}
Engines = Callable[..., ScriptedEngine]
URN = "urn:uuid:00000000-0000-4000-8000-00000000000"


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **asked: str) -> Any:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **asked}}
    made |= {"resource": resource} if resource is not None else {}
    return made | ({"fullUrl": full_url} if full_url else {})


def observation(subject: str, **more: Any) -> dict[str, Any]:
    base = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    return {**base, "subject": {"reference": subject}, **more}


def patch(*operations: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": JSON_PATCH, "data": data}


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto doesn't lock what it copies for a transaction."""
    monkeypatch.setattr(bundles, "_PARALLEL", 1)


@pytest.fixture
def send(api: Client) -> Callable[..., Reply]:
    def run(kind: str, *entries: Any, **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
        reply = api.call("POST", "/", bundle, sent)
        if reply.status == 200:
            validate(parse(reply.text.encode()))
            assert reply.body["type"] == f"{kind}-response"
            assert len(reply.body.get("entry", [])) == len(entries)
        return reply

    return run


def statuses(reply: Reply) -> list[int]:
    assert reply.status == 200, reply.text
    return [int(entry["response"]["status"].split()[0]) for entry in reply.body["entry"]]


def created(reply: Reply, index: int) -> str:
    """`Type/id` of an entry's resource."""
    location = reply.body["entry"][index]["response"]["location"]
    return location.removeprefix(f"{BASE}/").partition("/_history")[0]


def test_a_transaction_does_all_that_it_is_asked(api: Client, send: Callable[..., Reply]) -> None:
    old, gone, patched = (api.make(PATIENT) for _ in range(3))
    reply = send(
        "transaction",
        entry("GET", f"Patient/{old['id']}"),
        entry("PUT", f"Patient/{old['id']}", old | {"active": True}, ifMatch='W/"1"'),
        entry("POST", "Patient", PATIENT),
        entry("PATCH", f"/Patient/{patched['id']}", patch({"op": "remove", "path": "/name"})),
        entry("DELETE", f"{BASE}/Patient/{gone['id']}"),
        entry("DELETE", "Patient/unknown"),
        entry("HEAD", f"Patient/{old['id']}/_history/1"),
        entry("GET", "Patient/unknown"),
    )
    assert statuses(reply) == [200, 200, 201, 200, 204, 204, 200, 404]
    read, updated, made, *_ = reply.body["entry"]
    assert read["resource"]["active"] is True
    assert "resource" not in updated
    assert updated["response"]["etag"] == 'W/"2"'
    assert updated["response"]["lastModified"] == read["resource"]["meta"]["lastUpdated"]
    assert made["response"]["location"].endswith("/_history/1")
    assert api.get(f"/{created(reply, 2)}").body["name"] == PATIENT["name"]
    assert "name" not in api.get(f"/Patient/{patched['id']}").body
    assert api.get(f"/Patient/{gone['id']}").status == 410
    assert reply.body["entry"][7]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert "X-Consistency-Token" in reply.headers
    assert "entry" not in send("transaction").body


def test_the_answer_has_what_is_preferred(send: Callable[..., Reply]) -> None:
    for kind in ("transaction", "batch"):
        sent = entry("POST", "Patient", PATIENT)
        whole = send(kind, sent, Prefer="return=representation").body["entry"][0]
        assert whole["resource"]["name"] == PATIENT["name"]
        outcome = send(kind, sent, Prefer="return=OperationOutcome").body["entry"][0]
        assert outcome["response"]["outcome"]["issue"][0]["severity"] == "information"
        assert "resource" not in send(kind, sent).body["entry"][0]


def test_links_between_entries_are_rewritten_wherever_they_are(
    api: Client, send: Callable[..., Reply]
) -> None:
    patient, other = f"{URN}1", "http://elsewhere.test/fhir/Practitioner/7"
    narrative = f"<div xmlns='http://www.w3.org/1999/xhtml'><a href=\"{patient}\">x</a></div>"
    resource = observation(
        patient,
        text={"status": "generated", "div": narrative},
        performer=[{"reference": "Practitioner/7"}, {"reference": "Practitioner/8"}],
        derivedFrom=[{"reference": f"{URN}3"}],
        extension=[
            {"url": "urn:x", "valueUri": patient},
            {"url": "urn:y", "valueString": patient},
            {"url": "urn:z", "valueCanonical": patient},
        ],
        contained=[{"resourceType": "Specimen", "id": "s", "subject": {"reference": patient}}],
        specimen={"reference": "#s"},
        identifier=[{"system": "urn:ietf:rfc:3986", "value": patient}],
    )
    own = "http://elsewhere.test/fhir/Observation/1"
    reply = send(
        "transaction",
        entry("POST", "Observation", resource, own),
        entry("POST", "Patient", PATIENT, patient),
        entry("POST", "Practitioner", {"resourceType": "Practitioner"}, other),
    )
    made, target, practitioner = (created(reply, index) for index in range(3))
    stored = api.get(f"/{made}").body
    assert stored["subject"]["reference"] == target
    assert [p["reference"] for p in stored["performer"]] == [practitioner, "Practitioner/8"]
    assert stored["derivedFrom"][0]["reference"] == f"{URN}3"
    assert f'href="{target}"' in stored["text"]["div"]
    assert [list(e.values())[1] for e in stored["extension"]] == [target, patient, patient]
    assert stored["contained"][0]["subject"]["reference"] == target
    assert stored["identifier"][0]["value"] == patient


def test_nothing_is_done_unless_all_is(api: Client, send: Callable[..., Reply]) -> None:
    old = api.make(PATIENT)
    changed = entry("PUT", f"Patient/{old['id']}", old | {"active": True})
    for status, code, bad in (
        (400, "value", entry("POST", "Patient", PATIENT | {"birthDate": "x"})),
        (400, "duplicate", entry("DELETE", f"Patient/{old['id']}")),
        (400, "value", entry("PUT", "Patient/1", PATIENT | {"id": "2"})),
        (400, "structure", entry("POST", "Patient", {"resourceType": "Basic"})),
        (400, "structure", entry("POST", "Patient", "x")),
        (400, "value", entry("POST", "Patient/1", PATIENT)),
        (400, "value", entry("TRACE", "Patient")),
        (400, "value", entry("POST", "http://elsewhere.test/Patient", PATIENT)),
        (400, "required", {"resource": PATIENT}),
        (400, "required", entry("DELETE", "Patient")),
        (400, "not-supported", entry("POST", "Nonsense", PATIENT)),
        (400, "not-supported", entry("POST", "", PATIENT)),
        (404, "not-found", entry("PATCH", "Patient/1", patch())),
        (400, "required", entry("PATCH", "Patient/1", PATIENT)),
        (405, "not-supported", entry("PUT", "Patient/1", PATIENT | {"id": "1"})),
        (412, "conflict", entry("DELETE", f"Patient/{api.make(PATIENT)['id']}", ifMatch='W/"7"')),
        (422, "not-supported", entry("POST", "Binary", {"resourceType": "Binary"})),
        (422, "not-supported", entry("GET", "Binary/1")),
    ):
        reply = send("transaction", changed, bad)
        assert (reply.status, reply.code) == (status, code), reply.text
        assert "Entry 1" in reply.text
        assert "Bundle.entry[1]" in reply.body["issue"][0]["expression"][0]
    assert api.get(f"/Patient/{old['id']}").headers["ETag"] == 'W/"1"'


def test_criteria_in_a_transaction(
    api: Client, send: Callable[..., Reply], engine: Engines
) -> None:
    there = api.make(PATIENT)
    asked = "identifier=urn:s|there"
    engine(matching(there), matching(there))
    found = send(
        "transaction",
        entry("POST", "Patient", PATIENT, f"{URN}1", ifNoneExist=asked),
        entry("POST", "Observation", observation(f"{URN}1")),
        entry("POST", "Observation", observation("Patient?name=x")),
    )
    assert statuses(found) == [200, 201, 201]
    for index in (1, 2):
        subject = api.get(f"/{created(found, index)}").body["subject"]["reference"]
        assert subject == f"Patient/{there['id']}"

    # Sent twice before the index shows it; a reference by the same criteria is to what was made.
    new = (
        entry("POST", "Patient", PATIENT, ifNoneExist="identifier=urn:s|new"),
        entry("PUT", "Patient?identifier=urn:s|put", PATIENT),
        entry("POST", "Observation", observation("Patient?identifier=urn:s|new")),
    )
    for expected in ([201, 201, 201], [200, 200, 201]):
        engine(EMPTY, EMPTY)
        reply = send("transaction", *new)
        assert statuses(reply) == expected
        subject = api.get(f"/{created(reply, 2)}").body["subject"]["reference"]
        assert subject == created(reply, 0)

    engine(matching(there), EMPTY, EMPTY)
    replaced = send(
        "transaction",
        entry("POST", "Patient", PATIENT, ifNoneExist=asked),
        entry("DELETE", f"Patient?{asked}"),
    )
    assert statuses(replaced) == [201, 204]
    for several in ("DELETE", "PUT"):
        engine(matching(api.make(PATIENT), api.make(PATIENT)))
        assert send("transaction", entry(several, "Patient?name=x", PATIENT)).status == 412
    engine(EMPTY)
    dangling = send("transaction", entry("POST", "Observation", observation("Patient?name=x")))
    assert (dangling.status, dangling.code) == (412, "not-found")
    engine(EMPTY, EMPTY)
    same = entry("POST", "Patient", PATIENT, ifNoneExist="name=same")
    assert send("transaction", same, same).code == "duplicate"


def test_what_was_resolved_must_still_be_so(
    api: Client, send: Callable[..., Reply], engine: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = api.make(PATIENT)
    path = f"/Patient/{there['id']}"
    write_all, rivals = store.write_all, [1]

    def overtaken(*arguments: Any) -> None:
        if rivals[0]:
            rivals[0] -= 1
            assert api.call("PUT", path, there).status == 200
        write_all(*arguments)

    monkeypatch.setattr(store, "write_all", overtaken)
    update = entry("PUT", path, there | {"active": True})
    assert send("transaction", update).body["entry"][0]["response"]["etag"] == 'W/"3"'
    rivals[0] = 1
    assert send("transaction", update | entry("PUT", path, there, ifMatch='W/"3"')).status == 412
    rivals[0] = 99
    assert send("transaction", update).status == 409
    # … also what criteria found.
    rivals[0] = 1
    now = api.get(path).body
    engine(matching(now), lambda _: matching(api.get(path).body))
    reply = send("transaction", entry("POST", "Observation", observation("Patient?name=x")))
    assert statuses(reply) == [201]


def test_limits(api: Client, send: Callable[..., Reply], monkeypatch: pytest.MonkeyPatch) -> None:
    most = [entry("POST", "Basic", {"resourceType": "Basic", "code": {"text": "x"}})] * MAX_ACTIONS
    assert statuses(send("transaction", *most)) == [201] * MAX_ACTIONS
    assert send("transaction", *most, most[0]).status == 413
    # The record of the key is one more.
    assert send("transaction", *most, Idempotency_Key="limits").code == "too-long"
    monkeypatch.setattr(bundles, "MAX_ENTRIES", 2)
    assert send("batch", *most[:3]).status == 413
    assert send("document").status == 400
    assert api.call("POST", "/", PATIENT).status == 400
    assert (
        api.call("POST", "/", {"resourceType": "Bundle", "type": "batch", "entry": 1}).status == 400
    )


def test_large_bodies_leave_the_transaction_small_enough(
    api: Client, send: Callable[..., Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_TRANSACTION_BYTES", 500_000)
    sizes = (250_000, 10_000, 240_000, 200_000)
    texts = [os.urandom(size // 2).hex() for size in sizes]
    basics = [{"resourceType": "Basic", "code": {"text": text}} for text in texts]
    reply = send("transaction", *(entry("POST", "Basic", basic) for basic in basics))
    for index, text in enumerate(texts):
        assert api.get(f"/{created(reply, index)}").body["code"]["text"] == text
    big = send("transaction", entry("GET", created(reply, 0)), Prefer="return=representation")
    assert big.body["entry"][0]["resource"]["code"]["text"] == texts[0]


def test_what_does_not_fit_into_the_answer_is_left_out(
    api: Client, send: Callable[..., Reply]
) -> None:
    large = api.make({"resourceType": "Basic", "code": {"text": os.urandom(1_000_000).hex()}})
    reads = [entry("GET", f"Basic/{large['id']}")] * 3
    reply = send("batch", *reads, entry("POST", "Patient", PATIENT))
    assert statuses(reply) == [200, 200, 413, 201]
    assert reply.body["entry"][2]["response"]["outcome"]["issue"][0]["code"] == "too-long"


def test_a_request_that_is_sent_again_is_not_done_again(
    api: Client, send: Callable[..., Reply], client: Callable[..., Client], engine: Engines
) -> None:
    key = {"Idempotency-Key": "create"}
    first, again = (api.call("POST", "/Patient", PATIENT, key) for _ in range(2))
    assert (first.status, first.text) == (again.status, again.text)
    assert first.headers["Location"] == again.headers["Location"]
    other = api.call("POST", "/Patient", PATIENT | {"active": True}, key)
    assert (other.status, other.code) == (422, "processing")
    assert client("practitioner", subject="2").call("POST", "/Patient", PATIENT, key).status == 201
    assert api.call("POST", "/Patient", PATIENT, {"Idempotency-Key": "x" * 256}).status == 400

    engine(EMPTY)
    asked = {"Idempotency-Key": "conditional", "If-None-Exist": "identifier=again"}
    made, replayed = (api.call("POST", "/Patient", PATIENT, asked) for _ in range(2))
    assert (made.status, made.text) == (replayed.status, replayed.text)

    old = api.make(PATIENT)
    for kind in ("transaction", "batch"):
        sent = (
            entry("POST", "Patient", PATIENT),
            entry("GET", f"Patient/{old['id']}"),
            entry("DELETE", "Patient/unknown"),
        )
        replies = [send(kind, *sent, Idempotency_Key=kind) for _ in range(2)]
        assert replies[0].body == replies[1].body


def test_entries_of_a_batch_know_nothing_of_each_other(
    api: Client, send: Callable[..., Reply], engine: Engines
) -> None:
    engine(EMPTY)
    old = api.make(PATIENT)
    reply = send(
        "batch",
        entry("POST", "Patient", PATIENT, f"{URN}1"),
        entry("POST", "Observation", observation(f"{URN}1")),
        entry("PUT", f"Patient/{old['id']}", old, ifMatch='W/"7"'),
        entry("POST", "Patient", PATIENT | {"birthDate": "x"}),
        entry("GET", f"Patient/{old['id']}", ifNoneMatch='W/"1"'),
        entry("GET", "Patient?name=x"),
        entry("GET", f"Patient/{old['id']}/_history"),
        entry("PATCH", f"Patient/{old['id']}", patch({"op": "test", "path": "/id", "value": "x"})),
        entry("POST", "Binary", {"resourceType": "Binary"}),
        entry("POST", "/", {"resourceType": "Bundle", "type": "batch"}),
        entry("GET", "metadata"),
        {},
    )
    assert statuses(reply) == [201, 201, 412, 400, 304, 200, 200, 422, 422, 400, 200, 400]
    stored = api.get(f"/{created(reply, 1)}").body
    assert stored["subject"]["reference"] == f"{URN}1"
    assert reply.body["entry"][6]["resource"]["type"] == "history"


def test_every_entry_is_the_users_own(client: Callable[..., Client]) -> None:
    def send(user: Client, kind: str, *entries: Any) -> Reply:
        return user.call("POST", "/", {"resourceType": "Bundle", "type": kind, "entry": entries})

    dataset = {"resourceType": "DocumentReference", "status": "current"}
    dataset |= {"content": [{"attachment": {"title": "volumes"}}]}
    owner, other = client("data-owner", subject="o"), client("practitioner", subject="p")
    path = f"DocumentReference/{owner.make(dataset)['id']}"
    for denied in (
        entry("DELETE", path),
        entry("PUT", path, dataset | {"id": path.partition("/")[2]}),
        entry("PATCH", path, patch()),
    ):
        assert send(other, "transaction", denied).status == 403
        assert statuses(send(other, "batch", denied)) == [403]
    auditor = client("auditor")
    assert send(auditor, "transaction", entry("POST", "Patient", PATIENT)).status == 403
    assert statuses(send(auditor, "transaction", entry("GET", path))) == [403]
    made = send(owner, "transaction", entry("POST", "DocumentReference", dataset))
    assert other.get(f"/{created(made, 0)}").status == 403
    assert owner.get(f"/{created(made, 0)}").status == 200
