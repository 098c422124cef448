"""Stream records to the index: what is written, what is repeated, what goes to quarantine."""

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from functions.indexer import handler, writer
from functions.indexer.writer import Entry, write
from functions.search.engine import EngineRefusedError, EngineUnavailableError
from functions.shared import clients, items
from functions.shared.items import Version
from tests.functions.conftest import CONTROL
from tests.scripted_engine import Answer, Asked, ScriptedEngine, refusal


def bulk(asked: Asked, refused: dict[str, tuple[int, str]]) -> tuple[int, Any]:
    """The answer to a bulk request: 201 but for the documents that are refused."""
    items = []
    for line in asked.body[::2]:
        pk = line["index"]["_id"]
        status, kind = refused.get(pk, (201, ""))
        items.append({"index": {"_id": pk, "status": status, "error": {"type": kind}}})
    return 200, {"items": items}


def taking(**refused: tuple[int, str]) -> Callable[[Asked], tuple[int, Any]]:
    by_pk = {f"Patient/{name}": outcome for name, outcome in refused.items()}
    return lambda asked: bulk(asked, by_pk)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedEngine]:
    """Makes the engine that is written to; `building` says that a new index is being built."""

    def scripted(*script: Answer, building: bool = False) -> ScriptedEngine:
        made, asked = ScriptedEngine(*script), ScriptedEngine(*[(200 if building else 404, {})] * 9)
        monkeypatch.setattr(writer, "engine", lambda: made)
        monkeypatch.setattr(handler, "engine", lambda: asked)
        return made

    return scripted


def record(name: str, number: int = 1, **changed: Any) -> dict[str, Any]:
    """A stream record of a patient's version, as JSON carries it."""
    body = changed.pop("body", b'{"resourceType":"Patient","gender":"male"}')
    item = items.item_of(
        Version(f"Patient/{name}", number, body, "jo", "2026-01-31T12:00:00.000Z", nonce="n")
    )
    image = json.loads(json.dumps(item | changed, default=base64_text))
    keys = {"pk": item["pk"], "version": item["version"]}
    return {"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": image}}


def base64_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def run(*records: dict[str, Any]) -> None:
    handler.handler({"Records": list(records)}, None)


@pytest.fixture
def quarantined(tables: Any) -> Callable[[str], list[str]]:
    """The reasons recorded for a resource."""

    def reasons(name: str) -> list[str]:
        found = tables.query(
            TableName=CONTROL,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={
                ":pk": {"S": "quarantine"},
                ":sk": {"S": f"Patient/{name}#"},
            },
        )
        return [item["reason"]["S"] for item in found["Items"]]

    return reasons


def test_inserts_become_documents_with_the_versions_of_their_resources(
    tables: Any, engine: Callable[..., ScriptedEngine]
) -> None:
    scripted = engine(taking())
    run(
        record("a", 3),
        {"eventName": "REMOVE", "dynamodb": {"Keys": {}}},
        record("b", 1, deleted={"BOOL": True}),
    )

    (asked,) = scripted.asked
    assert asked.path == "/resources/_bulk?require_alias=true"
    first, document, second, tombstone = asked.body
    assert first == {
        "index": {"_id": "Patient/a", "version": 3, "version_type": "external"},
    }
    assert (document["owner"], document["deleted"]) == ("jo", False)
    assert "c:male" in document["token"]["gender"]
    assert second["index"]["_id"] == "Patient/b"
    assert tombstone["deleted"] is True
    assert "token" not in tombstone


def test_an_index_that_is_being_built_gets_the_records_as_well(
    tables: Any, engine: Callable[..., ScriptedEngine], quarantined: Callable[[str], list[str]]
) -> None:
    name = uuid.uuid4().hex
    refusing = taking(**{name: (400, "strict_dynamic_mapping_exception")})
    scripted = engine(taking(), refusing, building=True)
    run(record(name))
    paths = [asked.path.partition("?")[0] for asked in scripted.asked]
    assert paths == ["/resources/_bulk", "/resources-next/_bulk"]
    assert quarantined(name) == ["400 strict_dynamic_mapping_exception"]


def test_nothing_to_index_asks_nothing(tables: Any, engine: Callable[..., ScriptedEngine]) -> None:
    assert engine().asked == []
    run({"eventName": "MODIFY", "dynamodb": {}})


def test_a_newer_version_in_the_index_is_success(
    tables: Any, engine: Callable[..., ScriptedEngine], quarantined: Callable[[str], list[str]]
) -> None:
    engine(taking(old=(409, "version_conflict_engine_exception")))
    run(record("old"), record("new"))
    assert quarantined("old") == []


