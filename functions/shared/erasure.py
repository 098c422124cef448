"""`$erase`: the last version of a resource says so, and no other can follow.

The function `eraser` removes those before. https://hl7.org/fhir/R4/http.html#delete leaves to the
server what becomes of older versions.
"""

from __future__ import annotations

from functions.shared import consistency, headers, items, store
from functions.shared.http import Response, fhir
from functions.shared.items import Version


def erase(tombstone: Version) -> Version:
    """Writes the marker after the version that says deleted. `Stale` when others were faster."""
    marker = items.tombstone(tombstone, erased=True)
    store.append(marker, revive=True)
    return marker


def answer(marker: Version) -> Response:
    """What the operation answers, however often it is asked for."""
    text = "Erased. Older versions go within minutes; backups keep them for up to 35 days."
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "information", "code": "informational", "diagnostics": text}],
    }
    return fhir(200, outcome, {"ETag": headers.etag(marker), **consistency.header([marker])})
