"""Waits until the index shows versions that were written: for searches with a consistency token."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from functions.search.engine import Engine
from functions.search.index import ALIAS
from functions.shared.errors import FhirError

WAIT_SECONDS = 5.0
"""Then 503. Usual is half a second: the index's refresh, and the stream's delay before it."""

_POLL_SECONDS = 0.05
_MAX_POLL_SECONDS = 0.4


def copies(tokens: str) -> str:
    """The preference that makes all queries with these tokens ask the same copies of the shards.

    Each copy refreshes in its own time: another one might not show yet what the first one did.
    """
    return hashlib.sha256(tokens.encode()).hexdigest()[:16] if tokens else ""


def await_versions(engine: Engine, wanted: Mapping[str, int], preference: str) -> None:
    """Returns when searches see these versions (by pk) or later ones; 503 after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    pause = _POLL_SECONDS
    missing = dict(wanted)
    while True:
        shown = _shown(engine, missing, preference)
        missing = {pk: version for pk, version in missing.items() if shown.get(pk, 0) < version}
        if not missing:
            return
        if time.monotonic() + pause > deadline:
            raise FhirError(
                503,
                "transient",
                "The index doesn't show the versions of the consistency token yet; try again.",
                headers={"Retry-After": "2"},
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _MAX_POLL_SECONDS)


def _shown(engine: Engine, wanted: Mapping[str, int], preference: str) -> dict[str, int]:
    body: dict[str, Any] = {
        "query": {"bool": {"filter": [{"terms": {"pk": list(wanted)}}]}},
        "size": len(wanted),
        "track_total_hits": False,
        "_source": False,
        "version": True,
    }
    hits = engine.search(ALIAS, body, preference=preference)["hits"]["hits"]
    return {hit["_id"]: hit["_version"] for hit in hits}
