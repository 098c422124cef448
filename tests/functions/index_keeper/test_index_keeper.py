"""The index's keeper: all of the table, part by part, and nothing twice that needn't be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest

from functions.index_keeper import __main__ as command
from functions.index_keeper import handler
from functions.indexer import quarantine, writer
from functions.shared import items, store
from functions.shared.items import Version
from tests.functions.conftest import CONTROL, VERSIONS
from tests.scripted_engine import Asked, ScriptedEngine

INSTANT = "2026-01-31T12:00:00.000Z"


@dataclass
class Context:
    """Has time for so many parts."""

    parts: int = 1_000

    def get_remaining_time_in_millis(self) -> int:
        self.parts -= 1
        return 900_000 if self.parts else 0


class Index(ScriptedEngine):
    """An engine that keeps the versions it is sent, by alias."""

    def __init__(self) -> None:
        super().__init__(*[self._take] * 1_000)
        self.kept: dict[str, dict[str, int]] = {"resources": {}, "resources-next": {}}

    def _take(self, asked: Asked) -> tuple[int, Any]:
        alias, operation = asked.path[1:].partition("?")[0].split("/")
        if operation == "_search":
            (wanted,) = asked.body["query"]["bool"]["filter"]
            found = {k: v for k, v in self.kept[alias].items() if k in wanted["terms"]["pk"]}
            return 200, {"hits": {"hits": [{"_id": k, "_version": v} for k, v in found.items()]}}
        told = []
        for line in asked.body[::2]:
            pk, version = line["index"]["_id"], line["index"]["version"]
            newer = version > self.kept[alias].get(pk, 0)
            self.kept[alias] |= {pk: version} if newer else {}
            told.append({"index": {"_id": pk, "status": 201 if newer else 409}})
        return 200, {"items": told}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    made = Index()
    monkeypatch.setattr(writer, "engine", lambda: made)
    monkeypatch.setattr(handler, "engine", lambda: made)
    monkeypatch.setattr(handler, "PAGE", 3)
    return made


@pytest.fixture
def newest(tables: Any) -> Iterator[dict[str, int]]:
    """pk -> latest version of what the table has, and nothing else."""
    for number in range(10):
        one = Version(f"Basic/{number}", 1, b'{"resourceType":"Basic"}', "jo", INSTANT)
        store.create(one)
        if number % 2:
            store.append(Version(one.pk, 2, b"", "jo", INSTANT, deleted=True))
    yield {f"Basic/{number}": 1 + number % 2 for number in range(10)}
    for name, sort in ((VERSIONS, "version"), (CONTROL, "sk")):
        for item in tables.scan(TableName=name)["Items"]:
            tables.delete_item(TableName=name, Key={"pk": item["pk"], sort: item[sort]})


def work(operation: str, parts: int = 1_000) -> Iterator[dict[str, Any]]:
    """The answers of calls with time for so many parts, until it is done."""
    after: Any = None
    while True:
        event: Any = {"operation": operation, "segment": 0, "segments": 1, "after": after}
        answer = json.loads(json.dumps(handler.handler(event, Context(parts))))
        yield answer
        after = answer["after"]
        if after is None:
            return


def test_a_copy_goes_on_where_its_time_was_up(index: Index, newest: dict[str, int]) -> None:
    answers = list(work("copy", parts=1))
    assert len(answers) == 5
    assert sum(answer["seen"] for answer in answers) == 15
    assert index.kept == {"resources": {}, "resources-next": newest}


def test_only_what_is_missing_or_stale_is_repaired(index: Index, newest: dict[str, int]) -> None:
    index.kept["resources"] |= {**newest, "Basic/1": 1}
    del index.kept["resources"]["Basic/4"]
    (answer,) = work("reconcile")
    assert (answer["seen"], answer["written"]) == (15, 2)
    assert index.kept["resources"] == newest
    (again,) = work("reconcile")
    assert again["written"] == 0


def test_what_can_be_indexed_leaves_the_quarantine(
    index: Index, newest: dict[str, int], tables: Any
) -> None:
    damaged = {**items.key_of("Basic/damaged", 1), "body": {"B": b"noise"}}
    tables.put_item(TableName=VERSIONS, Item=damaged)
    kept = [items.key_of("Basic/1", 2), damaged, items.key_of("Basic/gone", 1)]
    for key in [*kept, *(items.key_of(f"Basic/{number}", 1) for number in (2, 3, 4))]:
        quarantine.add(key, "some reason")
    answers = list(work("redrive", parts=1))
    assert sum(answer["written"] for answer in answers) == 5
    assert quarantine.listed("", 9) == [("Basic/damaged", 1)]
    assert index.kept["resources"] == {"Basic/1": 2, "Basic/2": 1, "Basic/3": 1, "Basic/4": 1}


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Puts functions behind the command that answer in turn; returns what they are asked."""

    def answering(*answers: dict[str, Any]) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []
        left = list(answers)

        class Client:
            def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
                asked.append({"function": FunctionName, **json.loads(Payload)})
                answer = left.pop(0)
                failed = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
                return {"Payload": BytesIO(json.dumps(answer).encode()), **failed}

        monkeypatch.setattr(command.boto3, "client", lambda *_, **__: Client())
        return asked

    return answering


def test_a_reindex_begins_copies_and_switches(
    functions: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "SEGMENTS", 1)
    part = {"seen": 2, "written": 2, "refused": 0}
    asked = functions(
        {"changes": ["index resources-2"]},
        {**part, "after": ["Basic/1", 1]},
        {"errorType": "EngineUnavailableError"},
        {**part, "after": None},
        {"changes": ["to resources-2"]},
    )
    command.main(["reindex", "--keeper", "k", "--admin", "a"])
    assert [call["operation"] for call in asked] == ["begin", "copy", "copy", "copy", "switch"]
    assert [call.get("after") for call in asked[1:4]] == [None, ["Basic/1", 1], ["Basic/1", 1]]
    assert "copy: 4 seen, 4 written, 0 refused" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["reindex", "--keeper", "k"])