def test_poison_goes_to_quarantine_and_its_neighbours_are_indexed(
    tables: Any, engine: Callable[..., ScriptedEngine], quarantined: Callable[[str], list[str]]
) -> None:
    name = uuid.uuid4().hex
    bad = {
        f"{name}1": record(f"{name}1"),
        f"{name}2": record(f"{name}2", body=b'{"resourceType":"Observation"}'),
        f"{name}3": record(f"{name}3", updated={"S": "yesterday"}),
        f"{name}4": record(f"{name}4", overflow={"S": "nowhere"}),
    }
    bad[f"{name}1"]["dynamodb"]["NewImage"]["body"] = {"B": base64_text(b"no zlib")}
    refused = f"{name}5"
    scripted = engine(taking(**{refused: (400, "strict_dynamic_mapping_exception")}))

    for _ in range(2):  # again changes nothing
        run(record("a"), *bad.values(), record(refused), record("b"))
        scripted.script.append(taking(**{refused: (400, "strict_dynamic_mapping_exception")}))

    indexed = [line["index"]["_id"] for line in scripted.asked[0].body[::2]]
    assert indexed == ["Patient/a", f"Patient/{refused}", "Patient/b"]
    assert quarantined(f"{name}1") == ["functions.shared.items.DamagedError in extraction"]
    assert quarantined(f"{name}2") == ["builtins.ValueError in extraction"]
    assert quarantined(f"{name}3") == ["builtins.ValueError in extraction"]
    assert quarantined(f"{name}4") == ["functions.shared.items.DamagedError in extraction"]
    assert quarantined(refused) == ["400 strict_dynamic_mapping_exception"]


@pytest.mark.parametrize(
    "answer",
    [
        urllib3.exceptions.NewConnectionError(None, "refused"),  # type: ignore[arg-type]
        (503, {}),
        (429, {}),
        refusal("cluster_block_exception", 403),
        taking(b=(429, "rejected_execution_exception")),
        taking(b=(404, "index_not_found_exception")),
        taking(b=(503, "unavailable_shards_exception")),
        taking(b=(403, "cluster_block_exception")),
    ],
)
def test_a_fault_that_passes_repeats_the_batch(
    tables: Any,
    engine: Callable[..., ScriptedEngine],
    quarantined: Callable[[str], list[str]],
    answer: Answer,
) -> None:
    engine(answer)
    with pytest.raises(EngineUnavailableError):
        run(record("a"), record("b"))
    assert quarantined("b") == []


def test_a_refusal_that_is_no_records_fault_raises(
    tables: Any, engine: Callable[..., ScriptedEngine]
) -> None:
    engine(refusal("security_exception", 403))
    with pytest.raises(EngineRefusedError):
        run(record("a"))


def test_a_large_body_that_cannot_be_read_now_repeats_the_batch(
    tables: Any,
    engine: Callable[..., ScriptedEngine],
    monkeypatch: pytest.MonkeyPatch,
    quarantined: Callable[[str], list[str]],
) -> None:
    def slow_down(**arguments: Any) -> Any:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")

    engine()
    overflowing = record("large", overflow={"S": "somewhere"})
    client = clients.s3()
    monkeypatch.setattr(client, "get_object", slow_down)
    with pytest.raises(ClientError):
        run(overflowing)
    assert quarantined("large") == []


def entries(*sizes: int) -> list[Entry]:
    return [Entry(f"Patient/{n}", 1, b"1" * size) for n, size in enumerate(sizes)]


def ids(engine: ScriptedEngine) -> list[list[str]]:
    return [[line["index"]["_id"][8:] for line in asked.body[::2]] for asked in engine.asked]


def test_a_request_that_is_refused_as_a_whole_is_halved_down_to_the_one_at_fault() -> None:
    def answer(asked: Asked) -> tuple[int, Any]:
        too_large = any(line["index"]["_id"] == "Patient/2" for line in asked.body[::2])
        return (413, {}) if too_large else bulk(asked, {})

    engine = ScriptedEngine(*[answer] * 20)
    given = entries(1, 1, 1, 1, 1)
    assert write(given, to=engine) == [(given[2], "413 ")]
    assert ids(engine) == [
        ["0", "1", "2", "3", "4"],
        ["0", "1"],
        ["2", "3", "4"],
        ["2"],
        ["3", "4"],
    ]


def test_requests_are_bounded_and_entries_taken_only_as_they_are_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "MAX_BULK_BYTES", 1_000)
    engine = ScriptedEngine(*[taking()] * 9)
    taken: list[int] = []

    def lazily() -> Any:
        for entry in entries(400, 400, 2_000, 1, 1):
            taken.append(len(engine.asked))
            yield entry

    assert write(lazily(), to=engine) == []
    assert ids(engine) == [["0"], ["1"], ["2"], ["3", "4"]]
    assert taken[-1] == 3


def test_refused_entries_whose_names_run_together_are_all_told(
    engine: Callable[..., ScriptedEngine],
) -> None:
    status = {"status": 400, "error": {"type": "strict_dynamic_mapping_exception"}}
    given = [Entry("Patient/1", 23, b"{}"), Entry("Patient/12", 3, b"{}")]
    scripted = engine((200, {"errors": True, "items": [{"index": status}] * 2}))
    assert [entry for entry, _ in write(given, to=scripted)] == given
