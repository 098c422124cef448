"""Warm requests: what the function adds to the calls that it makes, and how many it makes."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import function
from benchmarks.figures import Figure, interleaved, milliseconds, ratios
from benchmarks.stand_in import PATIENT

RUNS = 2_000
CHUNK = 50
"""Runs per ratio."""


def figures() -> Iterator[Figure]:
    read = function.event("GET", "/Patient/1")
    metadata = function.event("GET", "/metadata")
    changed = PATIENT | {"id": "1"}
    matched = function.event("PUT", "/Patient/1", changed, {"If-Match": 'W/"1"'})
    unmatched = function.event("PUT", "/Patient/1", changed)
    create = function.event("POST", "/Patient", PATIENT)
    function.ask(create, 201)  # the first of a type notes it in the control table
    size = len(function.ask(metadata)["body"].encode())
    trips = _round_trips()
    for name, sent, count in (
        ("update with `If-Match`", matched, 1),
        ("update without", unmatched, 2),
    ):
        made = trips(lambda sent=sent: function.ask(sent))
        yield Figure(f"round trips of an {name}", "", [made], at_most=count)
    call = _plain_call()
    times = interleaved(
        RUNS,
        raw=call,
        read=lambda: function.ask(read),
        update=lambda: function.ask(matched),
        create=lambda: function.ask(create, 201),
        metadata=lambda: function.ask(metadata),
    )
    raw = times["raw"]
    yield Figure("boto3's Query alone, CPU", "ms", milliseconds(raw.cpu))
    yield Figure("read, CPU", "ms", milliseconds(times["read"].cpu))
    relation = ratios(times["read"].cpu, raw.cpu, CHUNK)
    yield Figure("read, relative to that Query", "×", relation, at_most=1.2)
    yield Figure("update with `If-Match`, CPU", "ms", milliseconds(times["update"].cpu))
    yield Figure("create, CPU", "ms", milliseconds(times["create"].cpu))
    yield Figure("`/metadata`, CPU", "ms", milliseconds(times["metadata"].cpu), at_most=0.3)
    yield Figure("`/metadata`, size", "kB", [size / 1000], at_most=200)


def _plain_call() -> Callable[[], object]:
    """The call that a read makes, by boto3 as it comes."""
    import boto3

    client = boto3.client("dynamodb")
    return lambda: client.query(
        TableName=os.environ["TABLE_NAME"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "Patient/1"}},
        ConsistentRead=True,
        ScanIndexForward=False,
        Limit=1,
    )


def _round_trips() -> Callable[[Callable[[], object]], int]:
    """Counts the requests that the function's client sends during an action."""
    from functions.shared.clients import dynamodb

    sent: list[str] = []

    def note(**request: Any) -> None:
        sent.append(request["event_name"])

    dynamodb().meta.events.register("before-send.dynamodb", note)

    def count(action: Callable[[], object]) -> int:
        sent.clear()
        action()
        return len(sent)

    return count
