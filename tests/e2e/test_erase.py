"""`$erase` through the whole platform: versions, large bodies and files are gone."""

import base64
import os
import uuid
from collections.abc import Callable
from typing import Any

from tests.e2e.aws import aws
from tests.e2e.conftest import Client
from tests.e2e.fhir import found, outcome
from tests.e2e.test_uploads import upload


def keys(stack: dict[str, Any], prefix: str) -> list[str]:
    """Of all object versions in all buckets."""
    s3 = aws(stack, "s3")
    return [
        version["Key"]
        for bucket in s3.list_buckets()["Buckets"]
        for version in s3.list_object_versions(Bucket=bucket["Name"], Prefix=prefix).get(
            "Versions", ()
        )
    ]


def test_erase_a_resource_with_its_history(
    stack: dict[str, Any], client: Callable[[str], Client], eventually: Callable[..., None]
) -> None:
    api, admin, name = client("practitioner"), client("admin"), f"Erased{uuid.uuid4().hex}"
    noise = base64.b64encode(os.urandom(400_000)).decode()
    photo = [{"contentType": "image/png", "data": noise}]
    patient = {"resourceType": "Patient", "name": [{"family": name}], "photo": photo}
    made = api.post("/Patient", json=patient).json()
    path = f"/Patient/{made['id']}"
    assert api.put(path, json=made | {"active": True}).status_code == 200
    eventually(lambda: found(api, f"/Patient?family={name}") == [made["id"]])
    assert len(keys(stack, path[1:])) == 2

    outcome(api.post(f"{path}/$erase"), 403)
    assert admin.post(f"{path}/$erase").status_code == 200

    outcome(api.get(path), 410)
    eventually(lambda: found(api, f"/Patient?family={name}") == [])
    eventually(lambda: not keys(stack, path[1:]))
    outcome(api.get(f"{path}/_history/1"), 404)
    history = api.get(f"{path}/_history").json()["entry"]
    assert [entry["request"]["method"] for entry in history] == ["DELETE"]
    assert name not in str(history)
    outcome(api.put(path, json=made), 410)


def test_erase_a_file(stack: dict[str, Any], client: Callable[[str], Client]) -> None:
    owner, admin = client("data-owner"), client("admin")
    made = upload(owner, os.urandom(1000), fileName="file.bin")
    prefix = f"unassigned/{made['id']}/"
    assert keys(stack, prefix)

    assert admin.post(f"/Binary/{made['id']}/$erase").status_code == 200

    assert not keys(stack, prefix)
    outcome(owner.get(f"/Binary/{made['id']}"), 410)
