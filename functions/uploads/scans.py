"""GuardDuty's scans of uploads for malware, where the stack has them.

https://docs.aws.amazon.com/guardduty/latest/ug/monitoring-malware-protection-s3-scans-gdu.html
GuardDuty tells its verdict by an event and by a tag of the object, in either order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

TAG = "GuardDutyMalwareScanStatus"
CLEAN = "NO_THREATS_FOUND"

_REFUSALS = {
    "THREATS_FOUND": "malware was found in it",
    "UNSUPPORTED": "it can't be scanned for malware: too large, or protected by a password",
}


class Verdict(NamedTuple):
    """What became of the scan of an object version: GuardDuty's word for it."""

    key: str
    s3_version: str | None
    status: str


def is_awaited() -> bool:
    """Whether bytes become available only when they were scanned."""
    return os.environ.get("MALWARE_SCAN") == "true"


def verdict_in(event: Mapping[str, Any]) -> Verdict | None:
    """The verdict in an event of EventBridge's; None in one of S3's."""
    if event.get("source") != "aws.guardduty":
        return None
    detail = event["detail"]
    scanned = detail["s3ObjectDetails"]
    status = detail.get("scanResultDetails", {}).get("scanResultStatus") or detail["scanStatus"]
    return Verdict(scanned["objectKey"], scanned.get("versionId"), status)


def refusal(status: str) -> str | None:
    """Why an upload is refused; None for one that is clean. RuntimeError when no scan came about.

    That one is an operator's to solve, and S3's or GuardDuty's event comes again meanwhile.
    """
    if status == CLEAN:
        return None
    if status in _REFUSALS:
        return _REFUSALS[status]
    raise RuntimeError(f"the malware scan ended as {status}")
