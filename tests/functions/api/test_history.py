"""History: every version once, in order, on as many pages as it takes, to those who may see it."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.api import history
from functions.shared import changes, clients, items, store
from functions.shared.items import Version
from functions.shared.resources import parse
from functions.shared.validation import validate
from tests.functions.api.conftest import BASE, Client

BASIC = {"resourceType": "Basic", "code": {"text": "x"}}


def pages(api: Client, path: str) -> Iterator[dict[str, Any]]:
    while path:
        reply = api.get(path)
        assert reply.status == 200, reply.text
        validate(parse(reply.text.encode()))
        yield reply.body
        links = {link["relation"]: link["url"] for link in reply.body["link"]}
        path = links.get("next", "").removeprefix(BASE)


def entries(api: Client, path: str) -> list[dict[str, Any]]:
    return [entry for page in pages(api, path) for entry in page.get("entry", [])]


def listed(api: Client, path: str) -> list[str]:
    """`Basic/1 2` for version 2."""
    return [
        f"{entry['fullUrl'].removeprefix(BASE)[1:]} {entry['response']['etag'][3:-1]}"
        for entry in entries(api, path)
    ]


@pytest.fixture
def life(api: Client) -> str:
    """The path of a resource with three versions, of which the last one is its deletion."""
    made = api.make(BASIC)
    path = f"/Basic/{made['id']}"
    assert api.call("PUT", path, made | {"code": {"text": "y"}}).status == 200
    assert api.call("DELETE", path).status == 204
    return path


def test_a_resources_history_tells_its_life(api: Client, life: str) -> None:
    [bundle] = pages(api, f"{life}/_history")
    assert (bundle["type"], bundle["link"][0]["url"]) == ("history", f"{BASE}{life}/_history")
    deleted, updated, created = bundle["entry"]
    assert deleted["request"] == {"method": "DELETE", "url": life[1:]}
    assert "resource" not in deleted
    assert updated["request"] == {"method": "PUT", "url": life[1:]}
    assert updated["resource"]["code"]["text"] == "y"
    assert created["request"] == {"method": "POST", "url": "Basic"}
    assert created["response"] == {
        "status": "201",
        "etag": 'W/"1"',
        "lastModified": created["resource"]["meta"]["lastUpdated"],
    }
    assert {entry["fullUrl"] for entry in bundle["entry"]} == {BASE + life}
    assert api.get("/Basic/unknown/_history").status == 404


def test_pages_show_every_version_once(api: Client, life: str) -> None:
    for level in (f"{life}/_history", "/Basic/_history", "/_history?_type=Basic"):
        whole = listed(api, level)
        assert [line for line in whole if line.startswith(life[1:])] == [
            f"{life[1:]} {number}" for number in (3, 2, 1)
        ]
        joint = "&" if "?" in level else "?"
        assert listed(api, f"{level}{joint}_count=2") == whole
        assert listed(api, f"{level}{joint}_count=1") == whole
        assert listed(api, f"{level}{joint}_count=0") == []


def store_versions(pk: str, *instants: str, owner: str = "subject-1") -> None:
    """Versions written at those instants."""
    kind, _, name = pk.partition("/")
    for number, instant in enumerate(instants, 1):
        meta = f'{{"versionId":"{number}","lastUpdated":"{instant}"}}'
        body = f'{{"resourceType":"{kind}","id":"{name}","meta":{meta},"code":{{"text":"x"}}}}'
        version = Version(pk, number, body.encode(), owner, instant)
        store.append(version) if number > 1 else store.create(version)


def test_versions_of_one_instant_keep_one_order(api: Client) -> None:
    """A transaction writes many at once; the index leaves their order open."""
    for number in range(30):
        store_versions(f"Linkage/{number}", "2020-01-01T00:00:00.000Z")
    seen, path = [], "/Linkage/_history?_count=7"
    while path:
        bundle = api.get(path).body
        seen += [entry["fullUrl"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        path = links.get("next", "").removeprefix(BASE)
    assert len(seen) == len(set(seen)) == 30


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_since=2021-01-01T00:00:00.000Z", ["a 3", "b 2", "a 2"]),
        ("_since=2021-01-01T01:00:00.000%2B01:00", ["a 3", "b 2", "a 2"]),
        ("_since=2021-01-01T00:00:00.001Z", ["a 3", "b 2"]),
        ("_at=2021-06", ["a 2", "b 1"]),
        ("_at=2022", ["a 3", "b 2", "a 2", "b 1"]),
        ("_at=2019", []),
        ("_at=2021-01-01T00:00:00.000Z", ["a 2", "b 1"]),
        ("_at=2021-06&_since=2021", ["a 2"]),
        ("_since=2030", []),
    ],
)
def test_a_period_is_kept_to(api: Client, query: str, expected: list[str]) -> None:
    if api.get("/Basic/a/_history").status == 404:
        store_versions(
            "Basic/a",
            "2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z", "2022-06-01T00:00:00.000Z",
        )  # fmt: skip
        store_versions("Basic/b", "2020-06-01T00:00:00.000Z", "2022-03-01T00:00:00.000Z")
    for joint in ("", "&_count=1"):
        found = listed(api, f"/Basic/_history?{query}{joint}")
        assert [line[6:] for line in found if line[6:8] in ("a ", "b ")] == expected
        for name in "ab":
            own = [f"Basic/{line}" for line in expected if line[0] == name]
            assert listed(api, f"/Basic/{name}/_history?{query}{joint}") == own


def test_a_history_shows_what_a_read_would(
    client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = client("data-owner", subject="owner"), client("practitioner", subject="other")
    content = {"content": [{"attachment": {"title": "volumes"}}]}
    dataset = {"resourceType": "DocumentReference", "status": "current", **content}
    owner.make(dataset)
    path = f"/DocumentReference/{owner.make(dataset)['id']}/_history"
    assert len(listed(owner, path)) == 1
    assert len(listed(client("admin", subject="admin"), path)) == 1
    assert (other.get(path).status, other.get(path).code) == (403, "forbidden")
    assert len(listed(owner, "/DocumentReference/_history")) == 2
    assert listed(other, "/DocumentReference/_history") == []
    # One who may see none of many gets there page by page.
    monkeypatch.setattr(history, "MAX_SCANNED", 1)
    assert len(list(pages(other, "/DocumentReference/_history"))) == 3
    assert len(listed(owner, "/DocumentReference/_history")) == 2
    auditor = client("auditor")
    for refused in ("/Patient/1/_history", "/Patient/_history", "/_history"):
        assert auditor.get(refused).status == 403
    assert owner.get("/_history?_type=Patient").status == 403
    assert {line.partition("/")[0] for line in listed(owner, "/_history")} == {"DocumentReference"}


def test_a_page_never_exceeds_what_lambda_can_answer(api: Client) -> None:
    made = api.make(BASIC)
    path = f"/Basic/{made['id']}"
    for _ in range(3):
        noise = os.urandom(1_000_000).hex()
        assert api.call("PUT", path, made | {"code": {"text": noise}}).status == 200
    whole = list(pages(api, f"{path}/_history"))
    assert [len(page["entry"]) for page in whole] == [2, 2]


@pytest.mark.parametrize(
    "query",
    [
        "_count=-1", "_count=x", "_since=yesterday", "_at=2021-13",
        "_since=0001-01-01T00:00%2B14:00", "_type=Nonsense", "_cursor=x",
        "_cursor=WzEsMiwzXQ", "_cursor=%C3%A9",
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_the_clients_error(api: Client, query: str) -> None:
    assert api.get(f"/_history?{query}").status == 400


def test_unknown_parameters(api: Client, life: str) -> None:
    [bundle] = pages(api, f"{life}/_history?_count=5&shoe-size=46")
    assert bundle["link"][0]["url"] == f"{BASE}{life}/_history?_count=5"
    strict = {"Prefer": "handling=strict"}
    reply = api.call("GET", f"{life}/_history?shoe-size=46", headers=strict)
    assert reply.status == 400


def test_an_answer_is_laid_out_on_request(api: Client, life: str) -> None:
    reply = api.get(f"{life}/_history?_pretty=true")
    assert reply.text.startswith('{\n  "resourceType": "Bundle",\n')
    assert reply.body["entry"] == api.get(f"{life}/_history").body["entry"]


def damage(pk: str, number: int, **changed: Any) -> None:
    """Replaces attributes of a stored version."""
    clients.dynamodb().update_item(
        TableName=os.environ["TABLE_NAME"],
        Key=items.key_of(pk, number),
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in changed),
        ExpressionAttributeValues={f":{name}": value for name, value in changed.items()},
    )


@pytest.mark.parametrize("changed", [{"body": {"B": b"noise"}}, {"overflow": {"S": "gone"}}])
def test_a_damaged_version_is_named_among_its_neighbours(
    api: Client, changed: dict[str, Any]
) -> None:
    made = api.make(BASIC)
    path = f"/Basic/{made['id']}"
    for text in "yz":
        assert api.call("PUT", path, made | {"code": {"text": text}}).status == 200
    damage(path[1:], 2, **changed)
    for level in (f"{path}/_history", "/Basic/_history?_count=100"):
        newest, damaged, oldest = [e for e in entries(api, level) if e["fullUrl"] == BASE + path]
        assert (newest["resource"]["code"]["text"], oldest["resource"]) == ("z", made)
        assert "resource" not in damaged
        assert (damaged["request"]["method"], damaged["response"]["etag"]) == ("PUT", 'W/"2"')
        [issue] = damaged["response"]["outcome"]["issue"]
        assert issue["diagnostics"] == f"Version 2 of '{path[1:]}' is damaged."
    alone = api.get(f"{path}/_history/2")
    assert (alone.status, alone.body["issue"]) == (500, [issue])


def test_a_damaged_resource_can_be_replaced(api: Client) -> None:
    made = api.make(BASIC)
    path = f"/Basic/{made['id']}"
    damage(path[1:], 1, body={"B": b"noise"})
    assert api.get(path).status == 500
    assert api.call("PUT", path, made).status == 200
    assert api.get(path).status == 200


def test_the_systems_history_asks_only_for_types_that_there_are(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[frozenset[str]] = []
    newest_first = changes.newest_first

    def noting(types: frozenset[str], **how: Any) -> Iterator[changes.Change]:
        asked.append(types)
        return newest_first(types, **how)

    monkeypatch.setattr(changes, "newest_first", noting)
    api.make(BASIC)
    request = {"method": "POST", "url": "Patient"}
    entry = {"resource": {"resourceType": "Patient"}, "request": request}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert api.call("POST", "/", bundle).status == 200
    bundle = api.get("/_history?_count=1000").body
    kinds = {entry["request"]["url"].partition("/")[0] for entry in bundle["entry"]}
    assert {"Basic", "Patient"} <= kinds <= asked[0]
    assert "Observation" not in asked[0]
