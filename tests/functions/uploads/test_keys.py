"""The datasets' key is disabled or taken away: nothing is stored, lost or counted."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functions.key_outage import DENIED, DISABLED_IN_S3, KEY, answering
from tests.functions.uploads.conftest import Reply, User

CONTENT = b"a dataset's bytes"


@pytest.fixture
def s3(aws: Any) -> Any:
    """The uploads function's client."""
    from functions.uploads import bucket

    return bucket.s3()


@pytest.fixture
def dynamodb(aws: Any) -> Any:
    from functions.shared import clients

    return clients.dynamodb()


def refused(reply: Reply) -> None:
    assert (reply.status, reply.headers["Retry-After"]) == (503, "60")
    assert KEY not in str(reply.body)


def test_without_the_tables_key_no_upload_begins_and_no_address_is_given(
    owner: User, dynamodb: Any, used: Callable[[User], int]
) -> None:
    known = owner.new(CONTENT).body["id"]
    before = used(owner)
    with answering(dynamodb, DENIED):
        refused(owner.new(CONTENT))
        refused(owner.call("GET", f"/Binary/{known}"))
        refused(owner.call("DELETE", f"/Binary/{known}"))
    assert used(owner) == before
    assert "presignedPutUrl" not in owner.read(known)


def test_without_the_buckets_key_no_upload_in_parts_begins_and_none_is_counted(
    owner: User, s3: Any, used: Callable[[User], int]
) -> None:
    with answering(s3, DISABLED_IN_S3, "CreateMultipartUpload"):
        refused(owner.new(size=9_000_000, multipart=True))
    assert used(owner) == 0
    assert owner.new(size=9_000_000, multipart=True).status == 201


def test_bytes_that_could_not_be_verified_without_the_key_are_when_it_is_back(
    owner: User, s3: Any, complete: Callable[..., None]
) -> None:
    created = owner.new(CONTENT).body
    event: Mapping[str, Any] | None = owner.put(created, CONTENT).event
    with (
        answering(s3, DISABLED_IN_S3, "HeadObject", "GetObject"),
        pytest.raises(ClientError),  # S3's report comes again, then waits in the queue of failures
    ):
        complete(event)
    assert "presignedGetUrl" not in owner.read(created["id"])
    complete(event)
    assert "presignedGetUrl" in owner.read(created["id"])


def test_data_that_cannot_be_stored_with_their_resource_expire(
    owner: User, s3: Any, used: Callable[[User], int], settings: pytest.MonkeyPatch
) -> None:
    """The record is there first, as for all uploads; it keeps its place no longer than they do."""
    from functions.uploads import quota, records

    settings.setattr(quota, "deadline", lambda *_, **__: 0)
    with answering(s3, DISABLED_IN_S3, "PutObject"):
        refused(owner.new(data="YSBmZXcgYnl0ZXM="))
    (waiting,) = records.overdue(owner.subject)
    assert used(owner) > 0
    assert "data" not in owner.read(waiting.binary_id)
    assert used(owner) == 0
