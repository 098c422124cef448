"""Where malware scans are awaited, nobody reads bytes before GuardDuty has called them clean."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from functions.uploads import scans
from tests.functions.uploads.conftest import BUCKET, User

CONTENT = b"bytes that are scanned"


@pytest.fixture(autouse=True)
def awaited(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("MALWARE_SCAN", "true")


def uploaded(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """The object in S3's event."""
    assert event is not None
    return event["Records"][0]["s3"]["object"]


def verdict(event: Mapping[str, Any] | None, status: str) -> dict[str, Any]:
    """GuardDuty's event about the object of S3's event.

    https://docs.aws.amazon.com/guardduty/latest/ug/monitor-with-eventbridge-s3-malware-protection.html
    """
    found = uploaded(event)
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Malware Protection Object Scan Result",
        "detail": {
            "scanStatus": "COMPLETED",
            "s3ObjectDetails": {
                "bucketName": BUCKET,
                "objectKey": found["key"],
                "versionId": found["versionId"],
            },
            "scanResultDetails": {"scanResultStatus": status},
        },
    }


def test_clean_bytes_become_available_after_their_scan(
    owner: User, complete: Callable[..., None]
) -> None:
    made = owner.new(CONTENT).body
    event = owner.put(made, CONTENT).event
    complete(event)
    waiting = owner.read(made["id"])
    assert waiting["uploadStatus"] == "verifying"
    assert "presignedGetUrl" not in waiting

    complete(verdict(event, "NO_THREATS_FOUND"))

    assert owner.read(made["id"])["uploadStatus"] == "available"
    complete(event)  # late, or once more
    assert owner.read(made["id"])["uploadStatus"] == "available"


def test_a_verdict_may_come_first(owner: User, complete: Callable[..., None]) -> None:
    made = owner.new(CONTENT).body
    complete(verdict(owner.put(made, CONTENT).event, "NO_THREATS_FOUND"))
    assert owner.read(made["id"])["uploadStatus"] == "available"


def test_a_tag_tells_the_verdict_as_well(
    owner: User, aws: Any, complete: Callable[..., None]
) -> None:
    made = owner.new(CONTENT).body
    event = owner.put(made, CONTENT).event
    found = uploaded(event)
    aws.put_object_tagging(
        Bucket=BUCKET,
        Key=found["key"],
        VersionId=found["versionId"],
        Tagging={"TagSet": [{"Key": scans.TAG, "Value": "NO_THREATS_FOUND"}]},
    )
    complete(event)
    assert owner.read(made["id"])["uploadStatus"] == "available"


@pytest.mark.parametrize(
    ("status", "reason"),
    [("THREATS_FOUND", "malware was found in it"), ("UNSUPPORTED", "it can't be scanned")],
)
def test_what_is_not_clean_is_refused_and_removed(
    owner: User, aws: Any, complete: Callable[..., None], status: str, reason: str
) -> None:
    made = owner.new(CONTENT).body
    event = owner.put(made, CONTENT).event
    complete(event)

    complete(verdict(event, status))

    refused = owner.read(made["id"])
    assert (refused["uploadStatus"], refused["reason"].startswith(reason)) == ("rejected", True)
    key = uploaded(event)["key"]
    assert "Versions" not in aws.list_object_versions(Bucket=BUCKET, Prefix=key)


def test_a_scan_that_failed_is_an_operators(owner: User, complete: Callable[..., None]) -> None:
    made = owner.new(CONTENT).body
    event = owner.put(made, CONTENT).event
    complete(event)

    with pytest.raises(RuntimeError, match="ended as ACCESS_DENIED"):
        complete(verdict(event, "ACCESS_DENIED"))

    assert owner.read(made["id"])["uploadStatus"] == "verifying"
