"""Bundles: how many creates a second go through one, as a transaction and as a batch."""

from collections.abc import Iterator
from typing import Any

from benchmarks import function
from benchmarks.figures import Figure, interleaved
from benchmarks.stand_in import PATIENT

ENTRIES = 50
RUNS = 60


def figures() -> Iterator[Figure]:
    sent = {kind: function.event("POST", "/", _bundle(kind)) for kind in ("transaction", "batch")}
    for bundle in sent.values():
        assert function.ask(bundle)["body"].count("201") >= ENTRIES
    times = interleaved(
        RUNS,
        transaction=lambda: function.ask(sent["transaction"]),
        batch=lambda: function.ask(sent["batch"]),
    )
    for kind, taken in times.items():
        rates = [ENTRIES / seconds for seconds in taken.wall]
        yield Figure(f"{kind} of {ENTRIES} creates", "creates/s", rates)


def _bundle(kind: str) -> dict[str, Any]:
    request = {"method": "POST", "url": "Patient"}
    entries = [{"resource": PATIENT, "request": request} for _ in range(ENTRIES)]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}
