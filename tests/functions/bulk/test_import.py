"""Imports: what is stored of a file, what is told of the rest, and that nothing is stored twice."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.bulk import imports, jobs
from functions.bulk import lines as reading
from functions.shared import store
from functions.shared.items import Version
from tests.functions.api.conftest import Client, Reply
from tests.functions.bulk.conftest import ASYNC, Started, file
from tests.functions.bulk.test_export import BASIC, PATIENT, Export, Lines, ids

Import = Callable[..., Started]


def ndjson(*resources: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(resource).encode() for resource in resources)


def told(lines: Lines, manifest: Reply) -> list[str]:
    """What the error file says."""
    return [outcome["issue"][0]["diagnostics"] for outcome in lines(manifest, "error")]


def test_lines_with_an_id_are_versions_of_it_and_others_are_new(
    client: Callable[..., Client], run_import: Import, export: Export, lines: Lines
) -> None:
    api = client()
    known = api.make(BASIC)
    gone = api.make(BASIC)["id"]
    api.call("DELETE", f"/Basic/{gone}")
    changed = {**known, "code": {"text": "changed"}}
    manifest = run_import(
        ndjson(changed, BASIC, {**BASIC, "id": "my-own"}, {**BASIC, "id": gone}), type_="Basic"
    ).run()
    (output,) = manifest.body["output"]
    assert output["count"] == 4
    assert manifest.body["error"] == []
    found = lines(export("/$export").run())
    assert len(found) == 4
    versions = {each["id"]: each["meta"]["versionId"] for each in found}
    assert (versions[known["id"]], versions["my-own"], versions[gone]) == ("2", "1", "3")
    assert api.get(f"/Basic/{known['id']}").body["code"] == {"text": "changed"}


def test_an_export_can_be_imported_and_changes_nothing(
    client: Callable[..., Client], run_import: Import, export: Export, lines: Lines
) -> None:
    api = client()
    api.make({**BASIC, "extension": [{"url": "urn:x", "valueDecimal": 1.10}]})
    before = lines(export("/$export?_type=Basic").run())
    assert run_import(ndjson(*before)).run().body["output"][0]["count"] == 1
    assert lines(export("/$export?_type=Basic").run()) == before


def test_bad_lines_are_told_by_number_and_the_rest_is_stored(
    run_import: Import, export: Export, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BODY_BYTES", 300)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 400)
    bad = [
        b"{",
        b"[]",
        b'{"resourceType":"Nonsense"}',
        b'{"resourceType":"Consent"}',
        b'{"resourceType":"Patient"}',
        b'{"resourceType":"Basic","id":"a b","code":{"text":"x"}}',
        b'{"resourceType":"Basic"}',
        b'{"resourceType":"Basic","code":{"text":"\xff"}}',
        b'{"resourceType":"Basic","code":{"text":"' + b"x" * 300 + b'"}}',
        b'{"resourceType":"Basic","code":{"text":"' + b"x" * 2_000 + b'"}}',
    ]
    good = ndjson(BASIC)
    content = b"\r\n".join([good, b"", *(b"\n".join([line, good]) for line in bad), b" "])
    manifest = run_import(content, type_="Basic").run(steps=1)
    assert len(lines(export("/$export?_type=Basic").run())) == 1 + len(bad)
    messages = told(lines, manifest)
    assert [m.split(" of ")[0] for m in messages] == [f"Line {3 + 2 * n}" for n in range(len(bad))]
    assert "isn't valid JSON" in messages[0]
    assert "was said to have Basic" in messages[4]
    assert "too long" in messages[8]
    assert "too long" in messages[9]


@pytest.mark.parametrize("with_ids", [True, False])
def test_a_worker_that_dies_writes_nothing_twice(
    client: Callable[..., Client],
    run_import: Import,
    export: Export,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    with_ids: bool,
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 500)
    api, count = client(), 20
    made = [api.make(BASIC)["id"] for _ in range(count)] if with_ids else []
    own = [{"id": resource_id} for resource_id in made] or [{}] * count
    texts = [f"{number}" for number in range(count)]
    job = run_import(
        ndjson(*({**BASIC, **one, "code": {"text": t}} for one, t in zip(own, texts, strict=True)))
    )
    write, deaths = imports._write, set[str]()

    def dying(job: jobs.Job, draft: Version) -> None:
        """Dies when some lines are written for the first time, and others wrote them again."""
        write(job, draft)
        text = json.loads(draft.body)["code"]["text"]
        if text in ("3", "9", "16") and text not in deaths:
            deaths.add(text)
            last = store.latest(draft.pk)
            assert last
            later = json.loads(last.body) | {"language": "en"}
            assert api.call("PUT", f"/{draft.pk}", later).status == 200
            raise ConnectionError

    monkeypatch.setattr(imports, "_write", dying)
    (number,) = job.step("plan")["parts"]
    done = False
    while not done:
        with contextlib.suppress(ConnectionError):
            done = job.step("work", 1, number=number)["done"]
    job.step("finish")
    assert len(deaths) == 3
    assert job.status().body["output"][0]["count"] == count
    found = lines(export("/$export?_type=Basic").run())
    assert sorted(each["code"]["text"] for each in found) == sorted(texts)
    latest = [int(each["meta"]["versionId"]) for each in found]
    assert sum(latest) == count * (2 if with_ids else 1) + len(deaths)


def test_files_are_parts_of_a_job_that_can_be_cancelled(
    run_import: Import, export: Export, lines: Lines
) -> None:
    job = run_import(ndjson(PATIENT), ndjson(PATIENT))
    first, second = job.step("plan")["parts"]
    assert job.step("work", number=first)["done"]
    assert job.status().headers["X-Progress"] == "1 of 2 parts, 1 resources"
    assert job.user.call("DELETE", job.path).status == 202
    assert job.step("work", number=second)["done"]
    job.step("finish")
    assert job.status().status == 404
    assert len(ids(lines(export("/$export?_type=Patient").run()))) == 1


def parameters(*given: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(given)}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Patient"}, 400),
        (parameters(), 400),
        (parameters({"name": "inputFormat", "valueCode": "text/csv"}), 400),
        (parameters({"name": "mode", "valueCode": "x"}), 400),
        (parameters({"name": "input", "part": "x"}), 400),
        (parameters({"name": "input", "part": ["x"]}), 400),
        (parameters({"name": "input", "part": [{"name": "url", "valueUri": "http://x/y"}]}), 400),
        (parameters({"name": "input", "part": [{"name": "url", "valueUri": "Binary/no"}]}), 422),
        (
            parameters(
                {
                    "name": "input",
                    "part": [
                        {"name": "url", "valueUri": "Binary/1"},
                        {"name": "type", "valueCode": "Consent"},
                    ],
                }
            ),
            400,
        ),
        (
            parameters(
                *[{"name": "input", "part": [{"name": "url", "valueUri": "Binary/1"}]}] * 501
            ),
            422,
        ),
    ],
)
def test_what_is_no_import(
    client: Callable[..., Client], body: dict[str, Any], status: int
) -> None:
    assert client("admin").call("POST", "/$import", body, ASYNC).status == status


def test_who_may_import_what(client: Callable[..., Client], bucket: Any) -> None:
    own, foreign = file(bucket, b"", owner="ad"), file(bucket, b"", owner="jo")
    admin = client("admin", subject="ad")
    wanted = parameters({"name": "input", "part": own})
    assert client(subject="ad").call("POST", "/$import", wanted, ASYNC).status == 403
    assert admin.call("POST", "/$import", wanted).status == 400
    assert admin.call("POST", "/$import", wanted, ASYNC).status == 202
    other = parameters({"name": "input", "part": foreign})
    assert admin.call("POST", "/$import", other, ASYNC).status == 422
