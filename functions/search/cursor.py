"""Cursors: the place after which the next page starts.

A cursor holds the sort keys of the last result and a digest of the search it belongs to. It grants
nothing: access is part of every query, so a forged cursor can only skip results of one's own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from functions.search.clauses import invalid
from functions.search.plan import Plan
from functions.shared.resources import ID

_MAX_LENGTH = 6_000
_INFINITE = {"Infinity", "-Infinity"}


def encode(plan: Plan, keys: list[Any]) -> str:
    """The cursor after the result with these sort keys."""
    text = json.dumps([_digest(plan), *keys], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(plan: Plan) -> list[Any]:
    """The sort keys of the plan's cursor. 400 unless it was made for this very search."""
    text = plan.cursor
    try:
        if len(text) > _MAX_LENGTH:
            raise ValueError("too long")
        padded = (text + "=" * (-len(text) % 4)).encode("ascii")
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        digest, *keys = content
        *values, pk = keys
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise _refused() from None
    kinds = [type_ for _, type_, _ in plan.sort]
    if digest != _digest(plan) or len(values) != len(kinds):
        raise _refused()
    if not all(_is_key(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise _refused()
    if not isinstance(pk, str) or not ID.fullmatch(pk.partition("/")[2]):
        raise _refused()
    return keys


def _is_key(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return False
    if kind == "keyword":
        return value is None or isinstance(value, str)
    if kind == "long":
        return isinstance(value, int) and -(2**63) <= value < 2**63
    return isinstance(value, int | float) or (isinstance(value, str) and value in _INFINITE)


def _digest(plan: Plan) -> str:
    asked = sorted(pair for pair in plan.used if pair[0] not in ("_count", "_total", "_format"))
    text = json.dumps([sorted(plan.types), plan.sort, asked])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _refused() -> Exception:
    return invalid("The cursor doesn't belong to this search; start at its first page.")
