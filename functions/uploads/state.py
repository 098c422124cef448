"""What is known of one upload: whose version it is, what was declared, what became of it.

    pending -> verifying -> available
       |           |
       |           +-----> rejected (reason)
       +-> expired                              any -> deleted

Each state is entered at most once, so a change guarded by the state it leaves happens once.
`pending`, `verifying`: the bytes are awaited or checked. `available`: they are what was declared,
and can be read. `rejected`, `expired`, `deleted`: they are gone for good; only a new version helps.
"""

import re
from dataclasses import dataclass
from typing import Literal

Status = Literal["pending", "verifying", "available", "rejected", "expired", "deleted"]

_KEY = re.compile(
    r"(?:unassigned|datasets/(?!\.+/)[A-Za-z0-9\-.]{1,64})"
    r"/(?P<binary>(?!\.+/)[A-Za-z0-9\-.]{1,64})/(?P<version>[1-9][0-9]{0,9})"
)


@dataclass(frozen=True)
class Received:
    """What the store says of the bytes that arrived; nothing of it is the client's word."""

    size: int
    etag: str
    s3_version: str | None = None
    """S3's version id; None on a bucket without versioning."""
    sha256: str | None = None
    """Base64, checked by S3 or computed here; None for large objects without a declared one."""
    checksum: str | None = None
    """S3's own checksum as `ALGORITHM:value` where it keeps another one than the whole SHA-256: for
    a file in parts `SHA256:composite-count`."""


@dataclass(frozen=True)
class Upload:
    """The record of one upload, as the control table keeps it."""

    binary_id: str
    version: int
    owner: str
    key: str
    content_type: str
    limit: int
    """Most bytes accepted, as promised when the URL was made."""
    quota: int
    """The owner's quota in bytes at that time: bounds uploads whose size wasn't declared."""
    deadline: int
    """Epoch seconds after which bytes that haven't arrived are no longer expected."""
    updated: str
    status: Status = "pending"
    size: int | None = None
    """Declared bytes, if any."""
    sha256: str | None = None
    """Declared SHA-256, base64, if any."""
    file_name: str | None = None
    part_size: int | None = None
    """Bytes of each part but the last, for an upload in parts."""
    upload_id: str | None = None
    """S3's id of the upload in parts."""
    inline: bool = False
    """Sent inside the resource, and answered so."""
    counted: int = 0
    """Bytes that this upload takes of its owner's quota now."""
    s3_version: str | None = None
    """Version of the object under verification."""
    received: Received | None = None
    reason: str | None = None
    bucket: str | None = None
    """Where the key is; None for uploads from before that was recorded."""


def object_key(dataset: str, binary_id: str, version: int) -> str:
    """Where the bytes of a version live; `dataset` is "" for a Binary outside datasets."""
    folder = f"datasets/{dataset}" if dataset else "unassigned"
    return f"{folder}/{binary_id}/{version}"


def parse_key(key: str) -> tuple[str, int] | None:
    """Binary id and version that `object_key` put into a key; None for any other key."""
    match = _KEY.fullmatch(key)
    return (match["binary"], int(match["version"])) if match else None
