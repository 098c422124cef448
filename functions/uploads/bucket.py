"""The dataset bucket: presigned URLs, and the objects behind them. Owns the S3 client.

A URL is signed by botocore (SigV4) for one key that the server made. All that was declared is among
the signed headers, so S3 itself refuses other bytes. S3 also refuses `x-amz-*` headers that aren't
signed: a client can't weaken the bucket's default encryption, set an ACL or a storage class.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

from functions.shared import objects
from functions.shared.tracing import traced

URL_SECONDS = 300
"""Life of a presigned URL: it must be *used* within that time; a transfer may go on beyond."""

_CHUNK = 1024 * 1024
_PARTS_CHANGED = frozenset(
    {
        *("BadDigest", "ConditionalRequestConflict", "InvalidPart", "InvalidRequest"),
        *("NoSuchUpload", "PreconditionFailed"),
    }
)
_CHECKSUMS = ("CRC64NVME", "CRC32C", "CRC32", "SHA1")


@dataclass(frozen=True)
class PutTicket:
    """A presigned PUT: the URL, the headers that must be sent with it, and when it ends."""

    url: str
    headers: Mapping[str, str]
    expires: str


@dataclass(frozen=True)
class GetTicket:
    """A presigned GET and when it ends."""

    url: str
    expires: str


@dataclass(frozen=True)
class StoredObject:
    """What S3 says of one object version."""

    size: int
    content_type: str
    etag: str
    sha256: str | None
    composite: str | None
    """Of an object in parts: the SHA-256 of the parts' digests, and their count."""
    checksum: str | None


@dataclass(frozen=True)
class StoredPart:
    """A part of an object that isn't joined yet."""

    number: int
    size: int
    etag: str
    sha256: str


@cache
def s3() -> Any:
    """The process's client. Handlers call this while they start, when Lambda gives most CPU."""
    emulated = "AWS_ENDPOINT_URL_S3" in os.environ or "AWS_ENDPOINT_URL" in os.environ
    client = boto3.client(
        "s3",
        config=Config(
            signature_version="s3v4",
            connect_timeout=1,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 3},
            # Only declared checksums: a default one would be signed, and no client knew its value.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={
                "addressing_style": "path" if emulated else "virtual",
                "us_east_1_regional_endpoint": "regional",
            },
        ),
    )
    return traced(client)


def presign_put(key: str, content_type: str, size: int | None, sha256: str | None) -> PutTicket:
    """A URL that writes `key` once: an existing object is never replaced (412)."""
    headers = {"Content-Type": content_type, "If-None-Match": "*"}
    parameters: dict[str, Any] = {"ContentType": content_type, "IfNoneMatch": "*"}
    if size is not None:
        headers["Content-Length"] = str(size)
        parameters["ContentLength"] = size
    if sha256 is not None:
        headers["x-amz-checksum-sha256"] = sha256
        parameters["ChecksumSHA256"] = sha256
    expires = _expiry()
    return PutTicket(_presign("put_object", key, parameters), headers, expires)


def presign_get(key: str, s3_version: str | None, content_type: str, disposition: str) -> GetTicket:
    """A URL that reads exactly the object version that was verified, under its declared type."""
    parameters = _version(s3_version) | {
        "ResponseContentType": content_type,
        "ResponseContentDisposition": disposition,
        "ResponseCacheControl": "private, no-store",
    }
    expires = _expiry()
    return GetTicket(_presign("get_object", key, parameters), expires)


def put(key: str, content: bytes, content_type: str, sha256: str) -> str | None:
    """Stores small content under a key that doesn't exist yet; its S3 version id."""
    answer = s3().put_object(
        Bucket=name(),
        Key=key,
        Body=content,
        ContentType=content_type,
        ChecksumSHA256=sha256,
        IfNoneMatch="*",
    )
    return answer.get("VersionId")


def begin_parts(key: str, content_type: str) -> str:
    """Opens an object in parts, each of which must come with its SHA-256; S3's id of it."""
    answer = s3().create_multipart_upload(
        Bucket=name(),
        Key=key,
        ContentType=content_type,
        ChecksumAlgorithm="SHA256",
        ChecksumType="COMPOSITE",
    )
    return answer["UploadId"]


def presign_parts(
    key: str, upload_id: str, parts: Iterable[tuple[int, int, str]]
) -> list[PutTicket]:
    """URLs that write one part each, by (number, size, SHA-256): these bytes, at this place only.

    botocore's signer without its client, which finds the same address and credentials anew for
    each: more than half of its work.
    """
    whole = {"UploadId": upload_id, "PartNumber": 1}
    place = _presign("upload_part", key, whole).partition("?")[0]
    session = boto3.DEFAULT_SESSION
    assert session is not None, "the client is of this session"
    credentials = session.get_credentials()
    assert credentials is not None, "the client has signed"
    frozen, region = credentials.get_frozen_credentials(), s3().meta.region_name
    expires, signer = _expiry(), S3SigV4QueryAuth(frozen, "s3", region, URL_SECONDS)
    tickets: list[PutTicket] = []
    for number, size, sha256 in parts:
        headers = {"Content-Length": str(size), "x-amz-checksum-sha256": sha256}
        query = {"uploadId": upload_id, "partNumber": number}
        request = AWSRequest("PUT", place, headers, params=query)
        signer.add_auth(request)
        tickets.append(PutTicket(str(request.url), headers, expires))
    return tickets


