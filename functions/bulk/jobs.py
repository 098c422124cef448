"""Bulk jobs in the control table: what was asked for, how far each part is, and who runs how many.

    bulk#{job}            job           job: JSON; status; expires
    bulk#{job}            part#00012    part: JSON; sequence; expires
    bulk#user#{subject}   jobs          running: the ids of the user's jobs; expires

Workers change parts and nothing else, each on the condition that nobody was faster. A job that was
cancelled is told so by its status, which they look at before each step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import msgspec
from botocore.exceptions import ClientError

from functions.shared.clients import dynamodb, queried
from functions.shared.errors import FhirError
from functions.shared.identity import Identity
from functions.shared.resources import serialise

PREFIX = "bulk#"

MAX_RUNNING = 2
"""Jobs of one user at a time."""

RUN_SECONDS = 24 * 3600
"""After which a job is given up; the state machine's limit, too."""

KEPT_SECONDS = 3 * 24 * 3600
"""How long a job and its files are kept after its start; the bucket's lifecycle, too."""

_PARALLEL = 16

Status = Literal["running", "completed", "failed", "cancelled"]


class Export(msgspec.Struct, frozen=True, tag="export"):
    """`filters`: type -> searches (parameters), of which a resource must match one.

    `since`: the first instant whose changes are wanted. `patients`: only what is in a patient's
    compartment; `group`: of the patients in this version of a Group (pk, version).
    """

    types: tuple[str, ...]
    since: str = ""
    filters: dict[str, list[list[tuple[str, str]]]] = {}
    patients: bool = False
    group: tuple[str, int] | None = None


class Input(msgspec.Struct, frozen=True):
    """The bytes of a Binary's version; `type` is of all its resources, if that was told."""

    binary: str
    version: int
    bucket: str
    key: str
    size: int
    etag: str
    type: str = ""


class Import(msgspec.Struct, frozen=True, tag="import"):
    inputs: tuple[Input, ...]


class Job(msgspec.Struct, frozen=True):
    """`request` is the URL that started it, `started` the instant."""

    id: str
    subject: str
    username: str
    groups: tuple[str, ...]
    started: str
    request: str
    base_url: str
    work: Export | Import

    @property
    def identity(self) -> Identity:
        """Who asked for it: workers do what that user may do."""
        return Identity(self.subject, self.username, frozenset(self.groups))


class File(msgspec.Struct, frozen=True, array_like=True):
    """A file of ndjson: `kind` is output, deleted or error; `sequence` is the part's."""

    kind: str
    type: str
    sequence: int
    count: int


class Part(msgspec.Struct, frozen=True):
    """What one worker does at a time: a type's shard (of an export), an input (of an import).

    `after`: where the next step begins. `sequence`: steps done. `written`: resources so far.
    """

    number: int
    type: str
    place: int
    after: tuple[Any, ...] | None = None
    sequence: int = 0
    written: int = 0
    refused: int = 0
    done: bool = False
    files: tuple[File, ...] = ()


def start(job: Job) -> None:
    """Records a job; 429 when the user has as many as may run."""
    _take_place(job.subject, job.id)
    item = {
        **_job_key(job.id),
        "job": {"S": serialise(job).decode()},
        "status": {"S": "running"},
        "expires": {"N": str(int(time.time()) + KEPT_SECONDS)},
    }
    dynamodb().put_item(TableName=_table(), Item=item)


def find(job_id: str) -> tuple[Job, Status] | None:
    """A job and its status, consistently read. One that took too long has failed."""
    answer = dynamodb().get_item(TableName=_table(), Key=_job_key(job_id), ConsistentRead=True)
    item = answer.get("Item")
    if item is None:
        return None
    job = msgspec.json.decode(item["job"]["S"], type=Job)
    ends = int(item["expires"]["N"]) - KEPT_SECONDS + RUN_SECONDS
    overdue = item["status"]["S"] == "running" and time.time() > ends
    return job, "failed" if overdue else item["status"]["S"]


def end(job: Job, status: Status) -> bool:
    """Ends a running job; False when it had ended already. Its user may start another one."""
    return _change(job, status, "running")


def cancel(job: Job) -> None:
    """Cancels a job, whatever became of it."""
    _change(job, "cancelled", "running", "completed", "failed")


