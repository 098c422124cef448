"""Datasets as uploads know them: the DocumentReference in a Binary's securityContext."""

from __future__ import annotations

import re
from typing import Any

from functions.shared import store
from functions.shared.access import require_owner
from functions.shared.errors import FhirError
from functions.shared.identity import Identity

_DATASET = re.compile(
    r"DocumentReference/(?P<id>(?!\.+(?:/|$))[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?"
)


def named_by(identity: Identity, binary: dict[str, Any], base_url: str) -> str:
    """Id of the caller's dataset that a Binary is to belong to; "" when it names none.

    Any other kind of securityContext is kept and means nothing here. 422 for a dataset that doesn't
    exist (its files would be in no dataset for good), 403 for somebody else's.
    """
    context = binary.get("securityContext")
    reference = context.get("reference") if isinstance(context, dict) else None
    if not isinstance(reference, str):
        return ""
    match = _DATASET.fullmatch(reference.removeprefix(f"{base_url}/"))
    if match is None:
        return ""
    dataset = store.latest(f"DocumentReference/{match['id']}", body=False)
    if dataset is None or dataset.deleted or dataset.erased:
        raise FhirError(
            422,
            "not-found",
            "The DocumentReference that securityContext names doesn't exist.",
            expression=["Binary.securityContext"],
        )
    require_owner(identity, "DocumentReference", dataset.owner)
    return match["id"]