def list_parts(key: str, upload_id: str) -> list[StoredPart] | None:
    """The parts that have arrived, by number; None when S3 has no such upload (any more)."""
    pages = s3().get_paginator("list_parts").paginate(Bucket=name(), Key=key, UploadId=upload_id)
    try:
        return [
            StoredPart(part["PartNumber"], part["Size"], part["ETag"], part["ChecksumSHA256"])
            for page in pages
            for part in page.get("Parts", ())
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchUpload":
            return None
        raise


def complete_parts(
    key: str, upload_id: str, parts: Sequence[StoredPart], composite: str, *, size: int
) -> bool:
    """Joins the parts under a key that doesn't exist yet; False when they are no longer these."""
    listed = [
        {"PartNumber": part.number, "ETag": part.etag, "ChecksumSHA256": part.sha256}
        for part in parts
    ]
    try:
        s3().complete_multipart_upload(
            Bucket=name(),
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": listed},
            ChecksumSHA256=composite,
            MpuObjectSize=size,
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _PARTS_CHANGED:
            return False
        raise
    return True


def abort_parts(key: str, upload_id: str) -> None:
    """Removes the parts of an object that isn't joined; nothing happens when there are none."""
    try:
        s3().abort_multipart_upload(Bucket=name(), Key=key, UploadId=upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise


def head(key: str, s3_version: str | None) -> StoredObject | None:
    """What S3 keeps of an object version; None when there is none."""
    try:
        answer = s3().head_object(**_object(key, s3_version), ChecksumMode="ENABLED")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    sha256 = answer.get("ChecksumSHA256")
    composite = sha256 if sha256 and "-" in sha256 else None
    checksums = (
        f"{algorithm}:{answer[f'Checksum{algorithm}']}"
        for algorithm in _CHECKSUMS
        if f"Checksum{algorithm}" in answer
    )
    return StoredObject(
        size=answer["ContentLength"],
        content_type=answer.get("ContentType", ""),
        etag=answer["ETag"],
        # A composite ("digest of digests-parts") isn't the digest of the object.
        sha256=None if composite else sha256,
        composite=composite,
        checksum=f"SHA256:{composite}" if composite else next(checksums, None),
    )


def tag(key: str, s3_version: str | None, wanted: str) -> str | None:
    """The value of an object version's tag; None without the tag, or the object."""
    try:
        answer = s3().get_object_tagging(**_object(key, s3_version))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    return next((found["Value"] for found in answer["TagSet"] if found["Key"] == wanted), None)


def stream(key: str, s3_version: str | None) -> Iterator[bytes]:
    """An object's bytes in pieces of at most 1 MiB."""
    with closing(s3().get_object(**_object(key, s3_version))["Body"]) as body:
        yield from body.iter_chunks(_CHUNK)


def first_bytes(key: str, s3_version: str | None, count: int) -> bytes:
    """At most `count` first bytes of an object that isn't empty."""
    answer = s3().get_object(**_object(key, s3_version), Range=f"bytes=0-{count - 1}")
    with closing(answer["Body"]) as body:
        return body.read()


def remove(key: str, s3_version: str | None) -> None:
    """Removes one object version for good."""
    s3().delete_object(**_object(key, s3_version))


def hide(key: str) -> None:
    """Puts a delete marker over an object: unreadable by its key, though not lost."""
    s3().delete_object(Bucket=name(), Key=key)


def erase(prefix: str) -> int:
    """Removes every version and delete marker under a prefix; how many there were."""
    return objects.erase(s3(), name(), prefix)


def name() -> str:
    """The bucket's name."""
    return os.environ["BUCKET_NAME"]


def _presign(operation: str, key: str, parameters: Mapping[str, Any]) -> str:
    return s3().generate_presigned_url(
        operation,
        Params={"Bucket": name(), "Key": key, **parameters},
        ExpiresIn=URL_SECONDS,
    )


def _expiry() -> str:
    """Taken before signing, so that the promise is never longer than the signature."""
    moment = datetime.fromtimestamp(int(time.time()) + URL_SECONDS, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _object(key: str, s3_version: str | None) -> dict[str, Any]:
    return {"Bucket": name(), "Key": key, **_version(s3_version)}


def _version(s3_version: str | None) -> dict[str, Any]:
    return {"VersionId": s3_version} if s3_version else {}
