"""Whatever a stream does to its records, the index never falls back behind what it has taken.

The histories are made up, the indexer and the search engine are the real ones. Each example is one
shard with the histories of many resources, in an index of its own beside the platform's.
"""

import base64
import json
import uuid
from collections.abc import Iterator, Sequence
from random import Random
from threading import Lock
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from functions.index_admin import schema
from functions.indexer import handler, writer
from functions.search.engine import Engine, EngineUnavailableError
from functions.search.intervals import date_bounds
from functions.shared.items import Version, item_of
from tests.e2e.stream_poller import Poller, Record, Weather

ALIAS = "histories"
RESOURCES = 100
"""Histories of one example."""

WEATHER = st.builds(
    Weather,
    batch=st.sampled_from([7, 40, 100]),
    lanes=st.integers(1, 3),
    trimmed=st.sampled_from([0, 0.1, 0.4]),
    replayed=st.sampled_from([0, 0.2, 0.35]),
    late=st.sampled_from([0, 0.2, 0.5]),
)


class FailingEngine(Engine):
    """The real one; some requests or their answers get lost, or are carried out in part.

    `reached`: key -> newest version of which the engine was told.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.reached: dict[str, int] = {}
        self.random, self.faults = Random(), 0.0  # noqa: S311
        self._lock = Lock()

    def bulk(self, index: str, lines: bytes) -> list[dict[str, Any]]:
        told = lines.splitlines(keepends=True)
        with self._lock:
            failing = self.random.random() < self.faults
            kept = self.random.randint(0, len(told) // 2) * 2 if failing else len(told)
            for line in told[:kept:2]:
                action = json.loads(line)["index"]
                newest = max(action["version"], self.reached.get(action["_id"], 0))
                self.reached[action["_id"]] = newest
        outcomes = super().bulk(index, b"".join(told[:kept])) if kept else []
        if failing:
            raise EngineUnavailableError("the connection broke")
        return outcomes


@pytest.fixture(scope="module")
def engine(stack: dict[str, Any]) -> Iterator[FailingEngine]:
    """The indexer writes to this engine's index `histories`, which the test removes."""
    made = FailingEngine(stack["search_url"])
    index = f"histories-{uuid.uuid4().hex}"
    schema.ensure(made, alias=ALIAS, first=index)
    with pytest.MonkeyPatch.context() as patch:
        for module in (handler, writer):
            patch.setattr(module, "engine", lambda: made)
        patch.setattr(handler, "ALIAS", ALIAS)
        yield made
    made.call("DELETE", f"/{index}")


def history(pk: str, random: Random) -> list[Record]:
    """A resource's inserts in order: versions, deletions, revivals, perhaps an erasure at last."""
    records = []
    for version in range(1, random.choice([1, 2, 3, 5, 8]) + 1):
        erased = version > 1 and random.random() < 0.05
        deleted = version > 1 and random.random() < 0.25
        body = b"" if deleted or erased else b'{"resourceType":"Basic","created":"2026-01-31"}'
        item = item_of(
            Version(pk, version, body, "jo", instant(version), deleted, erased, nonce="n")
        )
        image = json.loads(json.dumps(item, default=lambda b: base64.b64encode(b).decode()))
        event = {"Keys": {"pk": item["pk"], "version": item["version"]}, "NewImage": image}
        records.append(Record(pk, version, {"eventName": "INSERT", "dynamodb": event}))
        if erased:
            break
    return records


def instant(version: int) -> str:
    return f"2026-01-31T12:00:{version:02}.000Z"


def interleaved(histories: Sequence[list[Record]], random: Random) -> list[Record]:
    """One shard of all: a resource's versions in order, its neighbours' anywhere among them."""
    turns = [number for number, records in enumerate(histories) for _ in records]
    random.shuffle(turns)
    following = [iter(records) for records in histories]
    return [next(following[number]) for number in turns]


def shown(engine: Engine, pks: Sequence[str]) -> dict[str, tuple[int, str, bool]]:
    """pk -> version, instant and whether it is deleted, as a search sees it."""
    engine.call("POST", f"/{ALIAS}/_refresh")
    query = {
        "size": len(pks),
        "version": True,
        "query": {"terms": {"pk": list(pks)}},
        "docvalue_fields": ["updated", "deleted"],
    }
    hits = engine.search(ALIAS, query)["hits"]["hits"]
    return {
        hit["_id"]: (hit["_version"], *(hit["fields"][name][0] for name in ("updated", "deleted")))
        for hit in hits
    }


def check(engine: FailingEngine, weather: Weather, faults: float, seed: int) -> None:
    """Lets a shard go through the weather; fails if the index shows a version that was passed."""
    random = Random(seed)  # noqa: S311
    pks = [f"Basic/{uuid.uuid4()}" for _ in range(RESOURCES)]
    histories = {pk: history(pk, random) for pk in pks}
    engine.random, engine.faults = Random(seed), faults  # noqa: S311
    poller = Poller(
        lambda batch: handler.handler({"Records": [record.event for record in batch]}, None),
        weather,
        random,
    )
    poller.run(interleaved(list(histories.values()), random))
    expected = {}
    for pk in pks:
        newest = max(poller.acknowledged.get(pk, 0), engine.reached.get(pk, 0))
        if newest:
            image = histories[pk][newest - 1].event["dynamodb"]["NewImage"]
            gone = "deleted" in image or "erased" in image
            expected[pk] = (newest, date_bounds(instant(newest)).low, gone)
    assert expected
    assert shown(engine, pks) == expected


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_stream_histories_leave_no_stale_document(engine: FailingEngine, number: int) -> None:
    @settings(
        max_examples=number // RESOURCES,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # smaller is no clearer here, and takes minutes
    )
    @given(
        weather=WEATHER,
        faults=st.sampled_from([0, 0.1, 0.3, 0.6]),
        seed=st.integers(0, 2**32),
    )
    def histories(weather: Weather, faults: float, seed: int) -> None:
        check(engine, weather, faults, seed)

    histories()
