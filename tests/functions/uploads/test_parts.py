"""Uploads in parts: resumed from the id alone, joined once, and nothing hostile among them."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from functions.shared import consistency
from tests.functions.uploads.conftest import BUCKET, QUOTA_BYTES, Reply, User, binary, digest
from tests.functions.uploads.s3_front import signed_headers

PART = 100  # bytes, in place of 8 MiB
CHANCE = random.Random(7)  # noqa: S311
CONTENT = CHANCE.randbytes(4 * PART + 17)
PIECES = [CONTENT[start : start + PART] for start in range(0, len(CONTENT), PART)]

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture
def small_parts(settings: pytest.MonkeyPatch) -> None:
    from moto.s3 import models

    from functions.uploads import parts

    settings.setattr(parts, "SMALLEST_PART_BYTES", PART)
    settings.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)


@dataclass
class Sender:
    """A client that knows a Binary's id and its own file, and counts what S3 acknowledged."""

    user: User
    binary_id: str
    pieces: list[bytes] = field(default_factory=lambda: PIECES)
    sent: list[int] = field(default_factory=list)

    def operation(self, name: str, body: object = None, method: str = "POST") -> Reply:
        return self.user.call(method, f"/Binary/{self.binary_id}/${name}", body)

    def status(self) -> dict[str, Any]:
        return self.operation("upload-status", method="GET").body

    def tickets(self, *numbers: int) -> list[dict[str, Any]]:
        named = [{"number": n, "sha256": digest(self.pieces[n - 1])} for n in numbers]
        reply = self.operation("upload-parts", {"parts": named})
        assert reply.status == 200, reply.body
        return reply.body["parts"]

    def send(self, *numbers: int) -> None:
        for ticket in self.tickets(*numbers):
            piece = self.pieces[ticket["number"] - 1]
            assert self.user.front.put(ticket["url"], ticket["headers"], piece).status == 200
            self.sent.append(ticket["number"])

    def event(self) -> Mapping[str, Any]:
        """S3's report of the joined object."""
        return self.user.front.joined[f"unassigned/{self.binary_id}/1"]


@pytest.fixture
def sender(owner: User) -> Sender:
    made = owner.new(CONTENT, multipart=True)
    assert made.status == 201
    return Sender(owner, made.body["id"])


def test_parts_are_joined_and_verified_without_reading_them(
    owner: User, complete: Callable[..., None], used: Callable[..., int], settings: Any
) -> None:
    from functions.uploads import bucket

    settings.setattr(bucket, "stream", lambda *_: pytest.fail("S3 has verified every part"))
    made = owner.new(size=len(CONTENT), multipart=True, fileName="volume.bin").body
    assert made.keys().isdisjoint({"presignedPutUrl", "uploadHeaders"})
    assert (made["partSize"], made["uploadStatus"]) == (PART, "pending")
    assert used(owner) == len(CONTENT), "the quota speaks before the first byte"
    sender = Sender(owner, made["id"])

    sender.send(5, 1, 2, 3, 4)
    reply = sender.operation("complete")

    assert (reply.status, reply.body["status"]) == (202, "pending")
    complete(sender.event())
    status = sender.status()
    assert status["status"] == "available"
    assert status["checksum"].startswith("SHA256:")
    assert status["checksum"].endswith("-5")
    assert status["received"] == [
        {"number": number, "size": len(piece), "sha256": digest(piece)}
        for number, piece in enumerate(PIECES, 1)
    ]
    found = owner.read(made["id"])
    assert (found["size"], found["checksum"]) == (len(CONTENT), status["checksum"])
    assert "sha256" not in found
    assert owner.front.get(found["presignedGetUrl"]).body == CONTENT
    assert used(owner) == len(CONTENT)


