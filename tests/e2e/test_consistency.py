"""Concurrent writers, a search engine that goes away, records that can't be indexed."""

import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from functions.search.index import ALIAS
from tests.e2e.aws import aws, workers
from tests.e2e.fhir import PATIENT, found
from tests.e2e.hospital import TOKEN
from tests.e2e.test_uploads import create, send, settled

WRITERS, UPDATES = 8, 50
UPDATE_SECONDS = 0.02
CLIENTS_AT_ONCE, UPLOADS_AT_ONCE, TURNS = 30, 16, 4


def test_no_update_is_lost_with_if_match(client: Callable[..., Any]) -> None:
    """Each of 8 clients counts to 50 in one resource, reading and retrying on 412."""
    patient = client("practitioner").post("/Patient", json=PATIENT).json()
    path = f"/Patient/{patient['id']}"

    def count(writer: int) -> int:
        api, done, tries = client("practitioner"), 0, 0
        while done < UPDATES:
            tries += 1
            assert tries < 200 * UPDATES, f"writer {writer} starves"
            seen = api.get(path)
            body = seen.json()
            body["multipleBirthInteger"] = body.get("multipleBirthInteger", 0) + 1
            answer = api.put(path, json=body, headers={"If-Match": seen.headers["ETag"]})
            if answer.status_code == 200:
                done += 1
            else:
                assert answer.status_code == 412, answer.text
                # As clients should: eight that try again at once lose seven times of eight.
                time.sleep(random.uniform(0, 2 * WRITERS * UPDATE_SECONDS))  # noqa: S311
        return done

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(count, range(WRITERS))) == WRITERS * UPDATES
    last = client("practitioner").get(path).json()
    assert last["multipleBirthInteger"] == WRITERS * UPDATES
    assert last["meta"]["versionId"] == str(WRITERS * UPDATES + 1)


def test_two_writers_without_if_match_are_kept_in_order(client: Callable[..., Any]) -> None:
    api = client("practitioner")
    for _ in range(10):
        path = f"/Patient/{api.post('/Patient', json=PATIENT).json()['id']}"
        gate = threading.Barrier(2)

        def write(
            given: str, path: str = path, gate: threading.Barrier = gate
        ) -> tuple[int, str, str]:
            body = PATIENT | {"id": path.split("/")[-1], "name": [{"given": [given]}]}
            gate.wait()
            answer = client("practitioner").put(path, json=body)
            return answer.status_code, given, answer.headers.get("ETag", "")

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(write, ("one", "two")))
        kept = [(given, etag) for status, given, etag in answers if status == 200]
        assert kept
        assert all(status in {200, 409} for status, _, _ in answers)
        assert len({etag for _, etag in kept}) == len(kept)
        for given, etag in kept:
            version = etag.strip('W/"')
            stored = api.get(f"{path}/_history/{version}").json()
            assert stored["name"][0]["given"] == [given]


@pytest.fixture
def frozen_search(stack: dict[str, Any]) -> Any:
    """The search engine stops answering, as in an outage, until the test lets it go on."""
    process = stack["pids"]["search"]
    os.kill(process, signal.SIGSTOP)
    resumed = threading.Event()

    def resume() -> None:
        if not resumed.is_set():
            resumed.set()
            os.kill(process, signal.SIGCONT)

    yield resume
    resume()


def test_writes_go_on_while_search_is_away(
    client: Callable[..., Any], frozen_search: Callable[[], None], eventually: Callable[..., Any]
) -> None:
    api, name = client("practitioner"), f"Outage{uuid.uuid4().hex}"
    written = []
    for number in range(20):
        answer = api.post(
            "/Patient",
            json={"resourceType": "Patient", "name": [{"family": f"{name}{number:02}"}]},
        )
        assert answer.status_code == 201, answer.text
        written.append(answer.json()["id"])
    assert api.get(f"/Patient/{written[0]}").status_code == 200
    started = time.monotonic()
    unavailable = api.get(f"/Patient?family={name}")
    assert unavailable.status_code == 503, unavailable.text
    assert unavailable.json()["resourceType"] == "OperationOutcome"
    assert "Retry-After" in unavailable.headers
    assert time.monotonic() - started < 29, "the gateway gives a function 29 s"
    frozen_search()
    eventually(
        lambda: sorted(found(api, f"/Patient?family={name}&_count=100")) == sorted(written),
        seconds=60,
    )


@pytest.fixture
def full_index(stack: dict[str, Any]) -> Iterator[Callable[[bool], None]]:
    """Blocks the index as the engine itself does when its disk is full, until told otherwise."""

    def block(on: bool) -> None:
        url = f"{stack['search_url']}/{ALIAS}/_settings"
        setting = {"index.blocks.read_only_allow_delete": True if on else None}
        assert requests.put(url, json=setting, timeout=30).status_code == 200

    block(True)
    yield block
    block(False)


