"""Who read or wrote what: a line for each request, and nothing in it of what was read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functions.api.conftest import Client
from tests.scripted_engine import ScriptedEngine

PATIENT = {"resourceType": "Patient", "name": [{"family": "Schmidt"}]}


class Lines(logging.Handler):
    """The fields of the lines of requests and of bundles' entries."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() in ("request", "entry"):
            self.said.append(record.__dict__["fields"])

    def taken(self) -> list[dict[str, Any]]:
        """Those since the last time."""
        taken, self.said = self.said, []
        return taken


@pytest.fixture
def lines(tables: Any) -> Iterator[Lines]:
    import functions.api.handler  # noqa: F401 (sets the logger up)
    from functions.shared.log import logger

    listening = Lines()
    logger.addHandler(listening)
    yield listening
    logger.removeHandler(listening)


def test_each_request_says_who_and_what(
    client: Callable[..., Client], engine: Callable[..., ScriptedEngine], lines: Lines
) -> None:
    api = client(subject="jo")
    patient = api.make(PATIENT)
    key, path = f"Patient/{patient['id']}", f"/Patient/{patient['id']}"
    hit = {"_id": key, "_version": 1, "sort": [1, key]}
    api.get(path)
    api.call("PUT", path, patient | {"active": True})
    engine((200, {"hits": {"total": {"value": 1}, "hits": [hit]}}))
    api.get("/Patient?family=Schmidt")
    api.get(f"{path}/_history")
    client("auditor", subject="al").call("DELETE", path)

    said = lines.taken()
    assert [
        (line["subject"], line["method"], line["status"], line["resource"]) for line in said
    ] == [
        ("jo", "POST", 201, "Patient"),
        ("jo", "GET", 200, key),
        ("jo", "PUT", 200, key),
        ("jo", "GET", 200, "Patient"),
        ("jo", "GET", 200, key),
        ("al", "DELETE", 403, key),
    ]
    assert said[0]["made"] == f"{key}/_history/1"
    assert said[3]["shown"] == [key]
    assert said[4]["shown"] == [f"{key}/2", f"{key}/1"]
    assert "Schmidt" not in str(said)


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_each_entry_of_a_bundle_says_who_and_what(
    client: Callable[..., Client], lines: Lines, kind: str
) -> None:
    api = client(subject="jo")
    patient = api.make(PATIENT)
    key = f"Patient/{patient['id']}"
    lines.taken()
    entries = [
        {"request": {"method": "POST", "url": "Patient"}, "resource": PATIENT},
        {"request": {"method": "GET", "url": key}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
    ]

    api.call("POST", "/", {"resourceType": "Bundle", "type": kind, "entry": entries})

    *said, whole = lines.taken()
    assert whole["method"] == "POST"
    assert all((line["subject"], line["request"]) == ("jo", whole["request"]) for line in said)
    made, read, missing = sorted(said, key=lambda line: line["method"] == "GET")
    assert (made["status"], made["made"].split("/")[0]) == (201, "Patient")
    assert {(read["status"], read["resource"]), (missing["status"], missing["resource"])} == {
        (200, key),
        (404, "Patient/nobody"),
    }
    assert "Schmidt" not in str(said)