def test_size_decides_and_grows_the_parts(owner: User, settings: Any, used: Any) -> None:
    from functions.uploads import parts

    assert parts.size_of_parts(parts.MOST_BYTES_AT_ONCE, wanted=False) is None
    settings.setattr(parts, "SMALLEST_PART_BYTES", 8 * 1024**2)
    assert parts.size_of_parts(parts.MOST_BYTES_AT_ONCE + 1, wanted=False) == 8 * 1024**2
    assert parts.size_of_parts(1, wanted=True) == 8 * 1024**2
    largest = 5 * 1024**4
    size = parts.size_of_parts(largest, wanted=False)
    assert size is not None
    assert -(-largest // size) == parts.MOST_PARTS
    invalid: list[dict[str, Any]] = [{}, {"size": 0}, {"size": 5, "multipart": "yes"}]
    for members in invalid:
        assert owner.new(None, **({"multipart": True} | members)).status == 400
    assert owner.new(multipart=True, data="aGVsbG8=").status == 422
    assert used(owner) == 0


def test_killed_at_any_point_it_goes_on_from_the_id_alone(
    sender: Sender, complete: Callable[..., None]
) -> None:
    kills = 0
    while missing := [n for n in range(1, 6) if n not in sender.sent]:
        reborn = Sender(sender.user, sender.binary_id)
        known = {part["number"] for part in reborn.status()["received"]}
        assert known == set(sender.sent)
        batch = [n for n in missing if n not in known][: CHANCE.randint(1, 2)]
        reborn.send(*batch)
        sender.sent += reborn.sent
        kills += 1
    assert kills > 2
    assert sorted(sender.sent) == [1, 2, 3, 4, 5], "no part was sent twice"

    joined = sender.operation("complete")
    written = consistency.versions_of(joined.headers[consistency.HEADER])
    assert (joined.status, written) == (202, {f"Binary/{sender.binary_id}": 1})
    complete(sender.event())

    found = sender.user.read(sender.binary_id)
    assert found["uploadStatus"] == "available"
    assert sender.user.front.get(found["presignedGetUrl"]).body == CONTENT


def test_completing_is_idempotent(sender: Sender, aws: Any, complete: Callable[..., None]) -> None:
    sender.send(1, 2, 3, 4, 5)
    assert [sender.operation("complete").status for _ in range(2)] == [202, 202]

    complete(sender.event())

    assert sender.operation("complete").body["status"] == "available"
    key = f"unassigned/{sender.binary_id}/1"
    assert len(aws.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]) == 1
    assert sender.operation("upload-parts", {"parts": [part(1)]}).status == 409
    assert sender.operation("abort").status == 409


def test_missing_parts_are_named(sender: Sender) -> None:
    assert "5 of 5 parts are missing: 1-5." in sender.operation("complete").problem
    sender.send(2, 5)

    reply = sender.operation("complete")

    assert reply.status == 409
    assert "3 of 5 parts are missing: 1, 3-4." in reply.problem
    assert sender.status()["status"] == "pending"
    sender.send(1, 3, 4)
    assert sender.operation("complete").status == 202


def part(number: object, sha256: object = None) -> dict[str, Any]:
    return {"number": number, "sha256": digest(b"") if sha256 is None else sha256}


