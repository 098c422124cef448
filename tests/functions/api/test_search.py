"""Searches through the handler: bundles, pages, totals, ownership, and an engine that is away."""

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from functions.shared import clients, items
from functions.shared.access import FINANCIAL_TYPES, PRIVATE_TYPES
from functions.shared.resources import RESOURCE_TYPES
from tests.functions.api.conftest import BASE, EMPTY, Client
from tests.scripted_engine import Asked, ScriptedEngine, refusal

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt"}]}


def hits(*resources: dict[str, Any], total: int | None = None) -> Callable[[Asked], Any]:
    """What the engine answers when these are all that match, in this order."""

    def answer(asked: Asked) -> tuple[int, Any]:
        after = asked.body.get("search_after")
        found = [
            {
                "_id": f"{r['resourceType']}/{r['id']}",
                "_version": int(r["meta"]["versionId"]),
                "sort": [f"{r['resourceType']}/{r['id']}"],
            }
            for r in resources
        ]
        if after:
            place = [hit["sort"] for hit in found].index(after)
            found = found[place + 1 :]
        content: dict[str, Any] = {"hits": found[: asked.body["size"]]}
        if asked.body["track_total_hits"]:
            content["total"] = {"value": len(resources) if total is None else total}
        return 200, {"hits": content}

    return answer


def links(bundle: dict[str, Any]) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


