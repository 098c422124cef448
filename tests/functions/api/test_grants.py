"""Consents that share a dataset: who may write which, and what they open and close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.api.conftest import EMPTY, Client, Reply
from tests.scripted_engine import ScriptedEngine

Sign = Callable[..., Client]

DATASET = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [{"attachment": {"contentType": "text/csv"}}],
}
CODES = "http://terminology.hl7.org/CodeSystem/"
READER = ("Practitioner", "reader")


def consent(
    dataset: str, actor: tuple[str, str] = READER, status: str = "active", **provision: Any
) -> dict[str, Any]:
    kind, name = actor
    return {
        "resourceType": "Consent",
        "status": status,
        "scope": {"coding": [{"system": f"{CODES}consentscope", "code": "research"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "57016-8"}]}],
        "policyRule": {"coding": [{"system": f"{CODES}v3-ActCode", "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "period": {"start": "2020-01-01", "end": "2999-12-31"},
            "actor": [
                {
                    "role": {"coding": [{"code": "IRCP"}]},
                    "reference": {"type": kind, "identifier": {"value": name}},
                }
            ],
            "purpose": [{"system": f"{CODES}v3-ActReason", "code": "HRESCH"}],
            "data": [
                {
                    "meaning": "instance",
                    "reference": {"reference": f"DocumentReference/{dataset}"},
                }
            ],
            **provision,
        },
    }


@pytest.fixture
def owner(client: Sign) -> Client:
    return client("data-owner", subject="owner")


@pytest.fixture
def reader(client: Sign) -> Client:
    return client("practitioner", subject="reader")


@pytest.fixture
def dataset(owner: Client) -> str:
    return owner.make(DATASET)["id"]


def share(owner: Client, dataset: str, **changed: Any) -> dict[str, Any]:
    return owner.make(consent(dataset, **changed))


def change(user: Client, made: dict[str, Any], **members: Any) -> Reply:
    return user.call("PUT", f"/Consent/{made['id']}", made | members)


def sees(user: Client, dataset: str) -> bool:
    status = user.get(f"/DocumentReference/{dataset}").status
    assert status in (200, 403)
    return status == 200


@pytest.mark.parametrize(
    ("actor", "group"),
    [
        (("Practitioner", "reader"), "practitioner"),
        (("Group", "challenge-host"), "challenge-host"),
        (("Organization", "42"), "challenge-42"),
    ],
)
def test_whoever_is_named_reads_and_nobody_else(
    client: Sign, owner: Client, dataset: str, actor: tuple[str, str], group: str
) -> None:
    named = client("data-owner", group, subject="reader")
    other = client("data-owner", "challenge-43", subject="other")
    assert not sees(named, dataset)
    share(owner, dataset, actor=actor)
    assert sees(named, dataset)
    assert named.get(f"/DocumentReference/{dataset}/_history/1").status == 200
    assert not sees(other, dataset)
    made = named.get(f"/DocumentReference/{dataset}").body
    for method in ("PUT", "DELETE"):
        assert named.call(method, f"/DocumentReference/{dataset}", made).status == 403


@pytest.mark.parametrize(
    "period",
    [
        {"start": "2020-01-01", "end": "2020-12-31"},
        {"start": "2999-01-01", "end": "2999-12-31"},
    ],
)
def test_outside_its_period_a_grant_gives_nothing(
    owner: Client, reader: Client, dataset: str, period: dict[str, str]
) -> None:
    made = share(owner, dataset, period=period)
    assert not sees(reader, dataset)
    assert reader.get(f"/Consent/{made['id']}").status == 200


def test_a_grant_ends_with_the_write_that_ends_it(
    owner: Client, reader: Client, dataset: str
) -> None:
    made = share(owner, dataset)
    assert sees(reader, dataset)
    assert change(owner, made, status="inactive").status == 200
    assert not sees(reader, dataset)
    again = share(owner, dataset)
    assert sees(reader, dataset)
    assert owner.call("DELETE", f"/Consent/{again['id']}").status == 204
    assert not sees(reader, dataset)


def test_a_withdrawn_dataset_is_its_owners_alone_until_it_is_back(
    owner: Client, reader: Client, dataset: str
) -> None:
    share(owner, dataset)
    path = f"/DocumentReference/{dataset}"
    made = owner.get(path).body
    assert owner.call("PUT", path, made | {"status": "superseded"}).status == 200
    assert not sees(reader, dataset)
    assert sees(owner, dataset)
    assert owner.call("PUT", path, made).status == 200
    assert sees(reader, dataset)
    assert owner.call("DELETE", path).status == 204
    assert reader.get(path).status == 403


def test_a_request_is_answered_by_the_owner(owner: Client, reader: Client, dataset: str) -> None:
    asked = reader.make(consent(dataset, status="proposed"))
    path = f"/Consent/{asked['id']}"
    assert not sees(reader, dataset)
    assert change(reader, asked, status="active").status == 403
    assert owner.get(path).status == 200
    assert change(owner, asked, status="rejected").status == 422, "why?"
    why = [{"url": "urn:ai4h:consent:reason", "valueString": "Say more of your study."}]
    assert change(owner, asked, status="rejected", extension=why).status == 200
    assert reader.get(path).body["extension"] == why
    assert not sees(reader, dataset)
    assert change(owner, asked).status == 200
    assert change(owner, asked, status="active").status == 200
    assert sees(reader, dataset)


def test_nobody_grants_what_is_somebody_elses(
    client: Sign, owner: Client, reader: Client, dataset: str
) -> None:
    forged = reader.call("POST", "/Consent", consent(dataset))
    unknown = reader.call("POST", "/Consent", consent("no-such-dataset"))
    assert (forged.status, forged.text) == (403, unknown.text)
    for whom in (("Practitioner", "other"), ("Group", "admin"), ("Organization", "42")):
        asked = reader.call("POST", "/Consent", consent(dataset, whom, "proposed"))
        assert asked.status == 403
    entry = {"request": {"method": "POST", "url": "Consent"}, "resource": consent(dataset)}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert reader.call("POST", "/", bundle).status == 403
    # A request for a dataset that there isn't stays with whoever asks, and opens nothing later.
    guess = reader.make(consent("no-such-dataset", status="proposed"))
    assert change(reader, guess, status="active").status == 403
    assert not sees(reader, dataset)
    made = client("admin", subject="boss").make(consent(dataset))
    assert sees(reader, dataset)
    assert owner.get(f"/Consent/{made['id']}").status == 200


@pytest.mark.parametrize(
    "provision",
    [
        {"type": "deny"},
        {"period": {"start": "2026-01-01"}},
        {"period": {"start": "2026-01-02", "end": "2026-01-01"}},
        {"purpose": []},
        {"actor": []},
        {"action": [{"text": "access"}]},
        {"provision": [{"type": "deny"}]},
        {"purpose": [{"code": "x" * 129}]},
    ],
)
def test_what_would_not_be_enforced_is_refused(
    owner: Client, dataset: str, provision: dict[str, Any]
) -> None:
    refused = consent(dataset)
    refused["provision"] = {k: v for k, v in (refused["provision"] | provision).items() if v}
    reply = owner.call("POST", "/Consent", refused)
    assert reply.status == 422
    assert "Consent.provision" in reply.body["issue"][0]["expression"][0]


def test_an_unknown_status_shares_nothing(owner: Client, dataset: str) -> None:
    unknown = {"extension": [{"url": "urn:x", "valueString": "unknown"}]}
    for members in ({"status": "draft"}, {"_status": unknown}):
        body = {k: v for k, v in consent(dataset).items() if k != "status"} | members
        assert owner.call("POST", "/Consent", body).status in (400, 422)
    document = {k: v for k, v in DATASET.items() if k != "status"} | {"_status": unknown}
    made = owner.make(DATASET)
    path = f"/DocumentReference/{made['id']}"
    assert owner.call("PUT", path, document | {"id": made["id"]}).status in (200, 400, 422)


def test_dataset_and_grantee_of_a_consent_stay(owner: Client, reader: Client, dataset: str) -> None:
    made = share(owner, dataset)
    for other in (consent(owner.make(DATASET)["id"]), consent(dataset, ("Group", "auditor"))):
        assert change(owner, made, provision=other["provision"]).status == 422
    assert sees(reader, dataset)


def test_what_is_shared_is_found_and_is_nothing_that_a_write_by_criteria_means(
    client: Sign, owner: Client, dataset: str, engine: Callable[..., ScriptedEngine]
) -> None:
    finder = client("practitioner", subject="finder")
    made = share(owner, dataset, actor=("Practitioner", "finder"))
    own = {"term": {"owner": "finder"}}
    scripted = engine(EMPTY, EMPTY)
    assert finder.get("/DocumentReference").status == 200
    assert finder.call("DELETE", "/DocumentReference?description=x").status == 204
    [searched, meant] = [asked.body["query"]["bool"]["filter"] for asked in scripted.asked]
    files = {"bool": {"filter": [{"term": {"type": "Binary"}}, {"terms": {"dataset": [dataset]}}]}}
    keys = {"terms": {"pk": [f"Consent/{made['id']}", f"DocumentReference/{dataset}"]}}
    assert sorted(searched[-1]["bool"]["should"], key=str) == sorted([own, files, keys], key=str)
    assert meant[-1] == own
