"""Uploads that must not be accepted, each with the reason, and the good one beside them."""

import gzip
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions.uploads.media_types import contradiction
from tests.functions.uploads.conftest import BUCKET, User, binary, digest
from tests.functions.uploads.s3_front import created, signed_headers

CONTENT = b"bytes that were announced"

Change = Callable[[dict[str, Any]], dict[str, Any]]


def without(header: str) -> Change:
    return lambda request: (
        request | {"headers": {n: v for n, v in request["headers"].items() if n != header}}
    )


def with_header(header: str, value: str) -> Change:
    return lambda request: request | {"headers": {**request["headers"], header: value}}


def with_body(body: bytes) -> Change:
    return lambda request: request | {"body": body}


def with_url(old: str, new: str) -> Change:
    return lambda request: request | {"url": request["url"].replace(old, new)}


def combined(*changes: Change) -> Change:
    def change(request: dict[str, Any]) -> dict[str, Any]:
        for step in changes:
            request = step(request)
        return request

    return change


HOSTILE: Mapping[str, tuple[Change, int]] = {
    "more bytes": (
        combined(with_body(CONTENT + b"x"), with_header("Content-Length", str(len(CONTENT) + 1))),
        403,
    ),
    "fewer bytes": (with_body(CONTENT[1:]), 400),
    "other bytes of the same length": (with_body(CONTENT[::-1]), 400),
    "other bytes with their checksum": (
        combined(
            with_body(CONTENT[::-1]),
            with_header("x-amz-checksum-sha256", digest(CONTENT[::-1])),
        ),
        403,
    ),
    "no checksum": (without("x-amz-checksum-sha256"), 403),
    "another type": (with_header("Content-Type", "text/html"), 403),
    "no type": (without("Content-Type"), 403),
    "permission to overwrite": (without("If-None-Match"), 403),
    "an ETag to overwrite": (with_header("If-None-Match", '"abc"'), 403),
    "weaker encryption": (with_header("x-amz-server-side-encryption", "AES256"), 403),
    "another key for encryption": (
        with_header("x-amz-server-side-encryption-aws-kms-key-id", "alias/mine"),
        403,
    ),
    "a public ACL": (with_header("x-amz-acl", "public-read"), 403),
    "a copy of another key": (with_header("x-amz-copy-source", f"/{BUCKET}/other"), 403),
    "metadata": (with_header("x-amz-meta-owner", "me"), 403),
    "another version": (with_url("/1?", "/2?"), 403),
    "another folder": (with_url("/unassigned/", "/datasets/somebody/"), 403),
    "a longer life": (with_url("X-Amz-Expires=300", "X-Amz-Expires=30000"), 403),
    "fewer signed headers": (with_url("%3Bif-none-match", ""), 403),
    "another region": (with_url("%2Feu-central-1%2F", "%2Fus-east-1%2F"), 403),
    "an altered signature": (lambda r: r | {"url": r["url"][:-1] + "g"}, 403),
    "another query": (lambda r: r | {"url": r["url"] + "&partNumber=1"}, 403),
    "another method": (lambda r: r | {"method": "DELETE"}, 403),
    "too late": (lambda r: r | {"now": datetime.now(UTC) + timedelta(seconds=301)}, 403),
}


def test_every_changed_request_is_refused_and_the_good_one_works(
    owner: User, complete: Callable[..., None]
) -> None:
    made = owner.new(CONTENT).body
    good = {"url": made["presignedPutUrl"], "headers": made["uploadHeaders"], "body": CONTENT}

    answers = {case: owner.front.put(**change(good)) for case, (change, _) in HOSTILE.items()}

    expected = {case: status for case, (_, status) in HOSTILE.items()}
    assert {case: answer.status for case, answer in answers.items()} == expected
    assert owner.read(made["id"])["uploadStatus"] == "pending"
    complete(owner.front.put(**good).event)
    assert owner.read(made["id"])["uploadStatus"] == "available"


def test_a_url_works_once(
    owner: User, aws: Any, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    made = owner.new(CONTENT).body
    event = owner.put(made, CONTENT).event
    assert owner.put(made, CONTENT).status == 412

    complete(event)
    complete(event)

    assert owner.put(made, CONTENT).status == 412
    assert owner.read(made["id"])["uploadStatus"] == "available"
    assert used(owner) == len(CONTENT)


def test_bytes_put_over_verified_ones_are_removed(
    owner: User, aws: Any, complete: Callable[..., None]
) -> None:
    made = owner.new(CONTENT).body
    complete(owner.put(made, CONTENT).event)
    key = f"unassigned/{made['id']}/1"
    other = aws.put_object(Bucket=BUCKET, Key=key, Body=b"evil")

    complete(created(BUCKET, key, other["VersionId"], 4))

    assert aws.get_object(Bucket=BUCKET, Key=key)["Body"].read() == CONTENT
    assert len(aws.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]) == 1


