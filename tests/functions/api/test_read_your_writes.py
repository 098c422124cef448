"""A search with the token of a write waits for the index, but not for ever."""

from collections.abc import Callable

import pytest

from functions.search import freshness
from functions.shared import consistency
from tests.functions.api.conftest import EMPTY, Client
from tests.scripted_engine import Answer, ScriptedEngine

PATIENT = {"resourceType": "Patient"}
TOKEN = "X-Consistency-Token"


def shows(*found: tuple[str, int]) -> Answer:
    hits = [{"_id": pk, "_version": version} for pk, version in found]
    return 200, {"hits": {"hits": hits}}


def test_every_write_answers_with_a_token(api: Client) -> None:
    made = api.call("POST", "/Patient", PATIENT, {"Prefer": "return=minimal"})
    path = f"/Patient/{made.headers['Location'].split('/')[-3]}"
    updated = api.call("PUT", path, PATIENT | {"id": path.split("/")[-1]})
    deleted = api.call("DELETE", path)
    tokens = {reply.headers[TOKEN] for reply in (made, updated, deleted)}
    assert len(tokens) == 3
    assert TOKEN not in api.get(path).headers
    assert TOKEN in made.headers["Access-Control-Expose-Headers"]


def test_a_batch_answers_with_one_token(api: Client) -> None:
    entries = [{"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}}] * 3
    entries += [{"request": {"method": "GET", "url": "Patient/none"}}]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    reply = api.call("POST", "/", bundle)
    locations = [e["response"].get("location", "") for e in reply.body["entry"]]
    written = {"/".join(location.split("/")[-4:-2]): 1 for location in locations if location}
    assert consistency.versions_of(reply.headers[TOKEN]) == written
    assert len(written) == 3


def test_a_search_waits_until_the_index_shows_what_was_written(
    api: Client, engine: Callable[..., ScriptedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(freshness.time, "sleep", pauses.append)
    made = [api.call("POST", "/Patient", PATIENT) for _ in range(2)]
    one, two = (f"Patient/{reply.body['id']}" for reply in made)
    scripted = engine(shows(), shows((one, 0), (two, 4)), shows((one, 1)), EMPTY)
    tokens = ",".join(reply.headers[TOKEN] for reply in made)
    assert api.get("/Patient", X_Consistency_Token=tokens).status == 200
    assert len(pauses) == 2
    terms = [asked.body["query"]["bool"]["filter"][0]["terms"] for asked in scripted.asked[:3]]
    assert terms == [{"pk": [one, two]}, {"pk": [one, two]}, {"pk": [one]}]
    assert len({asked.path for asked in scripted.asked}) == 1, "the same copies of the shards"
    assert "preference=" in scripted.asked[0].path


def test_a_search_does_not_wait_for_ever(
    api: Client, engine: Callable[..., ScriptedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "WAIT_SECONDS", 0.1)
    token = api.call("POST", "/Patient", PATIENT).headers[TOKEN]
    scripted = engine(*[shows()] * 50)
    reply = api.get("/Patient", X_Consistency_Token=token)
    assert (reply.status, reply.code) == (503, "transient")
    assert reply.headers["Retry-After"]
    assert len(scripted.script) > 40


def test_a_forged_token_asks_nothing(api: Client, engine: Callable[..., ScriptedEngine]) -> None:
    scripted = engine()
    assert api.get("/Patient", X_Consistency_Token="AAAA").status == 400
    assert not scripted.asked
