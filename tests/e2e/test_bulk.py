"""Bulk jobs on real state machines: real data out and in, and a worker that is killed."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.e2e.aws import workers
from tests.e2e.conftest import Client
from tests.e2e.hospital import TOKEN
from tests.functions.api.test_grants import DATASET, consent

NDJSON = "application/fhir+ndjson"
ASYNC = {"Prefer": "respond-async"}
SECONDS = 90  # for a job; a machine's functions start cold

Resource = dict[str, Any]


class Job:
    """A job that was started."""

    def __init__(self, user: Client, path: str, body: Resource | None = None) -> None:
        started = user.request("POST" if body else "GET", path, json=body, headers=ASYNC)
        assert started.status_code == 202, started.text
        self._user, self.url = user, started.headers["Content-Location"]

    def status(self) -> requests.Response:
        return self._user.absolute(self.url)

    def written(self) -> int:
        """Resources so far, of a job that runs."""
        told = re.search(r", (\d+) resources", self.status().headers["X-Progress"])
        return int(told[1]) if told else 0

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


def upload(user: Client, content: bytes) -> str:
    """The address of a Binary with these bytes, when they are available."""
    declared = {"resourceType": "Binary", "contentType": NDJSON, "size": len(content)}
    made = user.post("/Binary", json=declared).json()
    sent = requests.put(
        made["presignedPutUrl"], data=content, headers=made["uploadHeaders"], timeout=30
    )
    assert sent.status_code == 200, sent.text
    deadline = time.monotonic() + SECONDS
    while "presignedGetUrl" not in user.get(f"/Binary/{made['id']}").json():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return f"Binary/{made['id']}"


def of_files(*urls: str) -> Resource:
    inputs = [{"name": "input", "part": [{"name": "url", "valueUri": url}]} for url in urls]
    return {"resourceType": "Parameters", "parameter": inputs}


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


def test_an_import_tells_bad_lines_by_number_and_stores_the_rest(
    client: Callable[[str], Client], ward: dict[str, str]
) -> None:
    admin = client("admin")
    exported = Job(admin, "/Patient/$export?_type=Patient").manifest()
    kept = [patient for patient in lines(exported) if patient["id"] in (ward["ann"], ward["bob"])]
    kept[0]["birthDate"] = "1970-01-01"
    bad = ['{"resourceType":"Patient","gender":1}', "{", "", '{"resourceType":"Consent"}']
    new = {"resourceType": "Patient", "id": f"new-{time.time_ns()}"}
    text = "\n".join([json.dumps(kept[0]), *bad, json.dumps(kept[1]), json.dumps(new)])
    url = upload(admin, text.encode())
    manifest = Job(admin, "/$import", of_files(url)).manifest()
    assert manifest["output"] == [{"inputUrl": url, "count": 3}]
    told = [outcome["issue"][0]["diagnostics"] for outcome in lines(manifest, "error")]
    assert [text.split(":")[0] for text in told] == [f"Line {n} of {url}" for n in (2, 3, 5)]
    versions = [admin.get(f"/Patient/{p['id']}").json()["meta"]["versionId"] for p in (*kept, new)]
    assert versions == ["2", "1", "1"]  # what is as it was isn't written again
    practitioner = client("practitioner")
    refused = practitioner.post("/$import", json=of_files(url), headers=ASYNC)
    assert refused.status_code == 403
    foreign = upload(practitioner, b"{}")
    assert admin.post("/$import", json=of_files(foreign), headers=ASYNC).status_code == 422


@pytest.mark.slow
def test_an_import_whose_worker_is_killed_goes_on_and_writes_nothing_twice(
    client: Callable[[str], Client], stack: dict[str, Any], eventually: Callable[..., None]
) -> None:
    admin, count = client("admin"), 750
    since = Job(admin, "/$export?_type=Flag").manifest()["transactionTime"]
    # Large ones, so that they are several steps; without ids, so that only the server knows which.
    large = {"resourceType": "Basic", "code": {"text": "x" * 20_000}}
    content = "\n".join([json.dumps(large | {"language": f"x-{n}"}) for n in range(count)])
    job = Job(admin, "/$import", of_files(upload(admin, content.encode())))
    eventually(lambda: job.written() > 0, seconds=SECONDS)
    killed = workers(stack, "data-importer")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert killed
    assert job.status().status_code == 202
    assert job.manifest()["output"][0]["count"] == count
    made = list(lines(Job(admin, f"/$export?_type=Basic&_since={since}").manifest()))
    assert sorted(each["language"] for each in made) == sorted(f"x-{n}" for n in range(count))
    assert {each["meta"]["versionId"] for each in made} == {"1"}