ALTERED: Mapping[str, tuple[dict[str, Any], bytes, str, str]] = {
    "size": ({"size": 9}, b"12345678", "text/plain", "8 bytes arrived, 9 were declared"),
    "type": ({}, b"x", "text/html", "another content type"),
    "checksum": ({"sha256": digest(b"b")}, b"a", "text/plain", "SHA-256"),
    "limit": ({}, bytes(10_000_001), "text/plain", "at most 10000000"),
}


@pytest.mark.parametrize("case", ALTERED)
def test_what_slipped_past_s3_is_rejected_and_removed(
    owner: User, aws: Any, complete: Callable[..., None], used: Callable[..., int], case: str
) -> None:
    members, content, content_type, reason = ALTERED[case]
    made = owner.new(contentType="text/plain", **members).body
    key = f"unassigned/{made['id']}/1"
    stored = aws.put_object(Bucket=BUCKET, Key=key, Body=content, ContentType=content_type)
    event = created(BUCKET, key, stored["VersionId"], len(content))

    complete(event)
    complete(event)

    found = owner.read(made["id"])
    assert found["uploadStatus"] == "rejected"
    assert reason in found["reason"]
    assert "presignedGetUrl" not in found
    assert "Versions" not in aws.list_object_versions(Bucket=BUCKET, Prefix=key)
    assert used(owner) == 0


NIFTI = bytes(344) + b"n+1\0" + bytes(100)
FORMATS: Mapping[str, tuple[bytes, bytes]] = {
    "application/dicom": (bytes(128) + b"DICM....", b"DICM" + bytes(200)),
    "application/x-nifti": (NIFTI, bytes(400)),
    "application/nifti; charset=binary": (gzip.compress(NIFTI), gzip.compress(bytes(400))),
    "image/x-nifti": (bytes(4) + b"n+2\0\r\n\x1a\n" + bytes(400), b"\x1f\x8b broken"),
    "image/png": (b"\x89PNG\r\n\x1a\n...", b"\xff\xd8\xff\xe0"),
    "image/jpeg": (b"\xff\xd8\xff\xe0", b"GIF89a"),
    "image/tiff": (b"II*\0....", b"II"),
    "application/pdf": (b"%PDF-1.7", b"<html>"),
    "application/zip": (b"PK\x03\x04..", b"MZ"),
    "application/gzip": (gzip.compress(b""), b"PK\x03\x04"),
}


@pytest.mark.parametrize("content_type", FORMATS)
def test_bytes_must_begin_as_their_type_does(content_type: str) -> None:
    good, bad = FORMATS[content_type]
    assert contradiction(content_type, good) is None
    assert contradiction(content_type, bad)
    assert contradiction(content_type, b"")
    assert contradiction("text/csv", bad) is None


def test_bytes_of_another_format_are_rejected(owner: User, complete: Callable[..., None]) -> None:
    good, bad = FORMATS["application/dicom"]
    for content, status in ((good, "available"), (bad, "rejected"), (b"", "rejected")):
        made = owner.new(content, contentType="application/dicom").body
        complete(owner.put(made, content).event)
        assert owner.read(made["id"])["uploadStatus"] == status


def test_an_object_that_nobody_registered_is_hidden(
    owner: User, aws: Any, complete: Callable[..., None]
) -> None:
    made = owner.new().body
    for key in (
        f"unassigned/{made['id']}/2",
        f"datasets/other/{made['id']}/1",
        f"unassigned/{made['id']}/01",
        "a key/ä+b.bin",
    ):
        stored = aws.put_object(Bucket=BUCKET, Key=key, Body=b"stray")
        complete(created(BUCKET, key, stored["VersionId"], 5))
        with pytest.raises(aws.exceptions.ClientError, match="404"):
            aws.head_object(Bucket=BUCKET, Key=key)
    assert owner.read(made["id"])["uploadStatus"] == "pending"


def test_other_users_are_refused(
    owner: User, user: Callable[..., User], complete: Callable[..., None]
) -> None:
    made = owner.new(CONTENT).body
    complete(owner.put(made, CONTENT).event)
    path, other, admin = f"/Binary/{made['id']}", user(), user("admin")
    requests: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("GET", f"{path}/_history/1", None),
        ("GET", f"{path}/$upload-status", None),
        ("PUT", path, binary(id=made["id"])),
        ("DELETE", path, None),
    ]
    for request in requests:
        assert other.call(*request).status == 403
    assert other.call("GET", path, headers={"Accept": "image/png"}).status == 403
    assert admin.call("GET", path).body["presignedGetUrl"]
    owner.call("DELETE", path)
    assert other.call("GET", path).status == 403


def test_groups_without_the_right_are_refused(user: Callable[..., User]) -> None:
    auditor = user("auditor")
    assert auditor.new().status == 403
    for method in ("GET", "DELETE"):
        assert auditor.call(method, "/Binary/unknown").status == 403


