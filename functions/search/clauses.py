"""What clauses of a query are put together from, and how values in parameters are separated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from functions.shared.errors import FhirError

Clause = dict[str, Any]

NOTHING: Clause = {"match_none": {}}


def any_of(clauses: Sequence[Clause]) -> Clause:
    """Alternatives; those that look up terms in the same field become one lookup."""
    lookups: dict[str, list[str]] = {}
    others: list[Clause] = []
    for clause in clauses:
        if "terms" in clause:
            ((field, found),) = clause["terms"].items()
            lookups.setdefault(field, []).extend(found)
        else:
            others.append(clause)
    merged = [{"terms": {f: list(dict.fromkeys(found))}} for f, found in lookups.items()] + others
    return merged[0] if len(merged) == 1 else {"bool": {"should": merged}}


def all_of(clauses: Sequence[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"filter": list(clauses)}}


def split(text: str, separator: str, limit: int = -1) -> list[str]:
    r"""The parts between separators that no `\` escapes; escapes stay for the next level."""
    parts, part, position = [], "", 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            part += text[position : position + 2]
            position += 2
            continue
        if character == separator and len(parts) != limit:
            parts.append(part)
            part = ""
        else:
            part += character
        position += 1
    return [*parts, part]


def unescape(text: str) -> str:
    return re.sub(r"\\([,$|\\])", r"\1", text)


def invalid(diagnostics: str) -> FhirError:
    return FhirError(400, "invalid", diagnostics)


def unsupported(diagnostics: str) -> FhirError:
    return FhirError(400, "not-supported", diagnostics)
