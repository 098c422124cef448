"""A search that sends the token of a write sees it: no polling, at any moment."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.e2e.fhir import outcome

TOKEN = "X-Consistency-Token"


def test_a_search_with_the_token_sees_each_write(client: Callable[..., Any]) -> None:
    api, family = client("practitioner"), f"T{uuid.uuid4().hex}"

    def seen(answer: Any) -> list[dict[str, Any]]:
        headers = {TOKEN: answer.headers[TOKEN]}
        found = api.get(f"/Patient?family={family}", headers=headers)
        assert found.status_code == 200, found.text
        return [entry["resource"] for entry in found.json().get("entry", [])]

    for _ in range(5):
        made = api.post("/Patient", json={"resourceType": "Patient", "name": [{"family": family}]})
        patient = made.json()
        assert seen(made) == [patient]
        patient["gender"] = "other"
        updated = api.put(f"/Patient/{patient['id']}", json=patient)
        assert [found["meta"]["versionId"] for found in seen(updated)] == ["2"]
        assert seen(api.delete(f"/Patient/{patient['id']}")) == []


def test_a_token_costs_no_more_than_a_few_seconds(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    made = api.post("/Patient", json={"resourceType": "Patient"})
    started = time.monotonic()
    assert api.get("/Patient?_count=1", headers={TOKEN: made.headers[TOKEN]}).status_code == 200
    assert time.monotonic() - started < 10
    outcome(api.get("/Patient", headers={TOKEN: "AAAA" + made.headers[TOKEN]}), 400)


def test_writes_of_binary_have_tokens_too(client: Callable[..., Any]) -> None:
    api = client("data-owner")
    made = api.post(
        "/Binary", json={"resourceType": "Binary", "contentType": "text/csv", "data": "YSxiCg=="}
    )
    path = f"/Binary?_id={made.json()['id']}&_summary=count"

    def total(answer: Any) -> int:
        return api.get(path, headers={TOKEN: answer.headers[TOKEN]}).json()["total"]

    assert total(made) == 1
    assert total(api.delete(f"/Binary/{made.json()['id']}")) == 0