DATA = "aGVsbG8="
INVALID: Mapping[str, tuple[dict[str, Any], int]] = {
    "no type": ({"contentType": None}, 400),
    "a type that isn't one": ({"contentType": "dicom"}, 400),
    "a header in the type": ({"contentType": "text/plain\r\nx-amz-acl: public-read"}, 400),
    "a list as type": ({"contentType": ["a/b"]}, 400),
    "a type that can't be signed": (
        {"contentType": "application/x-www-form-urlencoded; charset=utf-8"},
        400,
    ),
    "negative size": ({"size": -1}, 400),
    "half a byte": ({"size": 1.5}, 400),
    "a size as text": ({"size": "12"}, 400),
    "true bytes": ({"size": True}, 400),
    "a size beyond numbers": ({"size": 10**30}, 400),
    "more than an object": ({"size": 10_000_001}, 413),
    "hex checksum": ({"sha256": "ab" * 32}, 400),
    "short checksum": ({"sha256": "YWJj"}, 400),
    "a checksum with another ending": ({"sha256": digest(b"")[:-2] + "V="}, 400),
    "a path": ({"fileName": "../../etc/passwd"}, 400),
    "a Windows path": ({"fileName": "..\\boot.ini"}, 400),
    "dots": ({"fileName": ".."}, 400),
    "a line break": ({"fileName": 'a"\r\nSet-Cookie: b'}, 400),
    "a name that turns round": ({"fileName": "scan\u202egnp.exe"}, 400),
    "half a character": ({"fileName": "\ud800"}, 400),
    "a long name": ({"fileName": "a" * 256}, 400),
    "data that isn't base64": ({"data": "???"}, 400),
    "no data": ({"data": ""}, 400),
    "data as a number": ({"data": 7}, 400),
    "too much data": ({"data": "AAAA" * 350_000}, 413),
    "data of another size": ({"data": DATA, "size": 4}, 422),
    "data of another checksum": ({"data": DATA, "sha256": digest(b"other")}, 422),
    "data of another format": ({"data": DATA, "contentType": "image/png"}, 422),
    "an unknown member": ({"title": "scan"}, 400),
    "another resource": ({"resourceType": "Patient"}, 400),
    "a reference that is none": ({"securityContext": "DocumentReference/1"}, 400),
    "a dataset that doesn't exist": (
        {"securityContext": {"reference": "DocumentReference/none"}},
        422,
    ),
    "meta that is none": ({"meta": []}, 400),
    "a resource too large": ({"meta": {"profile": [f"urn:{'x' * 70_000}"]}}, 413),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_request_is_refused(owner: User, used: Callable[..., int], case: str) -> None:
    members, status = INVALID[case]

    reply = owner.new(**members)

    assert reply.status == status
    assert reply.problem
    assert used(owner) == 0


def test_requests_that_make_no_sense(owner: User) -> None:
    made = owner.new().body
    path = f"/Binary/{made['id']}"
    assert owner.call("POST", "/Binary", "{").status == 400
    assert owner.call("POST", "/Binary", "[]").status == 400
    assert owner.call("POST", "/Binary").status == 400
    assert owner.call("POST", "/Binary", "<a/>", {"Content-Type": "text/xml"}).status == 415
    assert owner.call("POST", "/Binary", binary(), {"If-None-Exist": "a=b"}).status == 400
    assert owner.call("POST", "/Binary", binary(), {"Accept": "text/css"}).status == 406
    assert owner.call("PATCH", path, []).headers["Allow"] == "GET, PUT, DELETE"
    assert owner.call("GET", f"{path}/_history/0").status == 404
    assert owner.call("GET", f"{path}/_history/9").status == 404
    assert owner.call("GET", f"{path}/$everything").status == 404
    assert owner.call("POST", f"{path}/$upload-status").status == 405
    assert owner.call("GET", f"/Binary/{'a' * 65}").status == 404
    assert owner.call("GET", "/Binary/unknown").status == 404
    assert owner.call("HEAD", path).body == {}


def test_file_names_survive_as_download_names(owner: User, complete: Callable[..., None]) -> None:
    made = owner.new(CONTENT, fileName='Schädel "1"; x=y %41 頭.dcm').body
    complete(owner.put(made, CONTENT).event)

    got = owner.front.get(owner.read(made["id"])["presignedGetUrl"])

    assert got.headers["content-disposition"] == (
        "attachment; filename=\"Schadel _1_; x=y _41 _.dcm\"; filename*=UTF-8''"
        "Sch%C3%A4del%20%221%22%3B%20x%3Dy%20%2541%20%E9%A0%AD.dcm"
    )


def test_a_read_url_serves_only_its_object(owner: User, complete: Callable[..., None]) -> None:
    made = owner.new(CONTENT, contentType="text/html").body
    complete(owner.put(made, CONTENT).event)
    url = owner.read(made["id"])["presignedGetUrl"]

    assert signed_headers(url) == {"host"}
    assert owner.front.get(url.replace("attachment", "inline")).status == 403
    assert owner.front.get(url.replace("text%2Fhtml", "image%2Fpng")).status == 403
    assert owner.front.get(url.replace(made["id"], "other")).status == 403
    later = datetime.now(UTC) + timedelta(seconds=301)
    assert owner.front.get(url, now=later).status == 403
    assert urlsplit(url).path == f"/unassigned/{made['id']}/1"
