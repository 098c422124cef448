"""Entry point of the evidence function: appends reads from the queue, signs heads of logs.

It is called with messages of the queue, by a schedule, and by the API for one dataset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from functions.evidence import imported, seals
from functions.evidence.seals import BrokenError
from functions.shared import evidence, store
from functions.shared.clients import dynamodb, s3
from functions.shared.evidence import Event
from functions.shared.log import configure, fault, logger

configure()
dynamodb()
s3()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answers `{"Records": […]}` of the queue, `{"dataset": id}`, or else seals what waits."""
    if "Records" in event:
        return _append(event["Records"])
    if "dataset" in event:
        return _sealed(event["dataset"])
    return _seal_all()


def _append(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Appends reads. Names the messages that couldn't be: they come again, the others don't."""
    by_dataset: dict[str, list[Mapping[str, Any]]] = {}
    for message in messages:
        by_dataset.setdefault(message["attributes"]["MessageGroupId"], []).append(message)
    failed: list[Mapping[str, Any]] = []
    for dataset, own in by_dataset.items():
        try:
            reads = [Event(kind="read", **json.loads(message["body"])) for message in own]
            allowed = [read for read in reads if "imported" not in read.details]
            evidence.recorded(allowed, partial(store.write_all, []))
            for read in reads:
                if "imported" in read.details:
                    imported.append(read)
        except Exception as error:
            failed += own
            fields = {"dataset": dataset, **fault(type(error), error.__traceback__)}
            logger.error("reads not recorded", extra={"fields": fields})
    return {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in failed]}


def _sealed(dataset: str) -> dict[str, Any]:
    try:
        return {"seal": seals.seal(dataset)}
    except BrokenError as error:
        _report(dataset, error)
        return {"seal": error.seal, "problem": str(error)}


def _seal_all() -> dict[str, Any]:
    """Seals every log that waits, then raises if one couldn't be: somebody must look."""
    broken: list[Exception] = []
    datasets = seals.unsealed()
    for dataset in datasets:
        try:
            seals.seal(dataset)
        except Exception as error:
            broken.append(error)
            _report(dataset, error)
    if broken:
        raise broken[0]
    return {"sealed": len(datasets)}


def _report(dataset: str, error: Exception) -> None:
    fields = {"dataset": dataset, **fault(type(error), error.__traceback__)}
    problem = str(error) if isinstance(error, BrokenError) else ""
    logger.error("not sealed", extra={"fields": {**fields, "problem": problem}})
