"""The quota of bytes per user: counted once, given back once, never passed."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.functions.uploads.conftest import BUCKET, QUOTA_BYTES, User, binary
from tests.functions.uploads.s3_front import created

CONTENT = b"some bytes"
SIZE = 10_000_000  # two of them fit


def test_the_quota_speaks_before_the_first_byte(
    owner: User, user: Callable[..., User], used: Callable[..., int]
) -> None:
    made = [owner.new(size=SIZE) for _ in range(3)]

    assert [reply.status for reply in made] == [201, 201, 413]
    assert f"{QUOTA_BYTES - 2 * SIZE} are free" in made[2].problem
    assert used(owner) == 2 * SIZE
    assert user().new(size=SIZE).status == 201

    path = f"/Binary/{made[0].body['id']}"
    newer = binary(size=SIZE, id=made[0].body["id"])
    assert owner.call("PUT", path, newer).status == 413
    assert owner.read(made[0].body["id"])["meta"]["versionId"] == "1"
    owner.call("DELETE", path)
    assert used(owner) == SIZE
    assert owner.new(size=SIZE).status == 201


def test_undeclared_sizes_are_settled_on_arrival(
    owner: User, complete: Callable[..., None], used: Callable[..., int], settings: Any
) -> None:
    settings.setenv("QUOTA_BYTES_PER_USER", "15")
    first, second = owner.new().body, owner.new().body

    complete(owner.put(first, CONTENT).event)
    complete(owner.put(second, CONTENT).event)

    assert owner.read(first["id"])["uploadStatus"] == "available"
    refused = owner.read(second["id"])
    assert (refused["uploadStatus"], refused["reason"]) == (
        "rejected",
        "the owner's quota is exceeded",
    )
    assert used(owner) == len(CONTENT)
    assert owner.new(size=6).status == 413
    assert owner.new(size=5).status == 201
    assert owner.new().status == 413


def test_replayed_events_and_deletes_count_once(
    owner: User, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    good, bad = owner.new(CONTENT).body, owner.new(CONTENT, contentType="image/png").body
    events = [owner.put(made, CONTENT).event for made in (good, bad)]

    for event in events * 3:
        complete(event)

    assert used(owner) == len(CONTENT)
    for _ in range(2):
        owner.call("DELETE", f"/Binary/{good['id']}")
        owner.call("DELETE", f"/Binary/{bad['id']}")
        for event in events:
            complete(event)
    assert used(owner) == 0


@pytest.fixture
def later(settings: pytest.MonkeyPatch) -> Callable[[], None]:
    """Moves the clock beyond every deadline."""
    now = time.time() + 100_000
    return lambda: settings.setattr(time, "time", lambda: now)


def test_abandoned_uploads_give_their_bytes_back(
    owner: User,
    aws: Any,
    complete: Callable[..., None],
    used: Callable[..., int],
    later: Callable[[], None],
) -> None:
    made = [owner.new(size=SIZE).body for _ in range(2)]
    later()

    assert owner.new(size=SIZE).status == 201

    assert used(owner) == SIZE
    found = owner.read(made[0]["id"])
    assert (found["uploadStatus"], found["reason"]) == ("expired", "no bytes arrived in time")
    key = f"unassigned/{made[0]['id']}/1"
    stored = aws.put_object(Bucket=BUCKET, Key=key, Body=b"late")
    complete(created(BUCKET, key, stored["VersionId"], 4))
    assert "Versions" not in aws.list_object_versions(Bucket=BUCKET, Prefix=key)
    assert owner.read(made[0]["id"])["uploadStatus"] == "expired"


def test_a_late_report_of_bytes_in_time_counts(
    owner: User,
    complete: Callable[..., None],
    used: Callable[..., int],
    later: Callable[[], None],
) -> None:
    made = owner.new(CONTENT).body
    event = owner.put(made, CONTENT).event
    later()
    assert owner.read(made["id"])["uploadStatus"] == "pending"

    complete(event)

    assert owner.call("GET", f"/Binary/{made['id']}").body["uploadStatus"] == "available"
    assert used(owner) == len(CONTENT)


def test_reading_an_overdue_upload_ends_it(
    owner: User, used: Callable[..., int], later: Callable[[], None]
) -> None:
    made = owner.new(size=SIZE).body
    later()

    assert owner.call("GET", f"/Binary/{made['id']}/$upload-status").body["status"] == "expired"
    assert used(owner) == 0


def test_two_verifications_at_once_count_once(
    owner: User,
    complete: Callable[..., None],
    used: Callable[..., int],
    settings: pytest.MonkeyPatch,
) -> None:
    """The event is delivered again in the middle of its own verification."""
    from functions.uploads import bucket

    made = owner.new().body
    event = owner.put(made, CONTENT).event
    head, nested = bucket.head, [event]

    def interrupted(key: str, s3_version: str | None) -> bucket.StoredObject | None:
        if nested:
            complete(nested.pop())
        return head(key, s3_version)

    settings.setattr(bucket, "head", interrupted)
    complete(event)

    assert not nested
    assert owner.read(made["id"])["uploadStatus"] == "available"
    assert used(owner) == len(CONTENT)


def test_bytes_of_a_binary_deleted_during_verification_go(
    owner: User,
    aws: Any,
    complete: Callable[..., None],
    used: Callable[..., int],
    settings: pytest.MonkeyPatch,
) -> None:
    from functions.uploads import bucket

    made = owner.new().body
    event = owner.put(made, CONTENT).event
    head, pending = bucket.head, [f"/Binary/{made['id']}"]

    def interrupted(key: str, s3_version: str | None) -> bucket.StoredObject | None:
        found = head(key, s3_version)
        if pending:
            owner.call("DELETE", pending.pop())
        return found

    settings.setattr(bucket, "head", interrupted)
    settings.setattr(bucket, "erase", lambda prefix: 0)  # as if the listing came too early
    settings.setattr(bucket, "stream", lambda key, s3_version: iter([CONTENT]))
    complete(event)

    assert "Versions" not in aws.list_object_versions(
        Bucket=BUCKET, Prefix=f"unassigned/{made['id']}/"
    )
    assert used(owner) == 0


def test_a_passing_fault_is_raised_and_the_repeated_event_settles(
    owner: User, complete: Callable[..., None], settings: pytest.MonkeyPatch
) -> None:
    from functions.uploads import bucket

    made, other = owner.new(CONTENT).body, owner.new(CONTENT).body
    event: Mapping[str, Any] = {
        "Records": [
            record
            for each in (made, other)
            for record in (owner.put(each, CONTENT).event or {})["Records"]
        ]
    }
    head = bucket.head

    def unreachable(key: str, s3_version: str | None) -> bucket.StoredObject | None:
        if made["id"] in key:
            raise ConnectionError
        return head(key, s3_version)

    with settings.context() as patch:
        patch.setattr(bucket, "head", unreachable)
        with pytest.raises(ConnectionError):
            complete(event)
    assert owner.read(made["id"])["uploadStatus"] == "verifying"
    assert owner.read(other["id"])["uploadStatus"] == "available"

    complete(event)

    assert owner.read(made["id"])["uploadStatus"] == "available"


def test_s3s_test_event_is_no_upload(complete: Callable[..., None]) -> None:
    complete({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET})


def test_uploads_that_meet_on_the_quota_are_tried_again(
    owner: User, complete: Callable[..., None], settings: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ClientError

    from functions.shared.clients import dynamodb
    from functions.uploads import records

    made = owner.new().body
    event = owner.put(made, CONTENT).event
    write, conflicts = dynamodb().transact_write_items, [{"Code": "TransactionConflict"}] * 3

    def contended(**request: Any) -> Any:
        if conflicts:
            response: Any = {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{"Code": "None"}, conflicts.pop()],
            }
            raise ClientError(response, "TransactWriteItems")
        return write(**request)

    settings.setattr(dynamodb(), "transact_write_items", contended)
    settings.setattr(records.time, "sleep", lambda seconds: None)
    complete(event)

    assert not conflicts
    assert owner.read(made["id"])["uploadStatus"] == "available"
