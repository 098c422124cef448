"""Bulk jobs on the real state machine: exports of real data."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.e2e.conftest import Client
from tests.e2e.hospital import TOKEN
from tests.functions.api.test_grants import DATASET, consent

ASYNC = {"Prefer": "respond-async"}
SECONDS = 90  # for a job; a machine's functions start cold

Resource = dict[str, Any]


class Job:
    """A job that was started."""

    def __init__(self, user: Client, path: str) -> None:
        started = user.get(path, headers=ASYNC)
        assert started.status_code == 202, started.text
        self._user, self.url = user, started.headers["Content-Location"]

    def status(self) -> requests.Response:
        return self._user.absolute(self.url)

    def cancel(self) -> requests.Response:
        return self._user.delete(self.url.removeprefix(self._user.api_url))

    def manifest(self) -> Resource:
        """Of the job when it is done."""
        deadline = time.monotonic() + SECONDS
        while (told := self.status()).status_code == 202:
            assert {"X-Progress", "Retry-After"} <= told.headers.keys()
            assert time.monotonic() < deadline, told.headers["X-Progress"]
            time.sleep(0.1)
        assert told.status_code == 200, told.text
        return told.json()


def lines(manifest: Resource, kind: str = "output") -> Iterator[Resource]:
    for file in manifest[kind]:
        answer = requests.get(file["url"], timeout=30)
        assert answer.status_code == 200, answer.text
        yield from map(json.loads, answer.text.splitlines())


def ids(manifest: Resource) -> set[str]:
    return {resource["id"] for resource in lines(manifest)}


@pytest.fixture(scope="module")
def ward(client: Callable[[str], Client]) -> dict[str, str]:
    """Two patients with an observation each, one of them in a Group; all of them in the index."""
    api, tokens, made = client("practitioner"), [], {}

    def make(name: str, resource: Resource) -> None:
        answer = api.post(f"/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        tokens.append(answer.headers[TOKEN])
        made[name] = answer.json()["id"]

    for name in ("ann", "bob"):
        make(name, {"resourceType": "Patient", "name": [{"given": [name], "family": "Bulk"}]})
        subject = {"reference": f"Patient/{made[name]}"}
        basics = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        make(f"of {name}", basics | {"subject": subject})
    member = {"entity": {"reference": f"Patient/{made['ann']}"}}
    group = {"resourceType": "Group", "type": "person", "actual": True, "member": [member]}
    make("group", group)
    while api.get("/Patient?_count=0", headers={TOKEN: ",".join(tokens)}).status_code == 503:
        continue
    return made


def test_exports_of_patients_of_a_group_by_filter_and_since(
    client: Callable[[str], Client], ward: dict[str, str]
) -> None:
    api = client("practitioner")
    of_group = Job(api, f"/Group/{ward['group']}/$export?_type=Patient,Observation")
    filtered = Job(
        api, "/Patient/$export?_type=Patient&_typeFilter=Patient?given=ann%26family=bulk"
    )
    assert api.get("/$export", headers=ASYNC).status_code == 429
    assert ids(of_group.manifest()) == {ward["ann"], ward["of ann"]}
    assert ward["ann"] in ids(filtered.manifest())
    assert ward["bob"] not in ids(filtered.manifest())
    since = filtered.manifest()["transactionTime"]
    assert api.delete(f"/Observation/{ward['of bob']}").status_code == 204
    changed = Job(api, f"/Patient/$export?_type=Observation&_since={since}").manifest()
    assert ward["of ann"] not in ids(changed)
    urls = {e["request"]["url"] for bundle in lines(changed, "deleted") for e in bundle["entry"]}
    assert f"Observation/{ward['of bob']}" in urls


def test_an_export_of_private_types_follows_grants(
    client: Callable[[str], Client], stack: dict[str, Any]
) -> None:
    owner, reader = client("data-owner"), client("practitioner")
    shared, other = (owner.post("/DocumentReference", json=DATASET).json()["id"] for _ in range(2))
    actor = ("Practitioner", stack["users"]["practitioner"]["username"])
    assert owner.post("/Consent", json=consent(shared, actor)).status_code == 201
    path = "/$export?_type=DocumentReference"
    own, seen = Job(owner, path), Job(reader, path)
    assert {shared, other} <= ids(own.manifest())
    found = ids(seen.manifest())
    assert shared in found
    assert other not in found
    assert reader.absolute(own.url).status_code == 404


def test_a_cancelled_export_is_gone(client: Callable[[str], Client]) -> None:
    api = client("practitioner")
    running = Job(api, "/$export?_type=Patient")
    assert running.cancel().status_code == 202
    assert running.status().status_code == 404
    done = Job(api, "/$export?_type=Patient")
    url = done.manifest()["output"][0]["url"]
    assert requests.get(url, timeout=30).status_code == 200
    assert done.cancel().status_code == 202
    assert done.status().status_code == 404
    assert requests.get(url, timeout=30).status_code == 404
