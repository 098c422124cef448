"""What is left of erased resources goes: their older versions, and large bodies of these.

The marker that says erased is a version itself, so it comes by the table's stream, which repeats it
until all is gone. It stays: nobody can give the id a new version.
"""

from __future__ import annotations

import os
from typing import Any

from functions.shared import objects
from functions.shared.clients import dynamodb, queried, s3
from functions.shared.items import Version, key_of, version_of
from functions.shared.log import configure, logger

configure()


def handler(event: dict[str, Any], context: object) -> None:
    """Erases what precedes the markers of a batch of stream records (view NEW_IMAGE)."""
    for record in event["Records"]:
        image = record["dynamodb"].get("NewImage", {})
        if record.get("eventName") == "INSERT" and "erased" in image:
            _erase(version_of({**record["dynamodb"]["Keys"], **image}, body=False))


def _erase(marker: Version) -> None:
    versions = _remove_older(marker)  # before their bodies, without which they were damaged
    bodies = objects.erase(s3(), os.environ["OVERFLOW_BUCKET"], f"{marker.pk}/")
    fields = {"key": marker.pk, "versions": versions, "bodies": bodies}
    logger.info("erased", extra={"fields": fields})


def _remove_older(marker: Version) -> int:
    """One by one: a role that may delete in batches may write in batches, too."""
    removed = 0
    found = queried(
        TableName=os.environ["TABLE_NAME"],
        KeyConditionExpression="pk = :pk AND version < :marker",
        ExpressionAttributeValues={
            ":pk": {"S": marker.pk},
            ":marker": {"N": str(marker.version)},
        },
        ProjectionExpression="version",
        ConsistentRead=True,
    )
    for item in found:
        key = key_of(marker.pk, int(item["version"]["N"]))
        dynamodb().delete_item(TableName=os.environ["TABLE_NAME"], Key=key)
        removed += 1
    return removed
