"""Includes through the handler: who sees them, and pages that hold all that belongs to them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.api import included
from tests.functions.api.conftest import BASE, Client
from tests.functions.api.test_search import hits, ids, links
from tests.scripted_engine import Answer, Asked, ScriptedEngine

PATIENT = {"resourceType": "Patient"}


def modes(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    return [(e["resource"]["id"], e["search"]["mode"]) for e in bundle.get("entry", [])]


def found(*resources: dict[str, Any]) -> Answer:
    return 200, {
        "hits": {
            "hits": [
                {"_id": f"{r['resourceType']}/{r['id']}", "_version": int(r["meta"]["versionId"])}
                for r in resources
            ]
        }
    }


def observation(patient: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient['id']}"},
    } | more


def test_what_is_included_is_marked_and_there_once(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    organization = api.make({"resourceType": "Organization", "name": "x"})
    managed = {"managingOrganization": {"reference": f"Organization/{organization['id']}"}}
    patient = api.make(PATIENT | managed)
    one, two = (api.make(observation(patient)) for _ in range(2))
    scripted = engine(hits(one, two), found(patient), found(organization), found())
    query = "_include=Observation:subject&_include:iterate=*&_count=5"
    bundle = api.get(f"/Observation?{query}").body
    assert modes(bundle) == [
        (one["id"], "match"),
        (two["id"], "match"),
        (patient["id"], "include"),
        (organization["id"], "include"),
    ]
    assert links(bundle) == {"self": f"{BASE}/Observation?{query}"}
    assert [e["fullUrl"] for e in bundle["entry"][2:]] == [
        f"{BASE}/Patient/{patient['id']}",
        f"{BASE}/Organization/{organization['id']}",
    ]
    first = scripted.asked[1].body["query"]["bool"]["filter"]
    assert {"terms": {"type": ["Patient"]}} in first
    assert len(scripted.asked) == 3, "an organization without references leads nowhere"


def test_what_the_user_may_not_see_is_not_included(
    client: Callable[..., Client], engine: Callable[..., ScriptedEngine]
) -> None:
    patient = client().make(PATIENT)
    scripted = engine(hits(patient))
    reverse = "/Patient?_revinclude=Observation:patient&_revinclude=DocumentReference:subject"
    assert ids(client("auditor").get(reverse).body) == [patient["id"]]
    assert len(scripted.asked) == 1, "an auditor may search neither"
    scripted = engine(hits(patient), found())
    client().get(reverse)
    filters = scripted.asked[1].body["query"]["bool"]["filter"]
    assert filters[1] == {"terms": {"type": ["DocumentReference", "Observation"]}}
    assert {"term": {"owner": "subject-1"}} in filters[-1]["bool"]["should"]


def test_a_page_is_cut_so_that_all_that_belongs_to_it_fits(
    api: Client, engine: Callable[..., ScriptedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    patients = [api.make(PATIENT | {"name": [{"text": "x" * 1_500_000}]}) for _ in range(4)]
    values = [api.make(observation(patient)) for patient in patients]

    def subjects(asked: Asked) -> tuple[int, Any]:
        keys = asked.body["query"]["bool"]["filter"][2]["terms"]["pk"]
        return found(*[p for p in patients if f"Patient/{p['id']}" in keys])  # type: ignore[return-value]

    engine(hits(*values), subjects, subjects, hits(*values), subjects)
    seen, url = [], "/Observation?_include=Observation:subject"
    while url:
        reply = api.get(url)
        assert len(reply.text) + reply.text.count('"') < 6_000_000
        seen.append(modes(reply.body))
        url = links(reply.body).get("next", "").removeprefix(BASE)
    pairs = list(zip(values, patients, strict=True))
    for page, part in zip(seen, (pairs[:2], pairs[2:]), strict=True):
        assert page[:2] == [(value["id"], "match") for value, _ in part]
        assert sorted(page[2:]) == sorted((patient["id"], "include") for _, patient in part)
    monkeypatch.setattr(included, "MAX_INCLUDED", 1)
    engine(hits(patients[0]), found(*values))
    reply = api.get("/Patient?_revinclude=Observation:subject")
    assert (reply.status, reply.code) == (422, "too-costly")
    assert json.loads(reply.text)["resourceType"] == "OperationOutcome"


def test_a_circle_of_references_ends(api: Client, engine: Callable[..., ScriptedEngine]) -> None:
    one = api.make(PATIENT)
    link = {"other": {"reference": f"Patient/{one['id']}"}, "type": "seealso"}
    two = api.make(PATIENT | {"link": [link]})
    back = {"other": {"reference": f"Patient/{two['id']}"}, "type": "seealso"}
    one = api.call("PUT", f"/Patient/{one['id']}", one | {"link": [back]}).body
    scripted = engine(hits(one), found(two), found())
    bundle = api.get("/Patient?_include:iterate=Patient:link").body
    assert modes(bundle) == [(one["id"], "match"), (two["id"], "include")]
    known = scripted.asked[-1].body["query"]["bool"]["filter"][3]["bool"]["must_not"]
    assert set(known[0]["terms"]["pk"]) == {f"Patient/{p['id']}" for p in (one, two)}
