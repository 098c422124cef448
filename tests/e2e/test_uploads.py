"""Uploads through the gateway to a bucket that checks signatures: good ones and hostile ones.

S3 on AWS also refuses `x-amz-*` headers that aren't signed; the local one doesn't look at them, so
those cases are in tests/functions/uploads only.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.fhir import outcome

DEADLINE_SECONDS = 20
OCTETS = "application/octet-stream"
CONTENT = b"bytes that were announced"


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def binary(content: bytes | None = None, **members: Any) -> dict[str, Any]:
    declared = {} if content is None else {"size": len(content), "sha256": digest(content)}
    return {"resourceType": "Binary", "contentType": OCTETS} | declared | members


def create(api: Any, content: bytes | None = None, **members: Any) -> dict[str, Any]:
    answer = api.post("/Binary", json=binary(content, **members))
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(url: str, headers: Mapping[str, str], body: bytes, *, method: str = "PUT") -> int:
    """One request with exactly these headers; its status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.putrequest(method, f"{parts.path}?{parts.query}", skip_accept_encoding=True)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()


def torn(url: str, headers: Mapping[str, str], begun: bytes) -> None:
    """A request whose line breaks when these first bytes of its body are sent."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}", skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(begun)
    connection.close()


def settled(api: Any, binary_id: str) -> dict[str, Any]:
    """The Binary once its newest upload is decided."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        answer = api.get(f"/Binary/{binary_id}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        if found["uploadStatus"] not in {"pending", "verifying"}:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def upload(api: Any, content: bytes, **members: Any) -> dict[str, Any]:
    made = create(api, content, **members)
    assert send(made["presignedPutUrl"], made["uploadHeaders"], content) == 200
    return settled(api, made["id"])


@pytest.fixture
def owner(client: Callable[[str], Any]) -> Any:
    return client("data-owner")


def test_what_was_sent_arrives(owner: Any) -> None:
    content = os.urandom(3_000_000)

    found = upload(owner, content, fileName="Schädel.bin")

    assert found["uploadStatus"] == "available", found
    assert (found["size"], found["sha256"]) == (len(content), digest(content))
    answer = requests.get(found["presignedGetUrl"], timeout=10)
    assert answer.content == content
    assert answer.headers["Content-Type"] == OCTETS
    status = owner.get(f"/Binary/{found['id']}/$upload-status").json()
    assert status["received"] == [{"number": 1, "size": len(content), "sha256": digest(content)}]


def test_only_the_type_is_declared(owner: Any) -> None:
    made = create(owner, contentType="application/gzip")
    content = gzip.compress(b"x" * 100)
    assert send(made["presignedPutUrl"], made["uploadHeaders"], content) == 200

    found = settled(owner, made["id"])

    assert (found["uploadStatus"], found["sha256"]) == ("available", digest(content))


def test_hostile_requests_are_refused_and_the_good_one_works(owner: Any) -> None:
    made = create(owner, CONTENT)
    url, headers = made["presignedPutUrl"], made["uploadHeaders"]
    other, longer = CONTENT[::-1], CONTENT + b"x"
    checksum = "x-amz-checksum-sha256"

    def without(name: str) -> dict[str, str]:
        return {key: value for key, value in headers.items() if key != name}

    refused: dict[str, int] = {
        "longer": send(url, headers | {"Content-Length": str(len(longer))}, longer),
        "shorter": send(url, headers | {"Content-Length": "3"}, CONTENT[:3]),
        "other bytes": send(url, headers, other),
        "other bytes, their checksum": send(url, headers | {checksum: digest(other)}, other),
        "no checksum": send(url, without(checksum), CONTENT),
        "other type": send(url, headers | {"Content-Type": "text/html"}, CONTENT),
        "no type": send(url, without("Content-Type"), CONTENT),
        "may overwrite": send(url, without("If-None-Match"), CONTENT),
        "other version": send(url.replace("/1?", "/2?"), headers, CONTENT),
        "other folder": send(url.replace("/unassigned/", "/datasets/d/"), headers, CONTENT),
        "longer life": send(url.replace("Expires=300", "Expires=3000"), headers, CONTENT),
        "less signed": send(url.replace("%3Bif-none-match", ""), headers, CONTENT),
        "other region": send(url.replace("%2Fs3%2F", "%2Fsqs%2F"), headers, CONTENT),
        "altered signature": send(url[:-1] + "g", headers, CONTENT),
        "more query": send(f"{url}&partNumber=1", headers, CONTENT),
        "other method": send(url, headers, CONTENT, method="POST"),
        "deletion": send(url, headers, CONTENT, method="DELETE"),
        "reading": send(url, {}, b"", method="GET"),
        "no signature": send(url.partition("?")[0], headers, CONTENT),
    }

    assert {case: status for case, status in refused.items() if status < 400} == {}
    assert owner.get(f"/Binary/{made['id']}").json()["uploadStatus"] == "pending"
    assert send(url, headers, CONTENT) == 200
    assert settled(owner, made["id"])["uploadStatus"] == "available"
    assert send(url, headers, CONTENT) == 412


