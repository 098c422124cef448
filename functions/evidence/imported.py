"""Reads imported from CloudTrail, appended once each however often they are delivered.

Items of the control table, beside the log that the read is in:

    evidence#{dataset}   read#{CloudTrail's eventID}
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from functions.shared import evidence, store
from functions.shared.clients import dynamodb
from functions.shared.errors import FhirError
from functions.shared.evidence import Event
from functions.shared.store import Action, ActionRefused

_TRIES = 5


def append(read: Event) -> None:
    """Appends those of a message's reads that aren't in the log. 409 when others do the same."""
    for _ in range(_TRIES):
        new = _new(read)
        if not new.details["events"]:
            return
        notes = [_note(read.dataset, each) for each in new.details["events"]]
        try:
            evidence.recorded([new], partial(_write, notes))
        except ActionRefused:  # another delivery of the same read was faster
            continue
        return
    raise FhirError(409, "conflict", "Others append the same reads.")


def _write(notes: list[Action], actions: list[Action]) -> None:
    store.write_all([], [*notes, *actions])


def _new(read: Event) -> Event:
    """The message with those reads only that aren't in the log."""
    known = _known(read.dataset, read.details["events"])
    pairs = zip(read.details["events"], read.details["resources"], strict=True)
    kept = [(event, resource) for event, resource in pairs if event not in known]
    events, resources = [event for event, _ in kept], [resource for _, resource in kept]
    return replace(read, details={**read.details, "events": events, "resources": resources})


def _known(dataset: str, events: Iterable[str]) -> frozenset[str]:
    """Events that are in the log; consistently read. At most 100."""
    table = os.environ["CONTROL_TABLE_NAME"]
    keys = [_key(dataset, event) for event in events]
    request: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
    found: set[str] = set()
    while request:
        answer = dynamodb().batch_get_item(RequestItems=request)
        found |= {item["sk"]["S"] for item in answer["Responses"].get(table, ())}
        request = answer.get("UnprocessedKeys") or {}
    return frozenset(place.partition("#")[2] for place in found)


def _note(dataset: str, event: str) -> Action:
    return {
        "Put": {
            "TableName": os.environ["CONTROL_TABLE_NAME"],
            "Item": _key(dataset, event),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def _key(dataset: str, event: str) -> dict[str, Any]:
    return {"pk": {"S": f"{evidence.PREFIX}{dataset}"}, "sk": {"S": f"read#{event}"}}
