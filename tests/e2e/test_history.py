"""History through the gateway: of a resource, of a type, of the system."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.e2e.fhir import PATIENT, outcome


def pages(api: Any, path: str) -> Iterator[dict[str, Any]]:
    answer = api.get(path)
    while True:
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        assert bundle["type"] == "history"
        yield bundle
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not following:
            return
        answer = api.absolute(following[0])


def listed(api: Any, path: str) -> list[tuple[str, str, str]]:
    """(method, type and id, ETag) of each entry."""
    return [
        (
            entry["request"]["method"],
            "/".join(entry["fullUrl"].split("/")[-2:]),
            entry["response"]["etag"],
        )
        for bundle in pages(api, path)
        for entry in bundle.get("entry", [])
    ]


def test_history_at_every_level(
    client: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    api = client("practitioner")
    made = api.post("/Patient", json=PATIENT).json()
    name = f"Patient/{made['id']}"
    assert api.put(f"/{name}", json=made | {"active": True}).status_code == 200
    assert api.delete(f"/{name}").status_code == 204
    life = [("DELETE", name, 'W/"3"'), ("PUT", name, 'W/"2"'), ("POST", name, 'W/"1"')]
    assert listed(api, f"/{name}/_history") == life
    assert listed(api, f"/{name}/_history?_count=1") == life
    since = made["meta"]["lastUpdated"]
    for level in (f"/Patient/_history?_since={since}", f"/_history?_since={since}&_type=Patient"):
        eventually(lambda level=level: life == [e for e in listed(api, level) if e[1] == name])
        assert life == [e for e in listed(api, f"{level}&_count=1") if e[1] == name]
    assert life[-1:] == [e for e in listed(api, f"/Patient/_history?_at={since}") if e[1] == name]
    head = api.head(f"/{name}/_history")
    assert (head.status_code, head.content) == (200, b"")
    outcome(api.get("/Patient/unknown/_history"), 404)
    outcome(api.get(f"/{name}/_history?_since=yesterday"), 400)


def test_a_history_shows_what_a_read_would(
    client: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    owner, other = client("data-owner"), client("practitioner")
    dataset = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/csv"}}],
    }
    made = owner.post("/DocumentReference", json=dataset).json()
    name, since = f"DocumentReference/{made['id']}", made["meta"]["lastUpdated"]
    path = f"/DocumentReference/_history?_since={since}"
    eventually(lambda: ("POST", name, 'W/"1"') in listed(owner, path))
    assert ("POST", name, 'W/"1"') in listed(owner, f"/_history?_since={since}")
    assert listed(other, path) == []
    assert len(listed(client("admin"), path)) >= 1
    outcome(other.get(f"/{name}/_history"), 403)
    outcome(client("auditor").get("/Patient/_history"), 403)
