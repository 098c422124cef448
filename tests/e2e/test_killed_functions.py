"""Functions killed at any moment of a transaction: it is there as a whole, or not at all."""

import base64
import json
import os
import random
import signal
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.e2e.aws import aws, workers
from tests.e2e.conftest import Client

ENTRIES, LARGE, AT_ONCE = 50, 2, 2
SYSTEM = "urn:ai4h:killed"
FUNCTIONS = ("data-api", "data-indexer")
CHANCE = random.Random()  # noqa: S311

Resource = dict[str, Any]


class Sender:
    """Sends a transaction of its own, the same one each time, under one `Idempotency-Key`."""

    def __init__(self, api: Client) -> None:
        self._api, self.tag = api, uuid.uuid4().hex
        request = {"method": "POST", "url": "Basic"}
        entries = [{"resource": self._resource(n), "request": request} for n in range(ENTRIES)]
        self._bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    def _resource(self, number: int) -> Resource:
        """Two of them are too large for an item of the table."""
        text = base64.b64encode(CHANCE.randbytes(350_000)).decode() if number < LARGE else "small"
        identifier = {"system": SYSTEM, "value": self.tag}
        return {"resourceType": "Basic", "code": {"text": text}, "identifier": [identifier]}

    def __call__(self) -> requests.Response:
        return self._api.post("/", json=self._bundle, headers={"Idempotency-Key": self.tag})

    def found(self) -> int:
        """How many resources a search finds."""
        answer = self._api.get(f"/Basic?identifier={SYSTEM}|{self.tag}&_summary=count")
        return answer.json()["total"] if answer.status_code == 200 else -1


def send(senders: Sequence[Sender], kill: Callable[[], None] = lambda: None) -> list[int]:
    """Has all of them send at once, and kills meanwhile; the status of each answer."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = [pool.submit(sender) for sender in senders]
        kill()
        return [answer.result().status_code for answer in sent]


def written(stack: dict[str, Any], since: str) -> dict[str, list[str]]:
    """Tag -> the resources that the table has since then, bodies in the bucket among them."""
    found: dict[str, list[str]] = {}
    pages = (
        aws(stack, "dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack["outputs"]["table_name"],
            FilterExpression="begins_with(pk, :type) AND updated >= :since",
            ExpressionAttributeValues={":type": {"S": "Basic/"}, ":since": {"S": since}},
        )
    )
    for item in (item for page in pages for item in page["Items"]):
        resource = json.loads(zlib.decompress(packed(stack, item)))
        tag = next(
            (i["value"] for i in resource.get("identifier", ()) if i["system"] == SYSTEM), ""
        )
        found.setdefault(tag, []).append(item["pk"]["S"])
    return found


def packed(stack: dict[str, Any], item: dict[str, Any]) -> bytes:
    if "body" in item:
        return item["body"]["B"]
    place = {"Bucket": stack["outputs"]["overflow_bucket"], "Key": item["overflow"]["S"]}
    return aws(stack, "s3").get_object(**place)["Body"].read()


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_a_transaction_is_whole_or_absent_whenever_its_function_is_killed(
    client: Callable[[str], Client],
    stack: dict[str, Any],
    eventually: Callable[..., None],
    kills: int,
) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    clients = [client("practitioner") for _ in range(AT_ONCE)]

    def warm_up() -> None:
        """Waits until there are processes to kill again."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda api: api.get("/Basic/none"), clients))

    def undisturbed() -> float:
        started = time.monotonic()
        assert send([Sender(api) for api in clients]) == [200] * AT_ONCE
        return time.monotonic() - started

    def kill() -> None:
        time.sleep(CHANCE.uniform(0, usual))
        for pid in (pid for function in FUNCTIONS for pid in workers(stack, function)):
            os.kill(pid, signal.SIGKILL)

    warm_up()
    usual = min(undisturbed() for _ in range(2))
    killed, answers = [], Counter[int]()
    for _ in range(kills):
        warm_up()
        senders = [Sender(api) for api in clients]
        answers.update(send(senders, kill))
        killed += senders

    assert set(answers) <= {200, 502}, answers
    assert answers[502], "no kill came in time"
    found = written(stack, since)
    assert {len(found.get(sender.tag, ())) for sender in killed} <= {0, ENTRIES}

    for _ in range(2):
        for start in range(0, len(killed), AT_ONCE):
            assert send(killed[start : start + AT_ONCE]) == [200] * AT_ONCE
    found = written(stack, since)
    for sender in killed:
        assert len(found[sender.tag]) == len(set(found[sender.tag])) == ENTRIES
        eventually(lambda sender=sender: sender.found() == ENTRIES)
