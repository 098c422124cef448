"""The index: its name, settings and mapping. Fields are by kind and, within a kind, by code.

Documents of all resource types live in one index behind an alias, so that a new index can be built
beside it and switched. A field appears with the first document that has a value for it; there are
at most as many as R4 has codes, times the fields of a kind.
"""

from __future__ import annotations

from typing import Any

from functions.search.extract import SORT_FIELDS

ALIAS = "resources"

NEXT = "resources-next"
"""Alias of the index that is being built to take the other's place."""

FIRST_INDEX = "resources-1"

_TERM = {"type": "keyword", "doc_values": False, "norms": False}

# Only compared. `date` and `number` are ranges, as search compares intervals; dates are
# microseconds since 1970 (date_range has milliseconds). `reference` keeps doc values, so that the
# targets of many hits can be collected.
_KINDS: dict[str, dict[str, Any]] = {
    "token": _TERM,
    "text": _TERM,
    "string": _TERM,
    "exact": _TERM,
    "identifier": _TERM,
    "uri": _TERM,
    "reference": {"type": "keyword"},
    "date": {"type": "long_range", "doc_values": False},
    "number": {"type": "double_range", "doc_values": False},
}

# Only sorted by.
_SORT: dict[str, dict[str, Any]] = {
    "sort_text": {"type": "keyword", "index": False},
    "sort_date": {"type": "long", "index": False},
    "sort_number": {"type": "double", "index": False},
}

# A quantity with a UCUM unit is there twice: as it is written, and as `terms.comparable`.
_UNIT = {"unit": _TERM}

COMPONENTS = 3
"""Most components that an R4 composite has."""

SETTINGS: dict[str, Any] = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    "refresh_interval": "500ms",
    "mapping.total_fields.limit": 4000,
    # Tombstones are documents of their own; this is for what an operator deletes by hand.
    "gc_deletes": "1d",
}


def mapping() -> dict[str, Any]:
    """The mapping. Unknown fields are refused rather than guessed at."""
    by_code = {**_KINDS, **_SORT}
    component = {"dynamic": "strict", "properties": {**_KINDS, **_UNIT}}
    return {
        "dynamic": "strict",
        # The table has the bodies; a reindex reads it, not the index.
        "_source": {"enabled": False},
        "dynamic_templates": [
            {field: {"path_match": f"{field}.*", "mapping": type_}}
            for field, type_ in by_code.items()
        ],
        "properties": {
            "pk": {"type": "keyword"},
            "type": {"type": "keyword"},
            "id": {"type": "keyword"},
            "owner": {"type": "keyword"},
            "dataset": {"type": "keyword"},
            "deleted": {"type": "boolean"},
            "updated": {"type": "long"},
            "present": _TERM,
            **{field: {"type": "object", "dynamic": "true"} for field in by_code},
            "quantity": {
                "type": "nested",
                "dynamic": "strict",
                "properties": {"parameter": _TERM, "number": _KINDS["number"], **_UNIT},
            },
            "composite": {
                "type": "nested",
                "dynamic": "strict",
                "properties": {
                    "parameter": _TERM,
                    **{f"c{i}": component for i in range(1, COMPONENTS + 1)},
                },
            },
        },
    }


def sort_field(code: str, kind: str) -> tuple[str, str]:
    """(field, type) to sort by."""
    if code == "_id":
        return "id", "keyword"
    field = SORT_FIELDS.get(kind, "sort_text")
    return f"{field}.{code}", _SORT[field]["type"]
