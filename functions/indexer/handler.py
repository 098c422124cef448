"""The table's stream to the index.

A fault that passes (the engine is away or overloaded) raises, and the stream repeats the whole
batch. A record that can never be indexed goes to quarantine in the control table, and its
neighbours go on. The document's version is the resource's, so that replays, duplicates and disorder
change nothing.
"""

from __future__ import annotations

from typing import Any

from functions.indexer import quarantine
from functions.indexer.documents import entries
from functions.indexer.writer import write
from functions.search.engine import engine
from functions.search.index import ALIAS, NEXT
from functions.shared.log import configure, logger

configure()


def handler(event: dict[str, Any], context: object) -> None:
    """Indexes the inserts of a batch of stream records (view NEW_IMAGE).

    While a new index is built beside the one that is searched, it gets them as well.
    """
    records = [r["dynamodb"] for r in event["Records"] if r.get("eventName") == "INSERT"]
    found = entries({**record["Keys"], **record.get("NewImage", {})} for record in records)
    # Asked of these indices only: on others the function's role has no rights.
    building = bool(records) and engine().exists(f"/{ALIAS}*/_alias/{NEXT}")
    refused = write(found, [ALIAS, NEXT] if building else [ALIAS])
    for entry, reason in refused:
        quarantine.add({"pk": {"S": entry.pk}, "version": {"N": str(entry.version)}}, reason)
    logger.info("indexed", extra={"fields": {"records": len(records), "refused": len(refused)}})
