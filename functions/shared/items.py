"""A version of a resource as an item of DynamoDB, with a large body in S3."""

from __future__ import annotations

import base64
import binascii
import os
import zlib
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from functions.shared.clients import s3
from functions.shared.errors import FhirError, quote
from functions.shared.log import logger
from functions.shared.resources import instant

OVERFLOW_BYTES = 300_000
"""Compressed bodies above this go to S3. An item holds 400 kB with its attributes' names."""

SHARDS = 8
"""Partitions of the change index per type."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource. `body` is the JSON as served; empty for a tombstone."""

    pk: str
    version: int
    body: bytes
    owner: str
    updated: str
    deleted: bool = False
    erased: bool = False
    nonce: str = ""
    dataset: str = ""
    damaged: bool = False
    """What is stored can't be read, so that there is no body."""


def tombstone(last: Version, *, erased: bool = False) -> Version:
    """The version after `last` that says that the resource was deleted, or erased."""
    return Version(
        pk=last.pk,
        version=last.version + 1,
        body=b"",
        owner=last.owner,
        updated=instant(),
        deleted=True,
        erased=erased,
        dataset=last.dataset,
    )


class DamagedError(FhirError):
    """What is stored of a version can't be read, however often one tries (500)."""

    def __init__(self, pk: str, version: int) -> None:
        super().__init__(500, "exception", f"Version {version} of {quote(pk)} is damaged.")


def item_of(version: Version, inline_limit: int = OVERFLOW_BYTES) -> dict[str, Any]:
    """The DynamoDB item of a version. A large body is put into the overflow bucket first."""
    item: dict[str, Any] = {
        **key_of(version.pk, version.version),
        "updated": {"S": version.updated},
        "nonce": {"S": version.nonce},
        "shard": {"S": shard_of(version.pk)},
    }
    item |= {
        name: {"S": value}
        for name, value in (("owner", version.owner), ("dataset", version.dataset))
        if value
    }
    item |= {
        name: {"BOOL": True}
        for name, value in (("deleted", version.deleted), ("erased", version.erased))
        if value
    }
    if not version.body:
        return item
    packed = zlib.compress(version.body)
    if len(packed) <= inline_limit:
        return {**item, "body": {"B": packed}}
    key = f"{version.pk}/{version.version}-{version.nonce}"
    s3().put_object(Bucket=os.environ["OVERFLOW_BUCKET"], Key=key, Body=packed)
    return {**item, "overflow": {"S": key}}


def version_of(item: dict[str, Any], *, body: bool = True) -> Version:
    """The version in an item, as DynamoDB's API or a stream event (bytes in base64) gives it.

    Without its body nothing has to be fetched from the overflow bucket. DamagedError.
    """
    return Version(
        pk=item["pk"]["S"],
        version=int(item["version"]["N"]),
        body=_body(item) if body else b"",
        owner=item.get("owner", {}).get("S", ""),
        updated=item.get("updated", {}).get("S", ""),
        deleted=item.get("deleted", {}).get("BOOL", False),
        erased=item.get("erased", {}).get("BOOL", False),
        nonce=item.get("nonce", {}).get("S", ""),
        dataset=item.get("dataset", {}).get("S", ""),
    )


def salvaged(item: dict[str, Any]) -> Version:
    """As `version_of`, but a damaged version is one without a body, marked so."""
    try:
        return version_of(item)
    except DamagedError:
        return replace(version_of(item, body=False), damaged=True)


def _body(item: dict[str, Any]) -> bytes:
    packed = item.get("body", {}).get("B", b"")
    try:
        if "overflow" in item:
            key = item["overflow"]["S"]
            packed = s3().get_object(Bucket=os.environ["OVERFLOW_BUCKET"], Key=key)["Body"].read()
        if isinstance(packed, str):
            packed = base64.b64decode(packed)
        return zlib.decompress(packed) if packed else b""
    except (zlib.error, binascii.Error):
        pass
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchVersion"):
            raise
    pk, version = item["pk"]["S"], int(item["version"]["N"])
    logger.error("damaged", extra={"fields": {"key": f"{pk}#{version}"}})
    raise DamagedError(pk, version)


def shard_of(pk: str) -> str:
    """The partition of the change index that lists the resource."""
    return f"{pk.partition('/')[0]}#{zlib.crc32(pk.encode()) % SHARDS}"


def key_of(pk: str, version: int) -> dict[str, Any]:
    return {"pk": {"S": pk}, "version": {"N": str(version)}}


def discard(item: dict[str, Any]) -> None:
    """Removes the body of an item that certainly wasn't written."""
    if "overflow" not in item:
        return
    try:
        s3().delete_object(Bucket=os.environ["OVERFLOW_BUCKET"], Key=item["overflow"]["S"])
    except Exception as error:
        logger.warning("overflow kept", extra={"fields": {"error": type(error).__name__}})
