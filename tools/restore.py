"""Brings back what tables and buckets of a stack lost. For operators with AWS credentials.

    pulumi stack output --json --show-secrets > stack.json
    python -m tools.restore tables --stack stack.json --at 2026-11-29T02:00:00Z
    python -m tools.restore objects --stack stack.json

`tables` has DynamoDB restore both tables as they were at that time, beside the stack's own, and
copies what these lack, while they are in use: what is there is never changed. `--versions` and
`--control` name tables that were restored otherwise, by AWS Backup for instance. Copied versions go
through the stream as any others, so that the index follows. `objects` takes away the delete markers
of files and large bodies that the tables count on.

Not everything is copied. Of a resource that is marked erased, in either table, only the marker is.
One whose versions contradict those of the stack stays as it is, and is named. Grants are made anew
from the newest Consents, so that none comes back that was revoked.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from functions.api import consents
from functions.shared import changes, evidence, grants, store
from functions.shared.clients import dynamodb
from functions.shared.items import Version, key_of
from functions.shared.resources import parse
from functions.shared.store import Action, ActionRefused
from functions.uploads import records
from functions.uploads.state import parse_key

SEGMENTS = 16
"""Parts of a table that are copied at once."""

WAIT_SECONDS = 12 * 3600
"""How long DynamoDB may take to restore a table."""

_POLL_SECONDS = 5
_CONFIG = Config(retries={"mode": "adaptive", "total_max_attempts": 10}, max_pool_connections=32)
# What follows from Consents and DocumentReferences, but for who asked: that is told nowhere else.
_DECIDED = (grants.STATES, *(f"{grants.PREFIX}{kind}#" for kind in ("user", "group", "challenge")))

Item = dict[str, Any]


@dataclass
class Outcome:
    """Items that were put back, that were there, that stay away, and what contradicts the stack."""

    restored: int = 0
    there: int = 0
    left_out: int = 0
    refused: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.restored += other.restored
        self.there += other.there
        self.left_out += other.left_out
        self.refused += other.refused

    def __str__(self) -> str:
        counted = f"{self.restored} restored, {self.there} there, {self.left_out} left out"
        return f"{counted}, {len(self.refused)} refused"


class Tables:
    """A stack's two tables, to which those restored beside them are compared.

    `bring_body` is called with the key of a large body before its version is put back: what follows
    the stream reads it at once.
    """

    def __init__(
        self, client: Any, versions: str, control: str, bring_body: Callable[[str], object]
    ) -> None:
        self._client, self._versions, self._control = client, versions, control
        self._bring_body = bring_body

    def restore_versions(self, source: str) -> Outcome:
        """Copies the versions that the stack lacks, resource by resource."""
        erased = self._erased(source) | self._erased(self._versions)

        def restore(pk: str, items: list[Item]) -> Outcome:
            wanted = [item for item in items if pk not in erased or "erased" in item]
            outcome = Outcome(left_out=len(items) - len(wanted))
            outcome.add(self._restore_log(self._versions, "version", wanted))
            return outcome

        return self._by_partition(source, restore)

    def restore_control(self, source: str) -> Outcome:
        """Copies the items that the control table lacks; those that are there are newer."""
        now = time.time()

        def restore(pk: str, items: list[Item]) -> Outcome:
            decided = pk.startswith(_DECIDED)
            wanted = [item for item in items if not decided and _lives(item, now)]
            outcome = Outcome(left_out=len(items) - len(wanted))
            if pk.startswith(evidence.PREFIX):
                outcome.add(self._restore_evidence(wanted))
            elif pk == changes.REGISTER:
                for item in wanted:
                    outcome.add(self._add_types(item))
            else:
                for item in wanted:
                    outcome.add(self._restore(self._control, item))
            return outcome

        return self._by_partition(source, restore)

    def restore_decisions(self) -> int:
        """Makes the grants of all Consents anew, and what is withdrawn; how many writes that took.

        The functions' own settings must name the tables.
        """
        deciding = self._scanned(
            self._versions,
            FilterExpression="begins_with(pk, :consent) OR begins_with(pk, :dataset)",
            ExpressionAttributeValues={
                ":consent": {"S": "Consent/"},
                ":dataset": {"S": "DocumentReference/"},
            },
            ProjectionExpression="pk",
        )
        return sum(_decide(pk) for pk in sorted({item["pk"]["S"] for item in deciding}))

    def _restore_evidence(self, items: list[Item]) -> Outcome:
        """A log's records, then its head unless the stack's has as many."""
        heads = [item for item in items if item["sk"]["S"] == evidence.HEAD]
        outcome = self._restore_log(
            self._control, "sk", [item for item in items if item not in heads]
        )
        for head in [] if outcome.refused else heads:
            behind = {
                "ConditionExpression": "attribute_not_exists(pk) OR #count < :count",
                "ExpressionAttributeNames": {"#count": "count"},
                "ExpressionAttributeValues": {":count": head["count"]},
            }
            outcome.add(self._restore(self._control, head, behind))
        return outcome

    def _restore_log(self, table: str, sort_key: str, items: list[Item]) -> Outcome:
        """Items of one partition that only grows: none when the stack has others of these keys."""
        if not items:
            return Outcome()
        found = self._paged(
            "query",
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": items[0]["pk"]},
            ConsistentRead=True,
        )
        there = {str(item[sort_key]): item for item in found}
        missing = [item for item in items if str(item[sort_key]) not in there]
        if any(item != there.get(str(item[sort_key]), item) for item in items):
            return Outcome(refused=[items[0]["pk"]["S"]])
        outcome = Outcome(there=len(items) - len(missing))
        for item in missing:
            outcome.add(self._restore(table, item))
        return outcome

    def _add_types(self, item: Item) -> Outcome:
        """Those of which there were versions, beside those of which there are again."""
        self._client.update_item(
            TableName=self._control,
            Key={"pk": item["pk"], "sk": item["sk"]},
            UpdateExpression="ADD #types :types",
            ExpressionAttributeNames={"#types": "types"},
            ExpressionAttributeValues={":types": item["types"]},
        )
        return Outcome(there=1)

    def _restore(self, table: str, item: Item, condition: Item | None = None) -> Outcome:
        absent = {"ConditionExpression": "attribute_not_exists(pk)"}
        if "overflow" in item:
            self._bring_body(item["overflow"]["S"])
        try:
            self._client.put_item(TableName=table, Item=item, **(condition or absent))
        except self._client.exceptions.ConditionalCheckFailedException:
            return Outcome(there=1)
        return Outcome(restored=1)

    def _erased(self, table: str) -> set[str]:
        marked = {"FilterExpression": "attribute_exists(erased)", "ProjectionExpression": "pk"}
        return {item["pk"]["S"] for item in self._scanned(table, **marked)}

    def _by_partition(self, source: str, restore: Callable[[str, list[Item]], Outcome]) -> Outcome:
        """What becomes of all partitions. A Scan gives the items of each one after the other."""

        def work(segment: int) -> Outcome:
            outcome = Outcome()
            place = {"Segment": segment, "TotalSegments": SEGMENTS}
            for pk, items in groupby(self._scanned(source, **place), _partition_of):
                outcome.add(restore(pk, list(items)))
            return outcome

        total = Outcome()
        with ThreadPoolExecutor(SEGMENTS) as pool:
            for outcome in pool.map(work, range(SEGMENTS)):
                total.add(outcome)
        return total

    def _scanned(self, table: str, **scan: Any) -> Iterator[Item]:
        return self._paged("scan", TableName=table, ConsistentRead=True, **scan)

    def _paged(self, operation: str, **request: Any) -> Iterator[Item]:
        for page in self._client.get_paginator(operation).paginate(**request):
            yield from page["Items"]


def restore_objects(
    s3: Any, bucket: str, is_wanted: Callable[[str], bool], prefix: str = ""
) -> int:
    """Takes delete markers from the wanted keys of a bucket, by which they are readable again."""
    restored = 0
    pages = s3.get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for marker in page.get("DeleteMarkers", ()):
            if marker["IsLatest"] and is_wanted(marker["Key"]):
                s3.delete_object(Bucket=bucket, Key=marker["Key"], VersionId=marker["VersionId"])
                restored += 1
    return restored


def is_a_file(key: str) -> bool:
    """Whether a key of the dataset bucket has the bytes of an upload that can be read."""
    named = parse_key(key)
    upload = records.get(*named) if named else None
    return upload is not None and upload.status == "available" and upload.key == key


def is_a_body(key: str) -> bool:
    """Whether a key of the overflow bucket has the body of a version."""
    pk, _, version = key.rpartition("/")
    number = version.partition("-")[0]
    if not number.isdecimal():
        return False
    found = dynamodb().get_item(
        TableName=os.environ["TABLE_NAME"], Key=key_of(pk, int(number)), ConsistentRead=True
    )
    return found.get("Item", {}).get("overflow") == {"S": key}


def _decide(pk: str) -> int:
    """Writes what the newest version of a Consent or dataset says, unless another follows it."""
    while True:
        last = store.latest(pk)
        actions = _decided(pk, last) if last else []
        if last is None or not actions:
            return 0
        try:
            store.write_all([], [*actions, store.unchanged(pk, last.version)])
        except ActionRefused:
            continue
        return len(actions)


def _decided(pk: str, last: Version) -> list[Action]:
    kind, _, resource_id = pk.partition("/")
    if kind == "DocumentReference":
        withdrawn = last.deleted or parse(last.body).get("status") != "current"
        return [grants.put_state(resource_id, is_withdrawn=withdrawn)]
    if last.deleted or not last.dataset:
        return []  # without an item nothing is granted
    given = consents.terms(parse(last.body), last.dataset).grants(resource_id)
    return [grants.put(grant) for grant in given]


def _lives(item: Item, now: float) -> bool:
    return "expires" not in item or int(item["expires"]["N"]) > now


def _partition_of(item: Item) -> str:
    return item["pk"]["S"]


def main(arguments: list[str]) -> int:
    """1 when something was refused: somebody must look."""
    parser = argparse.ArgumentParser("tools.restore", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=["objects", "tables"])
    parser.add_argument("--stack", type=Path, required=True, help="JSON of the stack's outputs")
    parser.add_argument("--at", type=_instant, help="when the tables were as they should be")
    parser.add_argument("--versions", help="a restored table of versions, instead of --at")
    parser.add_argument("--control", help="a restored control table, instead of --at")
    asked = parser.parse_args(arguments)
    if asked.what == "tables" and not (asked.at or asked.versions or asked.control):
        parser.error("tables needs --at, or --versions and --control, or one of them")
    content = json.loads(asked.stack.read_text())
    outputs = content.get("outputs", content)
    os.environ |= {
        "AWS_DEFAULT_REGION": outputs["region"],
        "BUCKET_NAME": outputs["bucket_name"],
        "CONTROL_TABLE_NAME": outputs["control_table_name"],
        "OVERFLOW_BUCKET": outputs["overflow_bucket"],
        "TABLE_NAME": outputs["table_name"],
    }
    if asked.what == "objects":
        s3 = boto3.client("s3", config=_CONFIG)
        for bucket, is_wanted in (("bucket_name", is_a_file), ("overflow_bucket", is_a_body)):
            restored = restore_objects(s3, outputs[bucket], is_wanted)
            print(f"{outputs[bucket]}: {restored} objects restored")
        return 0
    return _restore_tables(outputs, asked)


def _restore_tables(outputs: dict[str, Any], asked: argparse.Namespace) -> int:
    client = boto3.client("dynamodb", config=_CONFIG)
    sources = {"table_name": asked.versions, "control_table_name": asked.control}
    if asked.at:
        sources = {name: _begin(client, outputs[name], asked.at) for name in sources}
    s3 = boto3.client("s3", config=_CONFIG)

    def bring_body(key: str) -> int:
        return restore_objects(s3, outputs["overflow_bucket"], key.__eq__, key)

    tables = Tables(client, outputs["table_name"], outputs["control_table_name"], bring_body)
    refused: list[str] = []
    for name, restore in (
        ("control_table_name", tables.restore_control),
        ("table_name", tables.restore_versions),
    ):
        if source := sources[name]:
            _await(client, source)
            outcome = restore(source)
            refused += outcome.refused
            print(f"{outputs[name]} from {source}: {outcome}", flush=True)
    print(f"{tables.restore_decisions()} grants and states made anew")
    for pk in sorted(refused):
        print(f"refused: {pk} differs from the restored one; nothing of it was copied")
    return 1 if refused else 0


def _begin(client: Any, table: str, at: datetime) -> str:
    """Has DynamoDB restore a table, or goes on with one that it was asked for before."""
    target = f"{table}-at-{at:%Y%m%dT%H%M%SZ}"
    try:
        client.restore_table_to_point_in_time(
            SourceTableName=table, TargetTableName=target, RestoreDateTime=at
        )
    except client.exceptions.TableAlreadyExistsException:
        print(f"{target} is there already")
    return target


def _await(client: Any, table: str) -> None:
    waiter = client.get_waiter("table_exists")
    tries = WAIT_SECONDS // _POLL_SECONDS
    waiter.wait(TableName=table, WaiterConfig={"Delay": _POLL_SECONDS, "MaxAttempts": tries})


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("say the time zone, as in 2026-11-29T02:00:00Z")
    return moment.astimezone(UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