def _change(job: Job, status: Status, *before: Status) -> bool:
    names = {f":before{number}": {"S": name} for number, name in enumerate(before)}
    try:
        dynamodb().update_item(
            TableName=_table(),
            Key=_job_key(job.id),
            UpdateExpression="SET #status = :status",
            ConditionExpression=f"#status IN ({', '.join(names)})",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": {"S": status}, **names},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    _give_place_back(job.subject, [job.id])
    return True


def add_parts(job: Job, parts: Iterable[Part]) -> None:
    """Records the parts of a job; those that are there already stay as they are."""
    with ThreadPoolExecutor(_PARALLEL) as pool:
        absent = {"ConditionExpression": "attribute_not_exists(pk)"}
        list(pool.map(lambda part: _put(job, part, absent), parts))


def parts(job_id: str) -> Iterator[Part]:
    """The parts of a job in their order, consistently read."""
    found = queried(
        TableName=_table(),
        KeyConditionExpression="pk = :pk AND begins_with(sk, :part)",
        ExpressionAttributeValues={":pk": {"S": PREFIX + job_id}, ":part": {"S": "part#"}},
        ConsistentRead=True,
    )
    for item in found:
        yield msgspec.json.decode(item["part"]["S"], type=Part)


def part(job_id: str, number: int) -> Part:
    """A part of a job, consistently read."""
    key = _part_key(job_id, number)
    answer = dynamodb().get_item(TableName=_table(), Key=key, ConsistentRead=True)
    return msgspec.json.decode(answer["Item"]["part"]["S"], type=Part)


def save(job: Job, changed: Part) -> Part:
    """Records what a step made of a part; returns it as it is now: others may have been faster."""
    condition = {
        "ConditionExpression": "#sequence = :before",
        "ExpressionAttributeNames": {"#sequence": "sequence"},  # a reserved word
        "ExpressionAttributeValues": {":before": {"N": str(changed.sequence - 1)}},
    }
    return changed if _put(job, changed, condition) else part(job.id, changed.number)


def _put(job: Job, changed: Part, condition: dict[str, Any]) -> bool:
    item = {
        **_part_key(job.id, changed.number),
        "part": {"S": serialise(changed).decode()},
        "sequence": {"N": str(changed.sequence)},
        "expires": {"N": str(int(time.time()) + KEPT_SECONDS)},
    }
    try:
        dynamodb().put_item(TableName=_table(), Item=item, **condition)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _take_place(subject: str, job_id: str) -> None:
    if _added(subject, job_id):
        return
    # A job whose end nobody could record must not keep its place for ever.
    answer = dynamodb().get_item(TableName=_table(), Key=_user_key(subject), ConsistentRead=True)
    held = answer.get("Item", {}).get("running", {}).get("SS", [])
    ended = [other for other in held if (found := find(other)) is None or found[1] != "running"]
    if ended:
        _give_place_back(subject, ended)
    if not ended or not _added(subject, job_id):
        raise FhirError(
            429,
            "throttled",
            f"{MAX_RUNNING} of your bulk jobs are running; wait for them, or cancel one.",
            headers={"Retry-After": "60"},
        )


def _added(subject: str, job_id: str) -> bool:
    try:
        dynamodb().update_item(
            TableName=_table(),
            Key=_user_key(subject),
            UpdateExpression="ADD running :job SET expires = :expires",
            ConditionExpression="attribute_not_exists(running) OR size(running) < :most",
            ExpressionAttributeValues={
                ":job": {"SS": [job_id]},
                ":most": {"N": str(MAX_RUNNING)},
                ":expires": {"N": str(int(time.time()) + KEPT_SECONDS)},
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _give_place_back(subject: str, job_ids: list[str]) -> None:
    dynamodb().update_item(
        TableName=_table(),
        Key=_user_key(subject),
        UpdateExpression="DELETE running :jobs",
        ExpressionAttributeValues={":jobs": {"SS": job_ids}},
    )


def _job_key(job_id: str) -> dict[str, Any]:
    return {"pk": {"S": PREFIX + job_id}, "sk": {"S": "job"}}


def _part_key(job_id: str, number: int) -> dict[str, Any]:
    return {"pk": {"S": PREFIX + job_id}, "sk": {"S": f"part#{number:05d}"}}


def _user_key(subject: str) -> dict[str, Any]:
    return {"pk": {"S": f"{PREFIX}user#{subject}"}, "sk": {"S": "jobs"}}


def _table() -> str:
    return os.environ["CONTROL_TABLE_NAME"]