def test_bytes_of_another_format_are_rejected_with_the_reason(owner: Any) -> None:
    found = upload(owner, b"MZ" + bytes(400), contentType="application/dicom")

    assert found["uploadStatus"] == "rejected"
    assert "application/dicom" in found["reason"]
    assert "presignedGetUrl" not in found
    outcome(owner.get(f"/Binary/{found['id']}", headers={"Accept": "application/dicom"}), 404)


def test_a_new_version_keeps_the_old_file_readable(owner: Any) -> None:
    first = upload(owner, b"old bytes")
    path = f"/Binary/{first['id']}"
    body = binary(b"new bytes", id=first["id"])

    outcome(owner.put(path, json=body, headers={"If-Match": 'W/"7"'}), 412)
    made = owner.put(path, json=body, headers={"If-Match": 'W/"1"'}).json()

    waiting = owner.get(path).json()
    assert (waiting["uploadStatus"], waiting["availableVersion"]) == ("pending", "1")
    assert requests.get(waiting["presignedGetUrl"], timeout=10).content == b"old bytes"
    assert send(made["presignedPutUrl"], made["uploadHeaders"], b"new bytes") == 200
    found = settled(owner, first["id"])
    assert requests.get(found["presignedGetUrl"], timeout=10).content == b"new bytes"
    old = owner.get(f"{path}/_history/1").json()
    assert requests.get(old["presignedGetUrl"], timeout=10).content == b"old bytes"


def test_deleting_removes_the_bytes(owner: Any) -> None:
    found = upload(owner, CONTENT)
    assert owner.delete(f"/Binary/{found['id']}").status_code == 204

    outcome(owner.get(f"/Binary/{found['id']}"), 410)
    assert requests.get(found["presignedGetUrl"], timeout=10).status_code == 404
    assert owner.delete(f"/Binary/{found['id']}").status_code == 204
    never = create(owner, CONTENT)
    assert owner.delete(f"/Binary/{never['id']}").status_code == 204


def test_inline_data_is_readable_at_once(owner: Any) -> None:
    made = create(owner, data=base64.b64encode(CONTENT).decode())

    assert made["uploadStatus"] == "available"
    assert requests.get(made["presignedGetUrl"], timeout=10).content == CONTENT
    answer = owner.get(f"/Binary/{made['id']}", headers={"Accept": OCTETS}, allow_redirects=False)
    assert answer.status_code == 302
    assert requests.get(answer.headers["Location"], timeout=10).content == CONTENT


def test_a_dataset_is_the_folder_of_its_files(owner: Any, client: Callable[[str], Any]) -> None:
    dataset = owner.post(
        "/DocumentReference",
        json={
            "resourceType": "DocumentReference",
            "status": "current",
            "content": [{"attachment": {"title": "volumes"}}],
        },
    ).json()
    context = {"reference": f"DocumentReference/{dataset['id']}"}

    found = upload(owner, CONTENT, securityContext=context)

    assert f"/datasets/{dataset['id']}/{found['id']}/1?" in found["presignedGetUrl"]
    other = client("practitioner").post("/Binary", json=binary(securityContext=context))
    outcome(other, 403)


def test_others_are_kept_out(owner: Any, client: Callable[[str], Any]) -> None:
    found = upload(owner, CONTENT)
    path, other = f"/Binary/{found['id']}", client("practitioner")

    outcome(other.get(path), 403)
    outcome(other.get(f"{path}/_history/1"), 403)
    outcome(other.get(f"{path}/$upload-status"), 403)
    outcome(other.put(path, json=binary(id=found["id"])), 403)
    outcome(other.delete(path), 403)
    outcome(client("auditor").post("/Binary", json=binary()), 403)
    assert client("admin").get(path).json()["sha256"] == digest(CONTENT)


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"contentType": None}, 400),
        ({"contentType": "a/b\r\nx-amz-acl: public-read"}, 400),
        ({"fileName": "../../etc/passwd"}, 400),
        ({"size": -1}, 400),
        ({"size": 10**15}, 413),
        ({"sha256": "00" * 32}, 400),
        ({"data": "???"}, 400),
        ({"data": "AAAA" * 350_000}, 413),
        ({"unknown": 1}, 400),
    ],
)
def test_invalid_requests_are_refused(owner: Any, members: dict[str, Any], status: int) -> None:
    outcome(owner.post("/Binary", json=binary(**members)), status)


def test_parallel_writers_make_one_version_each(owner: Any) -> None:
    made = create(owner)
    path, body = f"/Binary/{made['id']}", binary(id=made["id"])

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: owner.put(path, json=body), range(12)))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {200, 409}
    assert owner.get(path).headers["ETag"] == f'W/"{1 + statuses[200]}"'
