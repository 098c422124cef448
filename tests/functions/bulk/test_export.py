"""Exports: what is in them, for whom, and that no fault between two steps shows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from functions.bulk import exports, jobs
from tests.functions.api.conftest import Client
from tests.functions.api.test_grants import DATASET, consent
from tests.functions.bulk.conftest import ASYNC, JOBS, Started
from tests.scripted_engine import Asked, ScriptedEngine

Export = Callable[..., Started]
Lines = Callable[..., list[dict[str, Any]]]

BASIC = {"resourceType": "Basic", "code": {"text": "x"}}
PATIENT = {"resourceType": "Patient"}


def ids(resources: list[dict[str, Any]]) -> set[str]:
    return {resource["id"] for resource in resources}


def test_it_has_the_latest_versions_at_its_start(
    client: Callable[..., Client], export: Export, lines: Lines
) -> None:
    api = client()
    kept, changed, deleted = (api.make(BASIC) for _ in range(3))
    api.call("PUT", f"/Basic/{changed['id']}", {**changed, "code": {"text": "second"}})
    api.call("DELETE", f"/Basic/{deleted['id']}")
    job = export("/$export?_type=Basic,Patient")
    api.make(BASIC)
    api.call("PUT", f"/Basic/{kept['id']}", {**kept, "code": {"text": "too late"}})
    manifest = job.run()
    found = {r["id"]: (r["meta"]["versionId"], r["code"]["text"]) for r in lines(manifest)}
    assert found == {kept["id"]: ("1", "x"), changed["id"]: ("2", "second")}
    assert manifest.body["request"].endswith("/api/$export?_type=Basic%2CPatient")
    assert manifest.body["requiresAccessToken"] is False
    assert "deleted" not in manifest.body
    assert "GMT" in manifest.headers["Expires"]


def test_since_has_what_changed_later_and_what_was_deleted(
    client: Callable[..., Client], export: Export, lines: Lines
) -> None:
    api = client()
    old, gone = api.make(BASIC), api.make(BASIC)
    first = export("/$export").run()
    new = api.make(BASIC)
    api.call("DELETE", f"/Basic/{gone['id']}")
    manifest = export(f"/$export?_since={first.body['transactionTime']}").run()
    assert ids(lines(first)) == {old["id"], gone["id"]}
    assert ids(lines(manifest)) == {new["id"]}
    (bundle,) = lines(manifest, "deleted")
    assert [entry["request"]["url"] for entry in bundle["entry"]] == [f"Basic/{gone['id']}"]


def test_patients_and_groups_have_their_records_only(
    client: Callable[..., Client], export: Export, lines: Lines
) -> None:
    api = client()
    one, two = api.make(PATIENT), api.make(PATIENT)

    def observed(reference: str) -> str:
        status = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        return api.make({**status, "subject": {"reference": reference}})["id"]

    of_one, of_two = (observed(f"Patient/{patient['id']}") for patient in (one, two))
    of_device = observed("Device/1")
    members = [
        {"entity": {"reference": f"Patient/{one['id']}"}},
        {"entity": {"reference": f"Patient/{two['id']}"}, "inactive": True},
    ]
    group = {"resourceType": "Group", "type": "person", "actual": True, "member": members}
    group_id = api.make(group)["id"]
    everybody = ids(lines(export("/Patient/$export").run()))
    assert everybody == {one["id"], two["id"], of_one, of_two, group_id}
    assert of_device in ids(lines(export("/$export").run()))
    first = export(f"/Group/{group_id}/$export").run()
    assert ids(lines(first)) == {one["id"], of_one, group_id}
    for gone in (of_one, of_two):
        api.call("DELETE", f"/Observation/{gone}")
    since = first.body["transactionTime"]
    (bundle,) = lines(export(f"/Group/{group_id}/$export?_since={since}").run(), "deleted")
    assert [entry["request"]["url"] for entry in bundle["entry"]] == [f"Observation/{of_one}"]


def test_private_types_are_the_users_own_and_what_is_shared_with_them(
    client: Callable[..., Client], export: Export, lines: Lines
) -> None:
    owner, reader = client("data-owner", subject="jo"), client(subject="mo")
    shared, other = owner.make(DATASET)["id"], owner.make(DATASET)["id"]
    owner.make(consent(shared, ("Practitioner", "mo")))
    path = "/$export?_type=DocumentReference"

    def seen(user: Client) -> set[str]:
        return ids(lines(export(path, user).run()))

    assert seen(owner) == seen(client("admin", subject="ad")) == {shared, other}
    assert seen(reader) == {shared}
    assert seen(client(subject="no")) == set()


def test_what_others_own_is_read_by_an_export_as_evidence_says(
    client: Callable[..., Client], export: Export
) -> None:
    from functions.shared.clients import sqs

    owner, reader = client("data-owner", subject="jo"), client(subject="mo")
    shared = owner.make(DATASET)["id"]
    owner.make(consent(shared, ("Practitioner", "mo")))
    for user in (owner, reader):
        export("/$export?_type=DocumentReference", user).run()
    url = os.environ["EVIDENCE_QUEUE_URL"]
    found = sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    reads = [json.loads(message["Body"]) for message in found]
    assert [(read["dataset"], read["user"]) for read in reads if read["dataset"] == shared] == [
        (shared, "mo")
    ]


@pytest.mark.parametrize(
    ("group", "path", "status"),
    [
        ("auditor", "/$export", 403),
        ("auditor", "/Patient/$export", 403),
        ("data-owner", "/$export?_type=Patient", 403),
        ("data-owner", "/$export?_type=Consent", 202),
        ("practitioner", "/Observation/$export", 404),
        ("practitioner", "/Patient/1/$export", 404),
        ("practitioner", "/Group/none/$export", 404),
        ("practitioner", "/Patient/$export?_type=Basic", 202),
        ("practitioner", "/Patient/$export?_type=Endpoint", 400),
        ("practitioner", "/$export?_type=Nonsense", 400),
        ("practitioner", "/$export?_since=yesterday", 400),
        ("practitioner", "/$export?_outputFormat=csv", 400),
        ("practitioner", "/$export?_outputFormat=application/fhir%2Bndjson", 202),
        ("practitioner", "/$export?_elements=id", 400),
        ("practitioner", "/$export?_typeFilter=Patient", 400),
        ("practitioner", "/$export?_typeFilter=Patient?nonsense=1", 400),
        ("practitioner", "/$export?_typeFilter=Patient?_count=1", 400),
        ("practitioner", "/$export?_type=Basic&_typeFilter=Patient?name=x", 400),
    ],
)
def test_what_may_be_asked_for(
    client: Callable[..., Client], group: str, path: str, status: int
) -> None:
    assert client(group).call("GET", path, headers=ASYNC).status == status


def test_a_job_is_asked_for_as_a_job_and_is_its_users_own(
    client: Callable[..., Client], export: Export
) -> None:
    api = client()
    assert api.get("/$export").status == 400
    assert api.call("HEAD", "/$export", headers=ASYNC).status == 405
    body = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Flag"}]}
    assert api.call("POST", "/$export", body, ASYNC).status == 202
    lenient = {"Prefer": "respond-async, handling=lenient"}
    assert api.call("GET", "/$export?_elements=id", headers=lenient).status == 202
    third = api.call("GET", "/$export", headers=ASYNC)
    assert (third.status, third.headers["Retry-After"]) == (429, "60")
    job = export("/$export", client(subject="mo"))
    assert job.status().headers["X-Progress"] == "preparing"
    assert api.get(job.path).status == 404
    assert client("admin", subject="mo").get("/$export/none").status == 404
    assert api.get(job.path.replace("$export", "$import")).status == 404


def test_what_ended_makes_place_for_another_one(
    client: Callable[..., Client], export: Export
) -> None:
    for _ in range(jobs.MAX_RUNNING + 1):
        export("/$export").run()
    for _ in range(jobs.MAX_RUNNING + 1):
        job = export("/$export")
        job.step("abandon")
        assert job.status().status == 500


def test_a_cancelled_job_stops_and_leaves_nothing(
    client: Callable[..., Client],
    export: Export,
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exports, "FILE_BYTES", 1)
    monkeypatch.setattr(exports, "PAGE", 1)
    api = client()
    for _ in range(20):
        api.make(BASIC)
    job = export("/$export")
    numbers = job.step("plan")["parts"]
    job.step("work", 1, number=numbers[0])
    assert api.call("DELETE", job.path).status == 202
    before = [jobs.part(job.path.rpartition("/")[2], number).sequence for number in numbers]
    assert all(job.step("work", number=number)["done"] for number in numbers)
    assert before[0] == 1
    assert before == [jobs.part(job.path.rpartition("/")[2], n).sequence for n in numbers]
    job.step("finish")
    assert job.status().status == 404
    assert "Contents" not in bucket.list_objects_v2(Bucket=JOBS)


def test_a_worker_that_dies_between_two_steps_loses_and_repeats_nothing(
    client: Callable[..., Client], export: Export, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "FILE_BYTES", 1)
    monkeypatch.setattr(exports, "PAGE", 2)
    api = client()
    made = {api.make(BASIC)["id"] for _ in range(30)}
    job = export("/$export")
    save, calls = jobs.save, iter(range(1_000))

    def dying(job: jobs.Job, part: jobs.Part) -> jobs.Part:
        """Every other time, after the files are written and before that is recorded."""
        if next(calls) % 2:
            raise ConnectionError
        return save(job, part)

    monkeypatch.setattr(jobs, "save", dying)
    deaths = 0
    for number in job.step("plan")["parts"]:
        done = False
        while not done:
            try:
                done = job.step("work", 2, number=number)["done"]
            except ConnectionError:
                deaths += 1
    job.step("finish")
    found = [resource["id"] for resource in lines(job.status())]
    assert deaths > 5
    assert len(found) == len(set(found))
    assert set(found) == made


def test_of_a_filtered_type_only_what_the_index_finds(
    client: Callable[..., Client],
    export: Export,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = client()
    fits, other, unknown = (api.make(PATIENT)["id"] for _ in range(3))
    basic = api.make(BASIC)["id"]
    shown = {f"Patient/{fits}": 1, f"Patient/{other}": 1}

    def answer(asked: Asked) -> tuple[int, Any]:
        named, *searches = asked.body["query"]["bool"]["filter"][2:]
        found = {pk: v for pk, v in shown.items() if pk in named["terms"]["pk"]}
        if searches:
            assert "smith" in json.dumps(searches)
            found = {pk: v for pk, v in found.items() if pk.endswith(fits)}
        return 200, {"hits": {"hits": [{"_id": pk, "_version": v} for pk, v in found.items()]}}

    from functions.search import view

    monkeypatch.setattr(view, "engine", lambda: ScriptedEngine(*[answer] * 20))
    both = "_typeFilter=Patient?family=smith,Patient?given=smith%26gender=male"
    manifest = export(f"/$export?{both}").run()
    assert ids(lines(manifest)) == {fits, basic}
    (error,) = lines(manifest, "error")
    assert f"version 1 of Patient/{unknown}" in error["issue"][0]["diagnostics"]


def test_what_is_damaged_is_told_and_keeps_nobody_from_the_rest(
    client: Callable[..., Client], export: Export, lines: Lines, tables: Any
) -> None:
    api = client()
    whole, damaged = (api.make(BASIC)["id"] for _ in range(2))
    tables.update_item(
        TableName="versions",
        Key={"pk": {"S": f"Basic/{damaged}"}, "version": {"N": "1"}},
        UpdateExpression="SET body = :noise",
        ExpressionAttributeValues={":noise": {"B": b"noise"}},
    )
    manifest = export("/$export").run()
    assert ids(lines(manifest)) == {whole}
    (error,) = lines(manifest, "error")
    assert damaged in error["issue"][0]["diagnostics"]