def test_writes_go_on_while_the_index_takes_none(
    stack: dict[str, Any],
    client: Callable[..., Any],
    full_index: Callable[[bool], None],
    eventually: Callable[..., Any],
) -> None:
    api, name = client("practitioner"), f"Full{uuid.uuid4().hex}"

    def behind() -> int:
        return requests.get(f"{stack['aws_endpoint_url']}/_local/lag", timeout=30).json()["records"]

    body = {"resourceType": "Patient", "name": [{"family": name}]}
    written = [api.post("/Patient", json=body) for _ in range(5)]
    assert [answer.status_code for answer in written] == [201] * 5
    ids = [answer.json()["id"] for answer in written]
    assert api.get(f"/Patient/{ids[0]}").status_code == 200
    # Searches go on with what they have; whoever must see a write is told to come again.
    assert found(api, f"/Patient?family={name}") == []
    token = {TOKEN: written[0].headers[TOKEN]}
    assert api.get(f"/Patient?family={name}", headers=token).status_code == 503
    assert behind() >= 5
    full_index(False)
    eventually(lambda: sorted(found(api, f"/Patient?family={name}")) == sorted(ids), seconds=60)
    eventually(lambda: behind() == 0)


def test_a_poison_record_is_quarantined_and_its_neighbours_are_found(
    stack: dict[str, Any], client: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """A version whose body is no JSON can't be written by the API: it is put into the table."""
    api, name = client("practitioner"), f"Poison{uuid.uuid4().hex}"
    dynamodb = aws(stack, "dynamodb")
    poison = f"Patient/{uuid.uuid4()}"

    def store(number: int) -> str:
        return api.post(
            "/Patient",
            json={"resourceType": "Patient", "name": [{"family": f"{name}{number}"}]},
        ).json()["id"]

    before = [store(number) for number in range(5)]
    dynamodb.put_item(
        TableName=stack["outputs"]["table_name"],
        Item={
            "pk": {"S": poison},
            "version": {"N": "1"},
            "body": {"B": b"neither zlib nor JSON"},
            "owner": {"S": "nobody"},
            "updated": {"S": "2026-01-01T00:00:00.000Z"},
            "shard": {"S": "Patient#0"},
        },
    )
    after = [store(number) for number in range(5, 10)]
    eventually(
        lambda: sorted(found(api, f"/Patient?family={name}")) == sorted(before + after), seconds=60
    )

    def quarantined() -> list[dict[str, Any]]:
        return dynamodb.query(
            TableName=stack["outputs"]["control_table_name"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": "quarantine"}, ":sk": {"S": poison}},
        )["Items"]

    eventually(lambda: len(quarantined()) == 1)
    assert quarantined()[0]["reason"]["S"]
    history = api.get("/Patient/_history?_at=2026-01-01T00:00:00.000Z").json()["entry"]
    [damaged] = [entry for entry in history if entry["fullUrl"].endswith(poison)]
    assert poison in damaged["response"]["outcome"]["issue"][0]["diagnostics"]


def test_many_clients_at_once_wait_for_their_turn(
    client: Callable[..., Any], stack: dict[str, Any]
) -> None:
    """One machine runs so many functions as it has room for, whatever comes at once."""
    gate = threading.Barrier(CLIENTS_AT_ONCE)
    apis = [client("practitioner") for _ in range(CLIENTS_AT_ONCE)]

    def ask(api: Any) -> int:
        gate.wait()
        return api.get("/Patient?_count=1").status_code

    with ThreadPoolExecutor(CLIENTS_AT_ONCE) as pool:
        assert set(pool.map(ask, apis)) == {200}
    assert 0 < len(workers(stack, "data-api")) <= TURNS


def test_many_uploads_at_once_wait_for_their_turn_and_none_is_lost(
    client: Callable[..., Any], stack: dict[str, Any]
) -> None:
    """Events wait too: the function that verifies uploads is called once for each."""
    api = client("practitioner")
    gate = threading.Barrier(UPLOADS_AT_ONCE)
    made = [create(api) for _ in range(UPLOADS_AT_ONCE)]

    def put(binary: dict[str, Any]) -> int:
        gate.wait()
        return send(binary["presignedPutUrl"], binary["uploadHeaders"], b"of many")

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        assert set(pool.map(put, made)) == {200}
    assert {settled(api, binary["id"])["uploadStatus"] for binary in made} == {"available"}
    assert 0 < len(workers(stack, "uploads-completion")) <= TURNS
