"""The index: records a second that go into it, and how long searches take when it has many.

The engine is a real OpenSearch, the platform's; tables are the stand-in's. A shard of the stream
has batches in turn, as here, two of them at a time on AWS.
"""

import base64
import json
import os
import random
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

from benchmarks import function
from benchmarks.figures import Figure, Times, interleaved, milliseconds
from benchmarks.platform import Platform
from benchmarks.stand_in import PATIENT, UPDATED

BATCH = 100  # records, as components/_indexing.py has it
SIZES = (10_000, 100_000)
RUNS = 60
CODES = 200
FAMILIES = 500

QUERIES = {
    "code and time, newest first": "Observation?code=http://loinc.org|7-{n}&date=ge2025-06&_sort=-date",
    "beginning of a name": "Patient?family=family{n}",
    "observations of patients by name": "Observation?subject:Patient.family=family{n}&code=7-{n}",
}


def figures(platform: Platform) -> Iterator[Figure]:
    os.environ.update(function.environment())
    os.environ["SEARCH_ENDPOINT"] = platform.stack["search_url"]
    records, chance, count = _records(random.Random(1)), random.Random(2), 0  # noqa: S311
    rates: list[float] = []
    for size in SIZES:
        while count < size:
            rates.append(BATCH / _index(list(islice(records, BATCH))))
            count += BATCH
        if size == SIZES[0]:
            yield Figure("indexing, one batch after another", "records/s", rates, at_least=300)
        yield from _searches(size, chance)


def _index(records: list[dict[str, Any]]) -> float:
    """Seconds that the indexer takes for a batch."""
    from functions.indexer import handler

    function.quiet()
    times = Times()
    with times.run():
        handler.handler({"Records": records}, None)
    return times.wall[0]


def _searches(size: int, chance: random.Random) -> Iterator[Figure]:
    from functions.search.engine import engine
    from functions.search.index import ALIAS

    engine().call("POST", f"/{ALIAS}/_refresh")

    def search(query: str) -> None:
        asked = query.format(n=chance.randrange(CODES))
        body = json.loads(function.ask(function.event("GET", f"/{asked}"))["body"])
        assert body["type"] == "searchset"

    actions = {name: (lambda query=query: search(query)) for name, query in QUERIES.items()}
    for name, times in interleaved(RUNS, **actions).items():
        yield Figure(f"search of {size:,}: {name}", "ms", milliseconds(times.wall))


def _records(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Stream records of patients, and of nine observations of each."""
    while True:
        patient = str(uuid.UUID(int=chance.getrandbits(128)))
        name = f"Family{chance.randrange(FAMILIES)}"
        yield _record(PATIENT | {"id": patient, "name": [{"family": name}]})
        for _ in range(9):
            yield _record(_observation(patient, chance))


def _observation(patient: str, chance: random.Random) -> dict[str, Any]:
    code = {"system": "http://loinc.org", "code": f"7-{chance.randrange(CODES)}"}
    unit = {"unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}
    day = f"{chance.randint(2020, 2026)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    return {
        "resourceType": "Observation",
        "id": str(uuid.UUID(int=chance.getrandbits(128))),
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [code]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"{day}T08:30:00Z",
        "valueQuantity": {"value": chance.randint(10, 900) / 10, **unit},
    }


def _record(resource: dict[str, Any]) -> dict[str, Any]:
    from functions.shared.items import Version, item_of

    pk = f"{resource['resourceType']}/{resource['id']}"
    version = Version(pk, 1, json.dumps(resource).encode(), "subject-1", UPDATED, nonce="n")
    item = json.loads(json.dumps(item_of(version), default=lambda b: base64.b64encode(b).decode()))
    keys = {name: item[name] for name in ("pk", "version")}
    return {"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": item}}
