"""Conditional interactions: by what the index says, if the table says the same."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.api.json_patch import JSON_PATCH
from functions.search import freshness
from tests.functions.api.conftest import BASE, EMPTY, Client
from tests.scripted_engine import Answer, Asked, ScriptedEngine

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "1"}]}
Engines = Callable[..., ScriptedEngine]


def matching(*resources: dict[str, Any]) -> Answer:
    """What the engine answers when these match."""
    hits = [
        {"_id": f"{r['resourceType']}/{r['id']}", "_version": int(r["meta"]["versionId"])}
        for r in resources
    ]
    return 200, {"hits": {"hits": hits}}


def criteria(name: str) -> dict[str, str]:
    return {"If-None-Exist": f"identifier=urn:s|{name}"}


def test_created_unless_there_is_one(api: Client, engine: Engines) -> None:
    scripted = engine(EMPTY)
    made = api.call("POST", "/Patient", PATIENT, criteria("created"))
    assert made.status == 201
    asked = {"terms": {"token.identifier": ["b:urn:s\x1fcreated"]}}
    assert asked in scripted.asked[0].body["query"]["bool"]["filter"]

    engine(matching(made.body))
    found = api.call("POST", "/Patient", PATIENT, criteria("created"))
    assert (found.status, found.text) == (200, made.text)
    assert found.headers["Location"] == made.headers["Location"]
    assert found.headers["ETag"] == 'W/"1"'

    engine(matching(made.body, api.make(PATIENT)))
    several = api.call("POST", "/Patient", PATIENT, criteria("created"))
    assert (several.status, several.code) == (412, "multiple-matches")


def test_creates_that_the_index_does_not_show_yet_make_one(api: Client, engine: Engines) -> None:
    engine(*[EMPTY] * 4)
    criteria = ["identifier=x&birthdate=1970", "birthdate=1970&identifier=x"] * 2
    replies = [api.call("POST", "/Patient", PATIENT, {"If-None-Exist": c}) for c in criteria]
    assert [reply.status for reply in replies] == [201, 200, 200, 200]
    assert len({reply.body["id"] for reply in replies}) == 1


def test_private_types_are_everybodys_own(client: Callable[..., Client], engine: Engines) -> None:
    dataset = {"resourceType": "DocumentReference", "status": "current"}
    dataset |= {"content": [{"attachment": {"title": "volumes"}}]}
    engine(EMPTY, EMPTY)
    for subject in ("one", "two"):
        owner = client("data-owner", subject=subject)
        reply = owner.call("POST", "/DocumentReference", dataset, criteria("private"))
        assert reply.status == 201


def test_what_held_the_guard_may_have_changed(api: Client, engine: Engines) -> None:
    engine(EMPTY)
    first = api.call("POST", "/Patient", PATIENT, criteria("held")).body
    path = f"/Patient/{first['id']}"
    changed = api.call("PUT", path, first | {"active": True}).body

    # The index, which has caught up, says that it matches still.
    engine(EMPTY, matching(changed), matching(changed))
    again = api.call("POST", "/Patient", PATIENT, criteria("held"))
    assert (again.status, again.body["meta"]["versionId"]) == (200, "2")

    # … that it doesn't any more; and then it is gone.
    engine(EMPTY, matching(changed), EMPTY)
    second = api.call("POST", "/Patient", PATIENT, criteria("held"))
    assert (second.status, second.body["id"] != first["id"]) == (201, True)
    api.call("DELETE", f"/Patient/{second.body['id']}")
    engine(EMPTY)
    assert api.call("POST", "/Patient", PATIENT, criteria("held")).status == 201


def test_an_index_that_is_behind_is_waited_for(
    api: Client, engine: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = api.make(PATIENT)
    new = api.call("PUT", f"/Patient/{old['id']}", old | {"active": True}).body
    scripted = engine(matching(old), matching(old), matching(new), matching(new))
    reply = api.call("POST", "/Patient", PATIENT, criteria("behind"))
    assert (reply.status, reply.body["meta"]["versionId"]) == (200, "2")
    assert scripted.script == []

    monkeypatch.setattr(freshness, "WAIT_SECONDS", 0)
    engine(matching(old), matching(old))
    late = api.call("POST", "/Patient", PATIENT, criteria("behind"))
    assert (late.status, late.headers["Retry-After"]) == (503, "2")


def test_update_of_what_matches(api: Client, engine: Engines) -> None:
    path = "/Patient?identifier=urn:s|update"
    engine(EMPTY)
    made = api.call("PUT", path, PATIENT)
    assert (made.status, made.headers["ETag"]) == (201, 'W/"1"')
    assert made.headers["Location"] == f"{BASE}/Patient/{made.body['id']}/_history/1"
    # Sent again before the index shows it.
    engine(EMPTY)
    again = api.call("PUT", path, PATIENT)
    assert (again.status, again.body["id"], again.headers["ETag"]) == (
        200, made.body["id"], 'W/"2"',
    )  # fmt: skip
    engine(matching(again.body), matching(again.body))
    ours = api.call("PUT", path, again.body | {"active": True}, {"If-Match": 'W/"2"'})
    assert (ours.status, ours.headers["ETag"]) == (200, 'W/"3"')
    engine(matching(ours.body))
    assert api.call("PUT", path, PATIENT, {"If-Match": 'W/"2"'}).status == 412
    engine(matching(ours.body))
    other = api.call("PUT", path, PATIENT | {"id": "other"})
    assert (other.status, other.body["issue"][0]["expression"]) == (400, ["Patient.id"])
    engine(EMPTY)
    assert api.call("PUT", path, PATIENT, {"If-Match": 'W/"1"'}).status == 412


def test_ids_of_clients_by_configuration(
    api: Client, engine: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = PATIENT | {"id": "mine-1"}
    assert api.call("PUT", "/Patient/mine-1", mine).status == 405
    engine(EMPTY)
    assert api.call("PUT", "/Patient?identifier=urn:s|mine", mine).status == 405
    monkeypatch.setenv("UPDATE_CREATE", "true")
    assert api.call("PUT", "/Patient/mine-1", mine, {"If-Match": 'W/"1"'}).status == 412
    made = api.call("PUT", "/Patient/mine-1", mine)
    assert (made.status, made.headers["ETag"]) == (201, 'W/"1"')
    assert api.call("PUT", "/Patient/mine-1", mine).headers["ETag"] == 'W/"2"'
    engine(EMPTY)
    made = api.call("PUT", "/Patient?identifier=urn:s|mine", PATIENT | {"id": "mine-2"})
    assert (made.status, made.body["id"]) == (201, "mine-2")
    engine(EMPTY)
    assert api.call("PUT", "/Patient?name=x", PATIENT | {"id": "a/b"}).status == 400


def test_deletion_of_what_matches(api: Client, engine: Engines) -> None:
    made = api.make(PATIENT)
    engine(matching(made, api.make(PATIENT)))
    assert api.call("DELETE", "/Patient?identifier=urn:s|1").status == 412
    engine(matching(made))
    gone = api.call("DELETE", "/Patient?identifier=urn:s|1")
    assert (gone.status, gone.headers["ETag"]) == (204, 'W/"2"')
    assert api.get(f"/Patient/{made['id']}").status == 410
    engine(EMPTY)
    preferred = {"Prefer": "return=OperationOutcome"}
    nothing = api.call("DELETE", "/Patient?identifier=urn:s|1", headers=preferred)
    assert (nothing.status, nothing.body["resourceType"]) == (200, "OperationOutcome")


def test_patch_of_what_matches(api: Client, engine: Engines) -> None:
    made = api.make(PATIENT)
    operations = json.dumps([{"op": "add", "path": "/active", "value": True}])
    sent = {"Content-Type": JSON_PATCH}
    engine(matching(made))
    reply = api.call("PATCH", "/Patient?identifier=urn:s|1", operations, sent)
    assert (reply.status, reply.body["active"]) == (200, True)
    engine(EMPTY)
    assert api.call("PATCH", "/Patient?identifier=urn:s|1", operations, sent).status == 404


@pytest.mark.parametrize(
    "query", ["", "_count=1", "shoe-size=46", "identifier=", "identifier=,", "_include=*", "%FF=1"]
)
def test_criteria_that_leave_open_what_is_meant(api: Client, engine: Engines, query: str) -> None:
    engine()
    for reply in (
        api.call("POST", "/Patient", PATIENT, {"If-None-Exist": query}),
        api.call("DELETE", f"/Patient?{query}"),
        api.call("PUT", f"/Patient?{query}", PATIENT),
    ):
        assert reply.status == 400, reply.text


def test_those_who_may_not_search_may_not_ask_by_writing(
    client: Callable[..., Client], engine: Engines
) -> None:
    engine()
    owner = client("data-owner")
    assert owner.call("DELETE", "/Patient?identifier=1").status == 403
    asked = {"If-None-Exist": "subject:Patient.name=x"}
    dataset = {"resourceType": "DocumentReference", "status": "current"}
    dataset |= {"content": [{"attachment": {"title": "volumes"}}]}
    assert owner.call("POST", "/DocumentReference", dataset, asked).status == 403
    assert client().call("DELETE", "/Binary?_id=1").status == 405


def test_the_query_is_the_users(client: Callable[..., Client], engine: Engines) -> None:
    asked: list[Asked] = []

    def answer(question: Asked) -> tuple[int, Any]:
        asked.append(question)
        return EMPTY  # type: ignore[return-value]

    engine(answer)
    client("data-owner", subject="me").call("DELETE", "/Consent?status=active")
    assert {"term": {"owner": "me"}} in asked[0].body["query"]["bool"]["filter"]
