"""An answer is as the client asks for it: Prefer, HEAD, _format, _pretty, parts, $validate."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.fhir import PATIENT, outcome


def test_prefer_return(client: Callable[[str], Any]) -> None:
    api = client("practitioner")
    for preference, kind in (
        ("minimal", None),
        ("representation", "Patient"),
        ("OperationOutcome", "OperationOutcome"),
    ):
        headers = {"Prefer": f"return={preference}"}
        answer = api.post("/Patient", json=PATIENT, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["Location"]
        assert (answer.json()["resourceType"] if answer.content else None) == kind


def test_head_is_get_without_the_body(client: Callable[[str], Any]) -> None:
    api = client("practitioner")
    path = f"/Patient/{api.post('/Patient', json=PATIENT).json()['id']}"
    head, get = api.head(path), api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Last-Modified", "Content-Type"):
        assert head.headers[name] == get.headers[name]


def test_format_and_pretty(client: Callable[[str], Any]) -> None:
    api = client("practitioner")
    path = f"/Patient/{api.post('/Patient', json=PATIENT).json()['id']}"
    plain = api.get(path, headers={"Accept": "application/xml"})
    outcome(plain, 406)
    chosen = api.get(f"{path}?_format=json&_pretty=true", headers={"Accept": "application/xml"})
    assert chosen.status_code == 200, chosen.text
    assert chosen.text == json.dumps(chosen.json(), indent=2, ensure_ascii=False)


@pytest.mark.parametrize(
    ("query", "kept", "left_out"),
    [("_summary=text", "text", "name"), ("_elements=gender", "gender", "name")],
)
def test_summary_and_elements(
    client: Callable[[str], Any], query: str, kept: str, left_out: str
) -> None:
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Jo</div>'}
    api = client("practitioner")
    made = api.post("/Patient", json=PATIENT | {"gender": "male", "text": narrative}).json()
    part = api.get(f"/Patient/{made['id']}?{query}").json()
    assert kept in part
    assert left_out not in part
    assert any(tag["code"] == "SUBSETTED" for tag in part["meta"]["tag"])


def test_validate_stores_nothing(client: Callable[[str], Any]) -> None:
    api = client("practitioner")
    name = "ValidatedOnly"
    valid = PATIENT | {"name": [{"family": name}]}
    told = api.post("/Patient/$validate", json=valid)
    assert told.status_code == 200, told.text
    assert {issue["severity"] for issue in told.json()["issue"]} == {"information"}
    wrong = api.post("/Patient/$validate", json=valid | {"nickname": "Jo"})
    assert "error" in {issue["severity"] for issue in wrong.json()["issue"]}
    assert api.get(f"/Patient?family={name}&_total=accurate").json()["total"] == 0
