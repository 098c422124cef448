"""Entry point for CloudTrail's log files: reads of datasets that no function of ours allowed.

A trail writes what S3 answered into a bucket, which reports each file. Reads by addresses that our
functions signed are in CloudTrail as reads by those functions' roles, and were recorded when they
were handed out: they are passed over. All others, such as those of an evaluation's workers by the
role of their challenge, go to the queue of reads, marked as imported.

CloudTrail delivers at least once, and Lambda repeats an event whose handling raises. The evidence
function knows the events it has appended.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import ijson

from functions.shared import evidence
from functions.shared.clients import s3, sqs
from functions.shared.log import configure, logger

configure()
s3()
sqs()

SOURCE = "CloudTrail"
MOST_TOGETHER = 90
"""Reads in one record: they are appended in a transaction, which has 100 actions at most."""

_MOST_WAITING = 10_000
_KEY = re.compile(r"datasets/([^/]+)/([^/]+)/([1-9][0-9]*)")


class Read(NamedTuple):
    """An event of CloudTrail: who got the bytes of a Binary's version, and when."""

    dataset: str
    subject: str
    user: str
    resource: str
    time: str
    event: str


def handler(event: dict[str, Any], context: object) -> None:
    """Reads every log file that S3 reports. Raises when one can't be read or sent."""
    for record in event.get("Records", ()):  # S3's test event, sent at set-up, has none
        place = record["s3"]
        bucket, key = place["bucket"]["name"], unquote_plus(place["object"]["key"])
        sent = _send(reads(_events(bucket, key)))
        logger.info("reads imported", extra={"fields": {"key": key, "reads": sent}})


def _events(bucket: str, key: str) -> Iterator[Mapping[str, Any]]:
    """The events of a log file, one at a time: the file may be larger than the memory."""
    with (
        closing(s3().get_object(Bucket=bucket, Key=key)["Body"]) as body,
        gzip.GzipFile(fileobj=body) as file,
    ):
        yield from ijson.items(file, "Records.item")


def reads(events: Iterable[Mapping[str, Any]]) -> Iterator[Read]:
    """Those of the events by which somebody got bytes of a dataset without our functions."""
    own = frozenset(os.environ["OWN_ROLES"].split(","))
    for event in events:
        if event.get("eventName") != "GetObject" or event.get("errorCode"):
            continue
        asked = event.get("requestParameters") or {}
        found = _KEY.fullmatch(asked.get("key", ""))
        if asked.get("bucketName") != os.environ["BUCKET_NAME"] or not found:
            continue
        who = event["userIdentity"]
        role = who.get("sessionContext", {}).get("sessionIssuer", {})
        if role.get("accountId") == event["recipientAccountId"] and role.get("userName") in own:
            continue
        dataset, binary, version = found.groups()
        yield Read(
            dataset,
            who.get("principalId", ""),
            _name(who),
            f"Binary/{binary}/_history/{version}",
            event["eventTime"],
            event["eventID"],
        )


def _name(who: Mapping[str, Any]) -> str:
    """`ROLE/SESSION` of a role, else the last part of the ARN, or what AWS says instead of one."""
    name = who.get("arn", "").rpartition(":")[2].removeprefix("assumed-role/")
    return name or who.get("invokedBy") or who.get("accountId") or who.get("type", "")


def _send(found: Iterable[Read]) -> int:
    """Sends reads to the queue, those of one user and dataset together; how many there were."""
    together: dict[tuple[str, str, str], list[Read]] = {}
    sent = waiting = 0
    for read in found:
        alike = together.setdefault(read[:3], [])
        alike.append(read)
        waiting += 1
        if len(alike) == MOST_TOGETHER:
            evidence.send(_message(together.pop(read[:3])))
            sent, waiting = sent + MOST_TOGETHER, waiting - MOST_TOGETHER
        elif waiting == _MOST_WAITING:
            sent, waiting = sent + _send_all(together.values()), 0
            together.clear()
    return sent + _send_all(together.values())


def _send_all(groups: Iterable[list[Read]]) -> int:
    sent = 0
    for alike in groups:
        evidence.send(_message(alike))
        sent += len(alike)
    return sent


def _message(alike: list[Read]) -> dict[str, Any]:
    """As `evidence.note_reads` has it. `resources` and `events` go by pairs."""
    alike = sorted(alike, key=lambda read: (read.time, read.event))
    events = [read.event for read in alike]
    first = alike[0]
    return {
        "dataset": first.dataset,
        "details": {
            "events": events,
            "imported": SOURCE,
            "resources": [read.resource for read in alike],
            "until": alike[-1].time,
        },
        "id": hashlib.sha256("".join(events).encode()).hexdigest()[:16],
        "subject": first.subject,
        "time": first.time,
        "user": first.user,
    }
