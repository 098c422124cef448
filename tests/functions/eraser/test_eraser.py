"""The eraser: what precedes a marker goes, whatever the stream repeats, and nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from functions.shared import clients, erasure, items, store
from functions.shared.items import Version
from tests.functions.conftest import OVERFLOW, VERSIONS

LARGE = os.urandom(items.OVERFLOW_BYTES + 1)


def resource(pk: str, *bodies: bytes) -> Version:
    """A resource of these versions that was deleted; its tombstone."""
    last = Version(pk, 1, bodies[0], "jo", "2026-01-31T12:00:00.000Z")
    store.create(last)
    for body in (*bodies[1:], b""):
        last = replace(last, version=last.version + 1, body=body, deleted=not body)
        store.append(last)
    return last


def record(pk: str, version: int, name: str = "INSERT") -> dict[str, Any]:
    key = items.key_of(pk, version)
    image = clients.dynamodb().get_item(TableName=VERSIONS, Key=key)["Item"]
    return {"eventName": name, "dynamodb": {"Keys": key, "NewImage": image}}


def numbers(pk: str) -> list[int]:
    found = clients.dynamodb().query(
        TableName=VERSIONS,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
    )
    return [int(item["version"]["N"]) for item in found["Items"]]


def bodies(prefix: str) -> list[str]:
    found = clients.s3().list_object_versions(Bucket=OVERFLOW, Prefix=prefix)
    return [version["Key"].split("/")[1] for version in found.get("Versions", ())]


@pytest.mark.usefixtures("tables")
def test_all_before_the_marker_goes_and_all_beside_it_stays() -> None:
    from functions.eraser.handler import handler

    marker = erasure.erase(resource("Media/erased", b"{}", LARGE, b"{}"))
    resource("Media/erased-other", b"{}", LARGE)
    deleted = record("Media/erased-other", 3)
    assert bodies("Media/erased/") == ["erased"]

    for _ in range(2):  # the stream may say it again
        handler({"Records": [record(marker.pk, marker.version), deleted]}, None)

    assert numbers(marker.pk) == [marker.version] == [5]
    assert bodies("Media/erased/") == []
    assert numbers("Media/erased-other") == [1, 2, 3]
    assert bodies("Media/erased-other/") == ["erased-other"]
