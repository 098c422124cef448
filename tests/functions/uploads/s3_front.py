"""A strict S3 front door, written from the specification of presigned URLs.

It recomputes Signature Version 4 (query form) with hashlib and hmac alone, and refuses what S3
refuses: expired or altered URLs, signed headers that are missing or differ, `x-amz-*` headers that
aren't signed, bytes that differ from their length or checksum, existing keys under
`If-None-Match: *`. Only then the request reaches the bucket behind it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from botocore.exceptions import ClientError


@dataclass(frozen=True)
class Answer:
    status: int
    error: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = ()  # type: ignore[assignment]
    event: Mapping[str, Any] | None = None


class S3Front:
    """Presigned requests, as S3 would treat them, on a moto bucket."""

    def __init__(self, client: Any, bucket: str, secrets: Mapping[str, str]) -> None:
        self.client, self.bucket, self.secrets = client, bucket, secrets
        self.checksums: dict[tuple[str, int], str] = {}
        """Of each part: by S3's id of the upload, and number."""
        self.composites: dict[str, str] = {}
        """Checksums of joined objects without and with the number of parts."""
        self.joined: dict[str, Mapping[str, Any]] = {}
        """S3's event for each object joined from parts, by key."""

    def put(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        method: str = "PUT",
        now: datetime | None = None,
    ) -> Answer:
        """A PUT (or another method tried in its place); the answer has S3's event when stored."""
        sent = {name.lower(): value for name, value in headers.items()}
        sent.setdefault("content-length", str(len(body)))
        if refusal := self.refusal(method, url, sent, now):
            return refusal
        if int(sent["content-length"]) > len(body):
            return Answer(400, "IncompleteBody")
        body = body[: int(sent["content-length"])]  # what follows is no part of an HTTP request
        key = self.key_of(url)
        checksum = sent.get("x-amz-checksum-sha256")
        if checksum and checksum != base64.b64encode(hashlib.sha256(body).digest()).decode():
            return Answer(400, "XAmzContentChecksumMismatch")
        query = dict(parse_qsl(urlsplit(url).query))
        if "uploadId" in query:
            return self._put_part(key, query["uploadId"], int(query["partNumber"]), body, checksum)
        if sent.get("if-none-match") == "*" and self._exists(key):
            return Answer(412, "PreconditionFailed")
        stored = self.client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=body,
            ContentType=sent.get("content-type", "binary/octet-stream"),
            **({"ChecksumSHA256": checksum} if checksum else {}),
        )
        return Answer(200, event=created(self.bucket, key, stored.get("VersionId"), len(body)))

    def get(self, url: str, *, now: datetime | None = None) -> Answer:
        if refusal := self.refusal("GET", url, {}, now):
            return refusal
        query = dict(parse_qsl(urlsplit(url).query))
        try:
            found = self.client.get_object(
                Bucket=self.bucket,
                Key=self.key_of(url),
                **({"VersionId": query["versionId"]} if "versionId" in query else {}),
            )
        except self.client.exceptions.ClientError as error:
            return Answer(error.response["ResponseMetadata"]["HTTPStatusCode"])
        answered = {
            name.removeprefix("response-"): value
            for name, value in query.items()
            if name.startswith("response-")
        }
        return Answer(200, body=found["Body"].read(), headers=answered)

    def refusal(
        self, method: str, url: str, headers: Mapping[str, str], now: datetime | None = None
    ) -> Answer | None:
        """Why S3 refuses a presigned request; None when its signature holds."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        signature = query.pop("X-Amz-Signature", "")
        if query.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
            return Answer(403, "AccessDenied")
        access_key, date, region, service, _ = query["X-Amz-Credential"].split("/")
        if access_key not in self.secrets:
            return Answer(403, "InvalidAccessKeyId")
        start = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        life = int(query["X-Amz-Expires"])
        moment = now or datetime.now(UTC)
        if not 1 <= life <= 604_800 or moment > start + timedelta(seconds=life):
            return Answer(403, "AccessDenied: expired")
        signed = query["X-Amz-SignedHeaders"].split(";")
        present = {"host": parts.netloc, **headers}
        if "host" not in signed or any(name not in present for name in signed):
            return Answer(403, "SignatureDoesNotMatch")
        unsigned = {name for name in headers if name.startswith("x-amz-")} - set(signed)
        if unsigned:
            return Answer(403, "AccessDenied: headers not signed")
        canonical = "\n".join(
            [
                method,
                parts.path,
                "&".join(sorted(f"{_encode(n)}={_encode(v)}" for n, v in query.items())),
                *(f"{name}:{' '.join(present[name].split())}" for name in signed),
                "",
                ";".join(signed),
                "UNSIGNED-PAYLOAD",
            ]
        )
        scope = f"{date}/{region}/{service}/aws4_request"
        to_sign = "\n".join(
            [
                "AWS4-HMAC-SHA256",
                query["X-Amz-Date"],
                scope,
                hashlib.sha256(canonical.encode()).hexdigest(),
            ]
        )
        key = f"AWS4{self.secrets[access_key]}".encode()
        for part in (date, region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), signature):
            return Answer(403, "SignatureDoesNotMatch")
        return None

    def watch(self, client: Any) -> None:
        """Gives another client of the bucket what S3 does for parts and moto leaves out."""
        events = client.meta.events
        events.register("after-call.s3.ListParts", self._add_checksums)
        events.register("provide-client-params.s3.CompleteMultipartUpload", self._check_join)
        events.register("after-call.s3.CompleteMultipartUpload", self._report_join)
        events.register("after-call.s3.HeadObject", self._show_composite)

    def _add_checksums(self, parsed: dict[str, Any], **_: Any) -> None:
        for part in parsed.get("Parts", ()):
            part["ChecksumSHA256"] = self.checksums[parsed["UploadId"], part["PartNumber"]]

    def _check_join(self, params: dict[str, Any], **_: Any) -> None:
        """S3 refuses parts with other checksums, another composite and another size."""
        upload, numbers = params["UploadId"], []
        for part in params["MultipartUpload"]["Parts"]:
            numbers.append(part["PartNumber"])
            if part["ChecksumSHA256"] != self.checksums.get((upload, part["PartNumber"])):
                raise _client_error("InvalidPart")
        digests = b"".join(base64.b64decode(self.checksums[upload, n]) for n in numbers)
        composite = base64.b64encode(hashlib.sha256(digests).digest()).decode()
        self.composites[composite] = f"{composite}-{len(numbers)}"
        if params["ChecksumSHA256"] != self.composites[composite]:
            raise _client_error("BadDigest")
        stored = self.client.list_parts(Bucket=self.bucket, Key=params["Key"], UploadId=upload).get(
            "Parts", ()
        )
        if params["MpuObjectSize"] != sum(part["Size"] for part in stored):
            raise _client_error("InvalidRequest")

    def _show_composite(self, parsed: dict[str, Any], **_: Any) -> None:
        known = self.composites.get(parsed.get("ChecksumSHA256", ""))
        parsed |= {"ChecksumSHA256": known} if known else {}

    def _report_join(self, parsed: dict[str, Any], **_: Any) -> None:
        if "Key" in parsed:
            key = parsed["Key"]
            self.joined[key] = created(self.bucket, key, parsed.get("VersionId"), 0)

    def _put_part(
        self, key: str, upload_id: str, number: int, body: bytes, checksum: str | None
    ) -> Answer:
        if not checksum:
            return Answer(400, "InvalidRequest")
        try:
            self.client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )
        except KeyError:  # moto knows no upload of this id (any more)
            return Answer(404, "NoSuchUpload")
        self.checksums[upload_id, number] = checksum
        return Answer(200)

    def key_of(self, url: str) -> str:
        """Virtual-hosted addresses: the whole path is the key."""
        return unquote(urlsplit(url).path[1:])

    def _exists(self, key: str) -> bool:
        try:
            self.client.head_object(Bucket=self.bucket, Key=key)
        except self.client.exceptions.ClientError:
            return False
        return True


def signed_headers(url: str) -> set[str]:
    return set(dict(parse_qsl(urlsplit(url).query))["X-Amz-SignedHeaders"].split(";"))


def created(bucket: str, key: str, version_id: str | None, size: int) -> dict[str, Any]:
    """S3's event: keys are URL-encoded in it, with + for a blank."""
    stored: dict[str, Any] = {"key": quote_plus(key, safe="/"), "size": size}
    if version_id:
        stored["versionId"] = version_id
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": stored},
    }
    return {"Records": [record]}


def _client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "CompleteMultipartUpload")


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
