"""Datasets attached to challenges: who may, by whose grant, how many, and what the log tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cli import sharing
from cli.api import Api
from tests.functions.api.conftest import Client, Reply
from tests.functions.api.test_grants import DATASET, change, consent

Sign = Callable[..., Client]

CHALLENGE = ("Organization", "42")


@pytest.fixture
def owner(client: Sign) -> Client:
    return client("data-owner", subject="owner")


@pytest.fixture
def host(client: Sign) -> Client:
    return client("challenge-host", "challenge-42", subject="host")


@pytest.fixture
def dataset(owner: Client) -> str:
    """One that is shared with the challenge."""
    made = owner.make(DATASET)["id"]
    owner.make(consent(made, CHALLENGE))
    return made


def ask(user: Client, operation: str, dataset: str, challenge: str = "42") -> Reply:
    path = f"/DocumentReference/{dataset}/${operation}?challenge={challenge}"
    return user.call("POST", path)


def attached(user: Client, challenge: str = "42") -> dict[str, bool]:
    """Dataset -> whether it is readable."""
    reply = user.get(f"/DocumentReference/$attached?challenge={challenge}")
    assert reply.status == 200, reply.text
    found = {}
    for each in reply.body.get("parameter", ()):
        parts = {part["name"]: part for part in each["part"]}
        dataset = parts["reference"]["valueReference"]["reference"].removeprefix(
            "DocumentReference/"
        )
        found[dataset] = parts["readable"]["valueBoolean"]
        assert ("until" in parts) == found[dataset]
    return found


def log(dataset: str) -> list[tuple[str, str]]:
    from functions.shared import evidence

    records = [json.loads(line) for line in evidence.lines(dataset)]
    return [(record["event"], record["user"]) for record in records]


def test_a_host_attaches_what_the_owner_granted_and_detaches_it(host: Client, dataset: str) -> None:
    from functions.shared import evidence

    for _ in range(2):
        assert ask(host, "attach", dataset).status == 200
    assert attached(host)[dataset] is True
    for _ in range(2):
        assert ask(host, "detach", dataset).status == 200
    assert dataset not in attached(host)
    assert ask(host, "attach", dataset).status == 200
    assert log(dataset) == [
        *(("created", "owner"), ("granted", "owner")),
        *(("attached", "host"), ("detached", "host"), ("attached", "host")),
    ]
    third = json.loads(list(evidence.lines(dataset))[2])
    assert third["grantees"] == ["challenge#42"]
    assert len(third["consents"]) == 1
    ask(host, "detach", dataset)


def test_without_a_grant_nobody_learns_whether_there_is_such_a_dataset(
    client: Sign, owner: Client, host: Client
) -> None:
    private = owner.make(DATASET)["id"]
    owner.make(consent(private, ("Organization", "43")))
    owner.make(consent(private, ("Practitioner", "host")))
    owner.make(consent(private, CHALLENGE, period={"start": "2020-01-01", "end": "2020-02-01"}))
    refused = [ask(user, "attach", dataset)
               for user in (host, client("admin", subject="boss"))
               for dataset in (private, "no-such-dataset")]  # fmt: skip
    assert {reply.status for reply in refused} == {403}
    assert len({reply.text for reply in refused}) == 1
    assert private not in attached(host)


@pytest.mark.parametrize(
    "groups",
    [("challenge-host",), ("challenge-host", "challenge-43"), ("data-owner", "challenge-42"), ()],
)
def test_others_attach_nothing(client: Sign, dataset: str, groups: tuple[str, ...]) -> None:
    other = client(*groups, subject="other")
    for operation in ("attach", "detach"):
        assert ask(other, operation, dataset).status == 403
    assert other.get("/DocumentReference/$attached?challenge=42").status == 403


def test_an_owner_who_acts_for_no_challenge_attaches_nothing(owner: Client, dataset: str) -> None:
    assert ask(owner, "attach", dataset).status == 403


def test_what_is_revoked_or_withdrawn_stays_attached_and_is_unreadable(
    owner: Client, host: Client
) -> None:
    made = owner.make(DATASET)
    given = owner.make(consent(made["id"], CHALLENGE))
    assert ask(host, "attach", made["id"]).status == 200
    path = f"/DocumentReference/{made['id']}"
    assert owner.call("PUT", path, made | {"status": "superseded"}).status == 200
    assert attached(host)[made["id"]] is False
    assert owner.call("PUT", path, made).status == 200
    assert attached(host)[made["id"]] is True
    assert change(owner, given, status="inactive").status == 200
    assert attached(host)[made["id"]] is False
    assert ask(host, "attach", made["id"]).status == 403
    assert ask(host, "detach", made["id"]).status == 200
    assert made["id"] not in attached(host)


def test_a_challenge_has_fifty_datasets_at_most(
    client: Sign, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.shared import attachments

    assert attachments.MOST == 50
    monkeypatch.setattr(attachments, "MOST", 3)
    host = client("challenge-host", "challenge-7", subject="host")
    made = [owner.make(DATASET)["id"] for _ in range(4)]
    for dataset in made:
        owner.make(consent(dataset, ("Organization", "7")))
    assert [ask(host, "attach", dataset, "7").status for dataset in made] == [200, 200, 200, 422]
    assert "at most 3 datasets" in ask(host, "attach", made[3], "7").text
    assert ask(host, "detach", made[0], "7").status == 200
    assert ask(host, "attach", made[3], "7").status == 200
    assert set(attached(host, "7")) == set(made[1:])


def test_others_that_were_faster_change_nothing_twice(
    host: Client, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.shared import attachments

    def before(answer: bool) -> None:
        monkeypatch.setattr(attachments, "is_attached", lambda *_: answer)

    for operation, seen in (("attach", False), ("detach", True)):
        before(seen)
        assert [ask(host, operation, dataset).status for _ in range(2)] == [200, 200]
    assert [event for event, _ in log(dataset)][2:] == ["attached", "detached"]


def test_what_is_no_challenge_or_no_dataset_is_explained(host: Client, dataset: str) -> None:
    for number in ("", "x", "0", "42#", "12345678901"):
        assert ask(host, "attach", dataset, number).status == 400
    assert host.call("POST", "/Consent/1/$attach?challenge=42").status in (403, 404)
    assert host.get(f"/DocumentReference/{dataset}/$attach?challenge=42").status == 405
    assert ask(host, "attach", "#count").status == 404


@dataclass
class Wire(Api):
    """What the command sends, straight to the function."""

    user: Client

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        reply = self.user.call(method, path, body, headers)
        assert reply.status == 200, reply.text
        return reply.body


def test_the_command_attaches_lists_and_detaches(client: Sign, owner: Client, dataset: str) -> None:
    wire = Wire(client("challenge-host", "challenge-42", subject="host"))
    sharing.attach(wire, dataset, "42")
    [found] = [each for each in sharing.attached(wire, "42") if each.dataset == dataset]
    assert found.until == "2999-12-31T23:59:59.999Z"
    assert found.since.endswith("Z")
    assert owner.call("DELETE", f"/DocumentReference/{dataset}").status == 204
    [ended] = [each for each in sharing.attached(wire, "42") if each.dataset == dataset]
    assert ended.until == ""
    sharing.detach(wire, dataset, "42")
    assert dataset not in [each.dataset for each in sharing.attached(wire, "42")]
