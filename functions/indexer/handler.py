"""The table's stream to the index.

A fault that passes (the engine is away or overloaded) raises, and the stream repeats the whole
batch. A record that can never be indexed goes to quarantine in the control table, and its
neighbours go on. The document's version is the resource's, so that replays, duplicates and disorder
change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from functions.indexer import quarantine
from functions.indexer.writer import Entry, write
from functions.search import extract
from functions.shared import errors
from functions.shared.items import version_of
from functions.shared.log import configure, logger
from functions.shared.resources import serialise

configure()


def handler(event: dict[str, Any], context: object) -> None:
    """Indexes the inserts of a batch of stream records (view NEW_IMAGE)."""
    records = [r["dynamodb"] for r in event["Records"] if r.get("eventName") == "INSERT"]
    refused = write(_entries(records))
    for entry, reason in refused:
        quarantine.add({"pk": {"S": entry.pk}, "version": {"N": str(entry.version)}}, reason)
    logger.info("indexed", extra={"fields": {"records": len(records), "refused": len(refused)}})


def _entries(records: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    """The records' entries, without those that no entry can be made of: they go to quarantine."""
    for record in records:
        try:
            entry = _entry(record["NewImage"])
        except Exception as error:
            if _passes(error):
                raise
            kind = type(error)
            reason = f"{kind.__module__}.{kind.__name__} in extraction"
            quarantine.add(record["Keys"], reason)
        else:
            yield entry


def _entry(image: dict[str, Any]) -> Entry:
    version = version_of(image)
    return Entry(version.pk, version.version, serialise(extract.document(version)))


def _passes(error: Exception) -> bool:
    """Whether a later try may succeed: reading a large body failed, but not because it is gone."""
    kinds = (ClientError, OSError, MemoryError)
    return errors.of_service(error) is not None or isinstance(error, kinds)