INVALID: Mapping[str, Any] = {
    "nothing": {},
    "no parts": {"parts": []},
    "no list": {"parts": {"number": 1}},
    "too many": {"parts": [part(1)] * 501},
    "part 0": {"parts": [part(0)]},
    "a part beyond the end": {"parts": [part(6)]},
    "a negative part": {"parts": [part(-1)]},
    "half a part": {"parts": [part(1.5)]},
    "a part as text": {"parts": [part("1")]},
    "true": {"parts": [part(True)]},
    "a part twice": {"parts": [part(1), part(1)]},
    "no checksum": {"parts": [{"number": 1}]},
    "a hex checksum": {"parts": [part(1, "ab" * 32)]},
    "no part": {"parts": ["1"]},
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_batch_is_refused(sender: Sender, case: str) -> None:
    reply = sender.operation("upload-parts", INVALID[case])
    assert reply.status == 400
    assert reply.problem


Change = Callable[[dict[str, Any]], dict[str, Any]]


def with_url(old: str, new: str) -> Change:
    return lambda request: request | {"url": request["url"].replace(old, new)}


def with_headers(**changed: str) -> Change:
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    return lambda request: request | {"headers": {**request["headers"], **named}}


def with_body(body: bytes, **headers: str) -> Change:
    return lambda request: with_headers(**headers)(request) | {"body": body}


HOSTILE: Mapping[str, Change] = {
    "another part": with_url("partNumber=1", "partNumber=2"),
    "a part beyond the end": with_url("partNumber=1", "partNumber=9"),
    "another upload": with_url("uploadId=", "uploadId=x"),
    "another Binary": with_url("/unassigned/", "/unassigned/other/"),
    "another version": with_url("/1?", "/2?"),
    "a whole object": with_url("partNumber=1&", ""),
    "a longer life": with_url("X-Amz-Expires=300", "X-Amz-Expires=3000"),
    "swapped parts": with_body(PIECES[1]),
    "swapped parts with their checksum": with_body(
        PIECES[1], x_amz_checksum_sha256=digest(PIECES[1])
    ),
    "more bytes": with_body(PIECES[0] + b"x", Content_Length=str(PART + 1)),
    "fewer bytes": with_body(PIECES[0][1:]),
    "an altered byte": with_body(b"x" + PIECES[0][1:]),
    "no checksum": lambda r: r | {"headers": {"Content-Length": str(PART)}},
    "a copy of another object": with_headers(x_amz_copy_source=f"/{BUCKET}/other"),
    "another key for encryption": with_headers(
        x_amz_server_side_encryption_customer_algorithm="AES256"
    ),
    "an altered signature": lambda r: r | {"url": r["url"][:-1] + "g"},
    "another method": lambda r: r | {"method": "POST"},
    "too late": lambda r: r | {"now": datetime.now(UTC) + timedelta(seconds=301)},
}


@pytest.mark.parametrize("emulated", [False, True], ids=["by host", "by path"])
@pytest.mark.parametrize("token", [None, "of a+role/session=="], ids=["user", "role"])
def test_urls_of_a_batch_are_those_that_botocore_makes(
    settings: pytest.MonkeyPatch, *, emulated: bool, token: str | None
) -> None:
    import boto3
    from botocore import auth

    from functions.uploads import bucket

    session = boto3.Session("key", "secret", token, region_name="eu-central-1")
    settings.setattr(boto3, "DEFAULT_SESSION", session)
    settings.setattr(auth, "get_current_datetime", lambda: datetime(2026, 1, 31, tzinfo=UTC))
    if emulated:
        settings.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:4566")
    settings.setattr(bucket, "s3", cache(bucket.s3.__wrapped__))
    key, upload_id = "datasets/a b/c+d/1", "x/y+z=~"
    named = [(number, 8 * number, digest(b"x" * number)) for number in (1, 2, 10_000)]

    tickets = bucket.presign_parts(key, upload_id, named)

    for (number, size, sha256), ticket in zip(named, tickets, strict=True):
        wanted = {"UploadId": upload_id, "PartNumber": number}
        signed = wanted | {"ContentLength": size, "ChecksumSHA256": sha256}
        assert ticket.url == bucket.s3().generate_presigned_url(
            "upload_part", Params={"Bucket": BUCKET, "Key": key} | signed, ExpiresIn=300
        )
        assert ticket.headers == {"Content-Length": str(size), "x-amz-checksum-sha256": sha256}


def test_every_changed_part_is_refused_and_the_good_one_works(sender: Sender) -> None:
    [ticket] = sender.tickets(1)
    good = {"url": ticket["url"], "headers": ticket["headers"], "body": PIECES[0]}
    assert signed_headers(good["url"]) == {"host", "content-length", "x-amz-checksum-sha256"}

    answers = {case: sender.user.front.put(**change(good)) for case, change in HOSTILE.items()}

    accepted = {case for case, answer in answers.items() if answer.status not in (400, 403, 404)}
    assert accepted == set()
    assert sender.status()["received"] == []
    assert sender.user.front.put(**good).status == 200
    assert [p["number"] for p in sender.status()["received"]] == [1]


def test_others_reach_no_part(sender: Sender, user: Callable[..., User]) -> None:
    stranger = Sender(user(), sender.binary_id)
    for name in ("upload-parts", "complete", "abort"):
        assert stranger.operation(name, {"parts": [part(1)]}).status == 403
    assert stranger.operation("upload-status", method="GET").status == 403
    auditor = Sender(user("auditor"), sender.binary_id)
    assert auditor.operation("complete").status == 403
    assert sender.operation("complete", method="GET").status == 405


def test_a_part_replaced_while_joining_is_noticed(sender: Sender, settings: Any) -> None:
    from functions.uploads import bucket

    sender.send(1, 2, 3, 4, 5)
    listed = bucket.list_parts

    def outrun(key: str, upload_id: str) -> Any:
        found = listed(key, upload_id)
        other = Sender(sender.user, sender.binary_id, [bytes(PART), *PIECES[1:]])
        other.send(1)
        return found

    with settings.context() as patch:
        patch.setattr(bucket, "list_parts", outrun)
        assert sender.operation("complete").status == 409
    assert sender.status()["status"] == "pending"


def test_bytes_joined_behind_the_function_are_rejected(
    sender: Sender, aws: Any, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    from tests.functions.uploads.s3_front import created

    key = f"unassigned/{sender.binary_id}/1"
    stored = aws.put_object(
        Bucket=BUCKET, Key=key, Body=CONTENT, ContentType="application/octet-stream"
    )

    complete(created(BUCKET, key, stored["VersionId"], len(CONTENT)))

    found = sender.user.read(sender.binary_id)
    assert found["reason"] == "the bytes aren't the parts that were joined"
    assert used(sender.user) == 0
    assert sender.operation("complete").status == 409


def test_a_whole_checksum_that_is_wrong_is_found(
    owner: User, complete: Callable[..., None]
) -> None:
    made = owner.new(CONTENT, multipart=True, sha256=digest(b"other")).body
    sender = Sender(owner, made["id"])
    sender.send(1, 2, 3, 4, 5)
    sender.operation("complete")

    complete(sender.event())

    assert owner.read(made["id"])["reason"] == "the SHA-256 of the bytes isn't the declared one"


def open_uploads(aws: Any) -> set[str]:
    return {
        upload["Key"] for upload in aws.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
    }


def test_aborting_frees_everything(sender: Sender, aws: Any, used: Callable[..., int]) -> None:
    [ticket] = sender.tickets(3)
    sender.send(1, 2)
    key = f"unassigned/{sender.binary_id}/1"
    assert key in open_uploads(aws)

    assert [sender.operation("abort").status for _ in range(2)] == [204, 204]

    assert key not in open_uploads(aws)
    assert used(sender.user) == 0
    assert sender.user.front.put(ticket["url"], ticket["headers"], PIECES[2]).status == 404
    status = sender.status()
    assert (status["status"], status["received"]) == ("expired", [])
    assert status["reason"] == "ended by its owner"
    assert sender.operation("complete").status == 409


def test_deleting_the_binary_frees_its_parts(
    sender: Sender, aws: Any, used: Callable[..., int]
) -> None:
    sender.send(1)
    assert sender.user.call("DELETE", f"/Binary/{sender.binary_id}").status == 204
    assert f"unassigned/{sender.binary_id}/1" not in open_uploads(aws)
    assert used(sender.user) == 0
    assert sender.operation("complete").status == 410


def test_abandoned_parts_expire(
    sender: Sender, aws: Any, used: Callable[..., int], settings: Any
) -> None:
    sender.send(1)
    now = time.time()
    settings.setattr(time, "time", lambda: now + 6 * 86_400)
    assert sender.status()["status"] == "pending", "there is another day"
    settings.setattr(time, "time", lambda: now + 7 * 86_400 + 1)

    assert sender.operation("complete").status == 409

    assert sender.status()["reason"] == "not all bytes arrived in time"
    assert f"unassigned/{sender.binary_id}/1" not in open_uploads(aws)
    assert used(sender.user) == 0


def test_the_quota_refuses_before_anything_is_opened(owner: User, aws: Any) -> None:
    before = open_uploads(aws)
    made = [owner.new(size=9_000_000, multipart=True) for _ in range(3)]
    assert [reply.status for reply in made] == [201, 201, 413]
    assert f"{QUOTA_BYTES - 18_000_000} are free" in made[2].problem
    assert len(open_uploads(aws) - before) == 2


def test_a_new_version_in_parts(
    sender: Sender, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    sender.send(1, 2, 3, 4, 5)
    sender.operation("complete")
    complete(sender.event())
    path = f"/Binary/{sender.binary_id}"

    stale = sender.user.call("PUT", path, sender.user.read(sender.binary_id), {"If-Match": 'W/"9"'})
    newer = sender.user.call("PUT", path, sender.user.read(sender.binary_id))

    assert stale.status == 412
    assert (newer.status, newer.body["partSize"]) == (200, PART)
    assert sender.status()["received"] == []
    assert sender.user.front.get(sender.user.read(sender.binary_id)["presignedGetUrl"]).body
    assert used(sender.user) == 2 * len(CONTENT)


def test_strict_clients_see_the_size_of_parts(owner: User) -> None:
    from functions.shared.validation import validate

    wanted = [
        {"url": "urn:ai4h:binary:size", "valueDecimal": len(CONTENT)},
        {"url": "urn:ai4h:binary:multipart", "valueBoolean": True},
    ]
    sent = binary(meta={"extension": wanted})
    made = owner.call("POST", "/Binary", sent, {"Prefer": "handling=strict"}).body
    validate(made)
    assert {"url": "urn:ai4h:binary:partSize", "valuePositiveInt": PART} in made["meta"][
        "extension"
    ]


def test_operations_on_parts_need_parts(owner: User) -> None:
    whole = Sender(owner, owner.new(CONTENT).body["id"])
    assert whole.operation("upload-parts", {"parts": [part(1)]}).status == 400
    assert whole.operation("complete").status == 400
    assert whole.operation("abort").status == 204
    assert whole.status()["status"] == "expired"
    assert Sender(owner, "unknown").operation("complete").status == 404
