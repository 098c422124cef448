"""Uploads in parts on the whole platform: torn lines, a forgotten state, hostile parts."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.fhir import outcome
from tests.e2e.test_uploads import binary, create, digest, send, settled, torn

SIZE = 40_000_000
CHECKSUM = "x-amz-checksum-sha256"
CHANCE = random.Random()  # noqa: S311


class Sender:
    """Knows the id and the file only: every method asks the server for the rest."""

    def __init__(self, api: Any, binary_id: str, content: bytes) -> None:
        self.api, self.path, self.content = api, f"/Binary/{binary_id}", content

    def status(self) -> dict[str, Any]:
        return self.api.get(f"{self.path}/$upload-status").json()

    def piece(self, number: int) -> bytes:
        size = self.status()["partSize"]
        return self.content[(number - 1) * size : number * size]

    def tickets(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        named = [{"number": n, "sha256": digest(self.piece(n))} for n in numbers]
        answer = self.api.post(f"{self.path}/$upload-parts", json={"parts": named})
        assert answer.status_code == 200, answer.text
        return answer.json()["parts"]

    def complete(self) -> requests.Response:
        return self.api.post(f"{self.path}/$complete")


@pytest.fixture
def owner(client: Callable[[str], Any]) -> Any:
    return client("data-owner")


def test_an_upload_torn_at_every_part_arrives(owner: Any) -> None:
    content = os.urandom(SIZE)
    made = create(owner, size=SIZE, multipart=True)
    assert "presignedPutUrl" not in made
    count = -(-SIZE // made["partSize"])
    acknowledged: list[int] = []

    while True:
        sender = Sender(owner, made["id"], content)  # all else is forgotten
        known = {part["number"] for part in sender.status()["received"]}
        assert known == set(acknowledged)
        missing = sorted(set(range(1, count + 1)) - known)
        if not missing:
            break
        assert sender.complete().status_code == 409
        first, *rest = sender.tickets(missing)
        piece = sender.piece(first["number"])
        assert send(first["url"], first["headers"], piece) == 200
        acknowledged.append(first["number"])
        for ticket in rest[:1]:
            piece = sender.piece(ticket["number"])
            torn(ticket["url"], ticket["headers"], piece[: CHANCE.randrange(len(piece))])

    assert sorted(acknowledged) == list(range(1, count + 1)), "none was sent twice"
    assert [sender.complete().status_code for _ in range(2)] == [202, 202]
    found = settled(owner, made["id"])
    assert found["uploadStatus"] == "available", found
    assert found["checksum"].endswith(f"-{count}")
    assert requests.get(found["presignedGetUrl"], timeout=30).content == content
    assert sender.complete().json()["status"] == "available"
    assert owner.delete(sender.path).status_code == 204


def test_hostile_parts_are_refused(owner: Any, client: Callable[[str], Any]) -> None:
    content = os.urandom(9_000_000)
    made = create(owner, size=len(content), multipart=True)
    other = create(owner, size=len(content), multipart=True)
    sender = Sender(owner, made["id"], content)
    first, second = sender.tickets([1, 2])
    url, headers, body = first["url"], first["headers"], sender.piece(1)
    altered = b"x" + body[1:]

    statuses = {
        "another part": send(url.replace("partNumber=1", "partNumber=2"), headers, body),
        "another Binary": send(url.replace(made["id"], other["id"]), headers, body),
        "another part's bytes": send(url, headers, bytes(len(body))),
        "the other's checksum": send(url, headers | {CHECKSUM: second["headers"][CHECKSUM]}, body),
        "altered": send(url, headers, altered),
        "altered, its checksum": send(url, headers | {CHECKSUM: digest(altered)}, altered),
        "shorter": send(url, headers | {"Content-Length": "9"}, body[:9]),
        "no checksum": send(url, {"Content-Length": str(len(body))}, body),
        "a longer life": send(url.replace("Expires=300", "Expires=3000"), headers, body),
        "no signature": send(f"{url.partition('?')[0]}?{_plain(url)}", headers, body),
    }

    assert {case: status for case, status in statuses.items() if status < 400} == {}
    assert sender.status()["received"] == []
    stranger = client("practitioner")
    for name in ("upload-parts", "complete", "abort"):
        outcome(stranger.post(f"{sender.path}/${name}", json={}), 403)
    part = {"number": 3, "sha256": digest(b"")}
    outcome(owner.post(f"{sender.path}/$upload-parts", json={"parts": [part]}), 400)
    assert send(url, headers, body) == 200
    assert sender.complete().status_code == 409
    assert owner.post(f"{sender.path}/$abort").status_code == 204
    assert send(second["url"], second["headers"], sender.piece(2)) >= 400
    assert sender.status()["reason"] == "ended by its owner"
    outcome(owner.post("/Binary", json=binary(multipart=True)), 400)


def _plain(url: str) -> str:
    """The query without its signature."""
    query = urlsplit(url).query.split("&")
    return "&".join(part for part in query if not part.startswith("X-Amz-"))
