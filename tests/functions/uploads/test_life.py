"""An upload's life: declared, sent, verified, read, replaced, deleted."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from functions.shared import consistency
from functions.uploads import records
from tests.functions.uploads.conftest import BUCKET, Reply, User, binary, digest
from tests.functions.uploads.s3_front import signed_headers

CONTENT = b"some bytes of a volume"


def test_bytes_that_are_what_was_declared_become_available(
    owner: User, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    reply = owner.new(CONTENT, fileName="volume.bin")

    assert reply.status == 201
    made = reply.body
    assert reply.headers["Location"] == f"https://api.test/api/Binary/{made['id']}/_history/1"
    assert reply.headers["ETag"] == 'W/"1"'
    assert made["meta"]["versionId"] == "1"
    assert made["uploadStatus"] == "pending"
    assert owner.read(made["id"]).keys().isdisjoint({"presignedGetUrl", "presignedPutUrl"})

    answer = owner.put(made, CONTENT)
    assert answer.status == 200
    complete(answer.event)

    found = owner.read(made["id"])
    assert found["uploadStatus"] == "available"
    assert (found["size"], found["sha256"]) == (len(CONTENT), digest(CONTENT))
    assert found["availableVersion"] == "1"
    got = owner.front.get(found["presignedGetUrl"])
    assert got.body == CONTENT
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith('attachment; filename="volume.bin"')
    assert used(owner) == len(CONTENT)


def test_all_that_is_declared_is_signed(owner: User) -> None:
    made = owner.new(CONTENT).body

    url = urlsplit(made["presignedPutUrl"])
    assert url.netloc == f"{BUCKET}.s3.eu-central-1.amazonaws.com"
    assert url.path == f"/unassigned/{made['id']}/1"
    assert int(dict(parse_qsl(url.query))["X-Amz-Expires"]) <= 300
    assert made["uploadHeaders"] == {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(CONTENT)),
        "x-amz-checksum-sha256": digest(CONTENT),
        "If-None-Match": "*",
    }
    assert signed_headers(made["presignedPutUrl"]) == {
        "host",
        *(name.lower() for name in made["uploadHeaders"]),
    }


def test_only_a_content_type_is_needed(
    owner: User, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    made = owner.new().body
    assert made["uploadHeaders"].keys() == {"Content-Type", "If-None-Match"}

    complete(owner.put(made, CONTENT).event)

    found = owner.read(made["id"])
    assert (found["size"], found["sha256"]) == (len(CONTENT), digest(CONTENT))
    assert used(owner) == len(CONTENT)


def test_large_bytes_without_checksum_keep_what_s3_computed(
    owner: User, complete: Callable[..., None], settings: pytest.MonkeyPatch
) -> None:
    settings.setattr("functions.uploads.verification.MAX_HASHED_BYTES", 10)
    made = owner.new(size=len(CONTENT)).body

    complete(owner.put(made, CONTENT).event)

    found = owner.read(made["id"])
    assert found["uploadStatus"] == "available"
    assert "sha256" not in found


def test_inline_data_is_available_at_once_and_comes_back(owner: User) -> None:
    reply = owner.new(data=base64.b64encode(CONTENT).decode())

    assert reply.status == 201
    assert reply.body["uploadStatus"] == "available"
    assert "presignedPutUrl" not in reply.body
    found = owner.read(reply.body["id"])
    assert base64.b64decode(found["data"]) == CONTENT
    assert found["sha256"] == digest(CONTENT)
    assert owner.front.get(found["presignedGetUrl"]).body == CONTENT


def test_a_new_version_does_not_hide_the_good_file(
    owner: User, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    first = owner.new(CONTENT).body
    complete(owner.put(first, CONTENT).event)
    path, newer = f"/Binary/{first['id']}", b"other bytes"

    reply = owner.call("PUT", path, binary(newer, id=first["id"]), {"If-Match": 'W/"1"'})

    assert (reply.status, reply.headers["ETag"]) == (200, 'W/"2"')
    waiting = owner.read(first["id"])
    assert (waiting["uploadStatus"], waiting["availableVersion"]) == ("pending", "1")
    assert owner.front.get(waiting["presignedGetUrl"]).body == CONTENT
    assert "presignedGetUrl" not in owner.call("GET", f"{path}/_history/2").body

    complete(owner.put(reply.body, newer).event)

    found = owner.read(first["id"])
    assert (found["uploadStatus"], found["availableVersion"]) == ("available", "2")
    assert owner.front.get(found["presignedGetUrl"]).body == newer
    old = owner.call("GET", f"{path}/_history/1").body
    assert owner.front.get(old["presignedGetUrl"]).body == CONTENT
    assert used(owner) == len(CONTENT) + len(newer)


def test_an_update_needs_the_latest_version(owner: User) -> None:
    made = owner.new().body
    path, body = f"/Binary/{made['id']}", binary(id=made["id"])

    assert owner.call("PUT", path, body, {"If-Match": 'W/"2"'}).status == 412
    assert owner.call("PUT", path, body, {"If-Match": "nonsense"}).status == 400
    assert owner.call("PUT", path, binary(id="other")).status == 400
    assert owner.call("PUT", "/Binary/unknown", binary(id="unknown")).status == 405
    assert owner.call("PUT", path, body).headers["ETag"] == 'W/"2"'


def test_what_was_read_can_be_sent_back(owner: User, complete: Callable[..., None]) -> None:
    made = owner.new(CONTENT, fileName="a.bin").body
    complete(owner.put(made, CONTENT).event)

    reply = owner.call("PUT", f"/Binary/{made['id']}", owner.read(made["id"]))

    assert reply.status == 200
    assert reply.body["uploadHeaders"]["x-amz-checksum-sha256"] == digest(CONTENT)


def test_deleting_removes_the_bytes_of_all_versions(
    owner: User, aws: Any, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    made = owner.new(CONTENT).body
    complete(owner.put(made, CONTENT).event)
    path = f"/Binary/{made['id']}"
    second = owner.call("PUT", path, binary(CONTENT, id=made["id"])).body

    assert owner.call("DELETE", path).status == 204

    late = owner.put(second, CONTENT)
    complete(late.event)
    left = aws.list_object_versions(Bucket=BUCKET, Prefix=f"unassigned/{made['id']}/")
    assert "Versions" not in left
    assert used(owner) == 0
    assert owner.call("GET", path).status == 410
    assert owner.call("GET", f"{path}/_history/3").status == 410
    assert owner.call("DELETE", path).status == 204
    assert owner.call("DELETE", "/Binary/unknown").status == 204


def test_erasing_leaves_a_marker_and_no_name(
    user: Callable[..., User], aws: Any, complete: Callable[..., None]
) -> None:
    owner, admin = user(), user("admin")
    made = owner.new(CONTENT, fileName="Jo Doe.dcm").body
    complete(owner.put(made, CONTENT).event)
    path = f"/Binary/{made['id']}"
    second = owner.call("PUT", path, binary(CONTENT, id=made["id"], fileName="Doe.dcm")).body

    assert owner.call("POST", f"{path}/$erase").status == 403
    assert admin.call("POST", "/Binary/unknown/$erase").status == 404
    done = admin.call("POST", f"{path}/$erase")

    assert (done.status, done.headers["ETag"]) == (200, 'W/"4"')
    complete(owner.put(second, CONTENT).event)
    left = aws.list_object_versions(Bucket=BUCKET, Prefix=f"unassigned/{made['id']}/")
    assert "Versions" not in left
    assert not any(upload.file_name for upload in records.newest_first(made["id"]))
    assert owner.call("PUT", path, binary(CONTENT, id=made["id"])).status == 410
    again = admin.call("POST", f"{path}/$erase")
    assert (again.status, again.headers["ETag"]) == (200, 'W/"4"')


def test_a_binary_never_uploaded_can_be_deleted_and_revived(
    owner: User, complete: Callable[..., None], used: Callable[..., int]
) -> None:
    made = owner.new(CONTENT).body
    path, body = f"/Binary/{made['id']}", binary(CONTENT, id=made["id"])

    assert owner.call("DELETE", path, headers={"If-Match": 'W/"9"'}).status == 412
    assert owner.call("DELETE", path).status == 204
    assert used(owner) == 0
    assert owner.call("PUT", path, body, {"If-Match": 'W/"2"'}).status == 410
    revived = owner.call("PUT", path, body)

    assert (revived.status, revived.headers["ETag"]) == (201, 'W/"3"')
    complete(owner.put(revived.body, CONTENT).event)
    assert owner.read(made["id"])["uploadStatus"] == "available"


def test_more_objects_than_a_page_are_erased(settings: pytest.MonkeyPatch, aws: Any) -> None:
    from functions.shared import objects
    from functions.uploads import bucket

    settings.setattr(objects, "_PAGE", 3)
    for _ in range(7):
        aws.put_object(Bucket=BUCKET, Key="unassigned/many/1")
    aws.delete_object(Bucket=BUCKET, Key="unassigned/many/1")
    aws.put_object(Bucket=BUCKET, Key="unassigned/many-others/1")

    assert bucket.erase("unassigned/many/") == 8

    assert "Versions" not in aws.list_object_versions(Bucket=BUCKET, Prefix="unassigned/many/")
    assert aws.head_object(Bucket=BUCKET, Key="unassigned/many-others/1")


def test_an_explicit_media_type_leads_to_the_bytes(
    owner: User, complete: Callable[..., None]
) -> None:
    made = owner.new(CONTENT, contentType="image/x-unknown").body
    path, wanted = f"/Binary/{made['id']}", {"Accept": "image/x-unknown"}
    assert owner.call("GET", path, headers=wanted).status == 404

    complete(owner.put(made, CONTENT).event)

    reply = owner.call("GET", path, headers=wanted)
    assert reply.status == 302
    assert owner.front.get(reply.headers["Location"]).body == CONTENT
    for accept in ("*/*", "application/fhir+json", "text/html, */*;q=0.8", "application/json"):
        assert owner.call("GET", path, headers={"Accept": accept}).body["id"] == made["id"]
    assert owner.call("GET", path, headers={"Accept": "application/fhir+xml"}).status == 406


def test_strict_clients_see_pure_fhir(owner: User, complete: Callable[..., None]) -> None:
    from functions.shared.validation import validate

    strict = {"Prefer": "handling=strict"}
    names = {
        "size": ("valueDecimal", len(CONTENT)),
        "sha256": ("valueBase64Binary", digest(CONTENT)),
    }
    extensions = [{"url": f"urn:ai4h:binary:{n}", k: v} for n, (k, v) in names.items()]
    kept = {"url": "urn:mine", "valueString": "kept"}
    sent = binary(meta={"extension": [*extensions, kept]})

    made = owner.call("POST", "/Binary", sent, strict).body

    validate(made)
    assert made.keys() == {"resourceType", "id", "meta", "contentType"}
    members = {e["url"].removeprefix("urn:ai4h:binary:"): e for e in made["meta"]["extension"]}
    headers = {
        e["extension"][0]["valueString"]: e["extension"][1]["valueString"]
        for e in made["meta"]["extension"]
        if e["url"].endswith("uploadHeaders")
    }
    assert headers["x-amz-checksum-sha256"] == digest(CONTENT)
    assert kept in made["meta"]["extension"]
    complete(owner.front.put(members["presignedPutUrl"]["valueUrl"], headers, CONTENT).event)
    found = owner.call("GET", f"/Binary/{made['id']}", headers=strict).body
    validate(found)
    statuses = [e.get("valueCode") for e in found["meta"]["extension"]]
    assert "available" in statuses
    assert owner.call("POST", "/Binary", binary(CONTENT), strict).status == 400


def test_the_status_of_an_upload(owner: User, complete: Callable[..., None]) -> None:
    made = owner.new(CONTENT).body
    path = f"/Binary/{made['id']}/$upload-status"
    before = owner.call("GET", path)
    assert before.headers["Content-Type"] == "application/json"
    assert (before.body["status"], before.body["received"]) == ("pending", [])

    complete(owner.put(made, CONTENT).event)

    after = owner.call("GET", path).body
    assert after["status"] == "available"
    assert after["received"][0]["size"] == len(CONTENT)
    assert after["received"][0]["sha256"] == digest(CONTENT)


def test_every_write_answers_with_a_token_of_its_version(owner: User) -> None:
    def written(reply: Reply) -> dict[str, int]:
        return consistency.versions_of(reply.headers[consistency.HEADER])

    made = owner.new(CONTENT)
    pk = f"Binary/{made.body['id']}"
    assert written(made) == {pk: 1}
    assert written(owner.call("PUT", f"/{pk}", binary(id=made.body["id"]))) == {pk: 2}
    assert consistency.HEADER not in owner.call("GET", f"/{pk}").headers
    assert written(owner.call("DELETE", f"/{pk}")) == {pk: 3}
    inline = owner.call("POST", "/Binary", binary(data=base64.b64encode(CONTENT).decode()))
    assert written(inline) == {f"Binary/{inline.body['id']}": 1}
