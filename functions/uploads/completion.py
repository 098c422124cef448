"""Entry point for S3's ObjectCreated events, and GuardDuty's of scans: what arrived is verified.

Lambda repeats an event whose handling raises, and keeps it in the failure queue in the end. Events
may come twice, late or out of order: handling one again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from functions.shared.clients import dynamodb
from functions.shared.log import configure, fault, logger
from functions.uploads import bucket, scans
from functions.uploads.verification import arrived

configure()
dynamodb()
bucket.s3()


def handler(event: dict[str, Any], context: object) -> None:
    """Verifies every object of the event, then raises if one of them couldn't be decided."""
    failures: list[Exception] = []
    for key, s3_version, scan in _objects(event):
        fields: dict[str, Any] = {"key": key}
        try:
            upload = arrived(key, s3_version, scan)
        except Exception as error:
            failures.append(error)
            fields |= fault(type(error), error.__traceback__)
            logger.error("object not verified", extra={"fields": fields})
        else:
            fields |= {"status": upload.status, "reason": upload.reason} if upload else {}
            logger.info("object created", extra={"fields": fields})
    if failures:
        raise failures[0]


def _objects(event: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """(key, version, what a scan found) of each object of an event."""
    if verdict := scans.verdict_in(event):
        yield verdict
        return
    for record in event.get("Records", ()):  # S3's test event, sent at set-up, has none
        found = record["s3"]["object"]
        yield unquote_plus(found["key"]), found.get("versionId"), None
