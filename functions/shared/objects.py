"""Objects of a versioned bucket, removed for good."""

from __future__ import annotations

from typing import Any

_PAGE = 1000


def erase(s3: Any, bucket: str, prefix: str) -> int:
    """Removes every version and delete marker under a prefix; how many there were.

    S3 lists and deletes at most 1,000 at a time. Each round lists from the start again, since a
    marker may name a version that the last round removed.
    """
    erased = 0
    while doomed := _versions(s3, bucket, prefix):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed, "Quiet": True})
        if answer.get("Errors"):
            raise RuntimeError(f"S3 kept {len(answer['Errors'])} object versions")
        erased += len(doomed)
    return erased


def _versions(s3: Any, bucket: str, prefix: str) -> list[dict[str, str]]:
    page = s3.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE)
    return [
        {"Key": entry["Key"], "VersionId": entry["VersionId"]}
        for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
    ]