def ids(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


def test_a_bundle_has_the_resources_as_they_were_stored(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    made = api.call("POST", "/Patient", PATIENT)
    scripted = engine(hits(made.body))

    reply = api.get("/Patient?name=schm,x&shoe-size=46&_count=5")

    bundle = reply.body
    assert reply.status == 200
    assert (bundle["type"], "total" in bundle) == ("searchset", False)
    assert links(bundle) == {"self": f"{BASE}/Patient?name=schm,x&_count=5"}
    (entry,) = bundle["entry"]
    assert entry["fullUrl"] == f"{BASE}/Patient/{made.body['id']}"
    assert entry["search"] == {"mode": "match"}
    assert made.text in reply.text
    (asked,) = scripted.asked
    assert (asked.body["size"], asked.body["_source"]) == (6, False)


def test_pages_lead_to_the_end_and_show_everything_once(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    patients = [api.make(PATIENT) for _ in range(5)]
    scripted = engine(*[hits(*patients)] * 3)
    seen, url = [], f"{BASE}/Patient?name=schm&_count=2"
    while url:
        bundle = api.get(url.removeprefix(BASE)).body
        seen.append(ids(bundle))
        url = links(bundle).get("next", "")
    assert seen == [[p["id"] for p in patients[start : start + 2]] for start in (0, 2, 4)]
    assert "search_after" not in scripted.asked[0].body
    assert [asked.body["size"] for asked in scripted.asked] == [3, 3, 3]


def test_a_page_never_exceeds_what_lambda_can_answer(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    large = [api.make(PATIENT | {"name": [{"text": "x" * 2_500_000}]}) for _ in range(3)]
    quoted = api.make(PATIENT | {"name": [{"text": '"' * 1_250_000}]})
    engine(*[hits(*large, quoted)] * 4)
    pages, url = [], "/Patient"
    while url:
        reply = api.get(url)
        assert len(reply.text) + reply.text.count('"') + reply.text.count("\\") < 6_000_000
        pages.append(len(ids(reply.body)))
        url = links(reply.body).get("next", "").removeprefix(BASE)
    assert pages == [2, 1, 1]


def test_a_damaged_version_is_named_among_the_matches(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    made = [api.make(PATIENT) for _ in range(3)]
    clients.dynamodb().update_item(
        TableName=os.environ["TABLE_NAME"],
        Key=items.key_of(f"Patient/{made[1]['id']}", 1),
        UpdateExpression="SET body = :noise",
        ExpressionAttributeValues={":noise": {"B": b"noise"}},
    )
    engine(*[hits(*made)] * 2, EMPTY)
    for query in ("", "?_include=*"):
        first, damaged, last = api.get(f"/Patient{query}").body["entry"]
        assert (first["resource"], last["resource"]) == (made[0], made[2])
        assert damaged["search"] == {"mode": "outcome"}
        [issue] = damaged["resource"]["issue"]
        assert issue["diagnostics"] == f"Version 1 of 'Patient/{made[1]['id']}' is damaged."


def test_totals_only_as_asked(api: Client, engine: Callable[..., ScriptedEngine]) -> None:
    patient = api.make(PATIENT)
    scripted = engine(*[hits(patient, total=7)] * 5)
    assert "total" not in api.get("/Patient?_total=none").body
    assert api.get("/Patient?_total=accurate").body["total"] == 7
    assert api.get("/Patient?_total=estimate").body["total"] == 7
    for query in ("_summary=count", "_count=0"):
        bundle = api.get(f"/Patient?{query}").body
        assert bundle["total"] == 7
        assert "entry" not in bundle
        assert links(bundle).keys() == {"self"}
    limits = [asked.body["track_total_hits"] for asked in scripted.asked]
    assert limits == [False, True, 100_000, True, True]


def test_what_was_erased_since_it_was_indexed_is_passed_over(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    erased = {"resourceType": "Patient", "id": "erased", "meta": {"versionId": "1"}}
    patient = api.make(PATIENT)
    engine(*[hits(erased, patient)] * 2)
    first = api.get("/Patient?_count=1").body
    assert ids(first) == []
    assert ids(api.get(links(first)["next"].removeprefix(BASE)).body) == [patient["id"]]


def test_parameters_may_be_posted(api: Client, engine: Callable[..., ScriptedEngine]) -> None:
    patient = api.make(PATIENT)
    scripted = engine(hits(patient), hits(patient))
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    reply = api.call("POST", "/Patient/_search?_count=3", "name=Jos%C3%A9+M&gender=", form)
    assert links(reply.body)["self"] == f"{BASE}/Patient?_count=3&name=Jos%C3%A9%20M"
    assert scripted.asked[0].body["query"]["bool"]["filter"][2] == {
        "prefix": {"string.name": {"value": "jose m"}}
    }
    assert api.call("POST", "/Patient/_search", None, form).status == 200
    for body in ("name=%FF", "&".join(["name=x"] * 1_001)):
        assert api.call("POST", "/Patient/_search", body, form).status == 400


def filters(asked: Asked) -> list[dict[str, Any]]:
    return asked.body["query"]["bool"]["filter"]


OWN = {"term": {"owner": "subject-1"}}
NOT_PRIVATE = {"bool": {"must_not": [{"terms": {"type": sorted(PRIVATE_TYPES)}}]}}


@pytest.mark.parametrize(
    ("group", "path", "types", "restriction"),
    [
        ("practitioner", "/Patient", ["Patient"], []),
        ("practitioner", "/Binary", ["Binary"], [OWN]),
        ("data-owner", "/", sorted(PRIVATE_TYPES), [OWN]),
        (
            "practitioner",
            "/",
            sorted(RESOURCE_TYPES),
            [{"bool": {"should": [NOT_PRIVATE, OWN]}}],
        ),
        ("non-practitioner", "/", sorted(FINANCIAL_TYPES), []),
        ("admin", "/Consent", ["Consent"], []),
        ("admin", "/", sorted(RESOURCE_TYPES), []),
    ],
)
def test_the_query_itself_leaves_out_what_the_user_may_not_see(
    client: Callable[..., Client],
    engine: Callable[..., ScriptedEngine],
    group: str,
    path: str,
    types: list[str],
    restriction: list[dict[str, Any]],
) -> None:
    scripted = engine(EMPTY)
    assert client(group).get(path).status == 200
    assert filters(scripted.asked[0]) == [
        {"term": {"deleted": False}},
        {"terms": {"type": types}},
        *restriction,
    ]


def test_a_search_of_several_types(
    client: Callable[..., Client], engine: Callable[..., ScriptedEngine]
) -> None:
    scripted = engine(EMPTY, EMPTY)
    api = client()
    bundle = api.get("/?_type=Patient,Practitioner&family=x&_count=2").body
    assert links(bundle)["self"] == f"{BASE}/?_type=Patient,Practitioner&family=x&_count=2"
    assert filters(scripted.asked[0])[1] == {"terms": {"type": ["Patient", "Practitioner"]}}
    strict = {"Prefer": "handling=strict"}
    assert api.call("GET", "/?_type=Patient,Basic&family=x", headers=strict).status == 400
    assert api.get("/?_type=Nonsense").status == 400
    assert client("auditor").get("/?_type=Patient,Observation").status == 403
    assert client("nobody").get("/").status == 403


@pytest.mark.parametrize(
    ("answer", "query", "status", "code"),
    [
        (urllib3.exceptions.ConnectTimeoutError(), "", 503, "transient"),
        ((503, {}), "", 503, "transient"),
        ((200, {"timed_out": True}), "", 503, "transient"),
        (refusal("index_not_found_exception", 404), "", 503, "transient"),
        (refusal("too_many_nested_clauses", 500), "", 422, "too-costly"),
        (refusal("query_shard_exception"), "", 422, "too-costly"),
    ],
)
def test_what_the_engine_cannot_do_is_said(
    api: Client,
    engine: Callable[..., ScriptedEngine],
    answer: Any,
    query: str,
    status: int,
    code: str,
) -> None:
    engine(answer)
    reply = api.get(f"/Patient?{query}")
    assert (reply.status, reply.code) == (status, code)
    assert ("Retry-After" in reply.headers) == (status == 503)


def test_a_cursor_that_the_engine_refuses_is_the_clients_error(
    api: Client, engine: Callable[..., ScriptedEngine]
) -> None:
    patients = [api.make(PATIENT) for _ in range(2)]
    engine(hits(*patients), refusal("illegal_argument_exception"))
    following = links(api.get("/Patient?_count=1").body)["next"].removeprefix(BASE)
    assert api.get(following).status == 400
    cursor = parse_qs(urlsplit(following).query)["_cursor"][0]
    assert api.get(f"/Patient?name=other&_cursor={cursor}").status == 400
