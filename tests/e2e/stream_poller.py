"""Lambda's poller of a DynamoDB stream, as AWS documents it: what the indexer gets, and how often.

At least once; in order per item's key; a shard's keys over several lanes (ParallelizationFactor); a
failed batch again as a whole or in two halves (BisectBatchOnFunctionError); what is too old never.
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from threading import Lock
from typing import Any, NamedTuple

from functions.search.engine import EngineUnavailableError

TRIES = 4
"""Of a batch, until its records are too old (MaximumRecordAgeInSeconds) and are discarded."""


class Record(NamedTuple):
    pk: str
    version: int
    event: dict[str, Any]


@dataclass(frozen=True)
class Weather:
    """What a shard goes through; the shares are of all batches."""

    batch: int
    lanes: int
    trimmed: float
    """Share of the records that expired before anybody read them (TRIM_HORIZON)."""
    replayed: float
    """Batches after which a lane goes on from an older checkpoint."""
    late: float
    """Batches that an invocation which was given up delivers once more, whenever it gets to it."""


class Poller:
    """Invokes a function with a shard's records. `acknowledged`: key -> newest version it took."""

    def __init__(
        self, invoke: Callable[[Sequence[Record]], None], weather: Weather, random: Random
    ) -> None:
        self.acknowledged: dict[str, int] = {}
        self._lock = Lock()
        self._invoke, self._weather, self._random = invoke, weather, random

    def run(self, shard: Sequence[Record]) -> None:
        """All records, to their end. EngineUnavailableError is a failed invocation."""
        start = int(len(shard) * self._weather.trimmed)
        lanes: list[list[Record]] = [[] for _ in range(self._weather.lanes)]
        for record in shard[start:]:
            lanes[zlib.crc32(record.pk.encode()) % len(lanes)].append(record)
        seeds = [self._random.randrange(2**32) for _ in lanes]
        with ThreadPoolExecutor(len(lanes) + 2) as pool:
            runs = [pool.submit(self._lane, pool, *lane) for lane in zip(lanes, seeds, strict=True)]
            for late in [late for run in runs for late in run.result()]:
                late.result()

    def _lane(
        self, pool: ThreadPoolExecutor, records: Sequence[Record], seed: int
    ) -> list[Future[bool]]:
        """Delivers a lane's records; the deliveries that may still be under way."""
        random, late = Random(seed), []  # noqa: S311
        for batch in self._batches(records, random):
            self._deliver(batch, random)
            if random.random() < self._weather.late:
                late.append(pool.submit(self._once, random.sample(batch, len(batch))))
        return late

    def _batches(self, records: Sequence[Record], random: Random) -> Iterator[Sequence[Record]]:
        position = 0
        while position < len(records):
            yield records[position : position + self._weather.batch]
            position += self._weather.batch
            if random.random() < self._weather.replayed:
                position = random.randrange(max(0, position - 3 * self._weather.batch), position)

    def _deliver(self, batch: Sequence[Record], random: Random) -> None:
        for _ in range(TRIES):
            if self._once(batch):
                return
            if len(batch) > 1 and random.random() < 0.7:
                middle = len(batch) // 2
                self._deliver(batch[:middle], random)
                self._deliver(batch[middle:], random)
                return

    def _once(self, batch: Sequence[Record]) -> bool:
        try:
            self._invoke(batch)
        except EngineUnavailableError:
            return False
        with self._lock:
            for pk, version, _ in batch:
                self.acknowledged[pk] = max(version, self.acknowledged.get(pk, 0))
        return True
