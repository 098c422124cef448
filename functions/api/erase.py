"""`$erase` of every type but Binary, whose bytes go as well: `functions.uploads`."""

from __future__ import annotations

from functions.api import interactions
from functions.shared import erasure, store
from functions.shared.errors import FhirError
from functions.shared.http import Request, Response
from functions.shared.identity import Identity
from functions.shared.store import Stale

_TRIES = 5


def erase(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """200, also when it was erased before; 404 when there never was such a resource."""
    for _ in range(_TRIES):
        last = store.latest(f"{resource_type}/{resource_id}", body=False)
        if last is None:
            raise FhirError(404, "not-found", f"There is no such {resource_type}.")
        if last.erased:
            return erasure.answer(last)
        if not last.deleted:  # with what its deletion entails, such as the end of grants
            interactions.delete(request, identity, resource_type, resource_id)
            continue
        try:
            return erasure.answer(erasure.erase(last))
        except Stale:
            continue
    raise FhirError(409, "conflict", "Others are changing the resource; try again.")
