"""Items to documents of the index; those that no document can be made of are set apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from functions.indexer import quarantine
from functions.indexer.writer import Entry
from functions.search import extract
from functions.shared import errors
from functions.shared.items import version_of
from functions.shared.resources import serialise


def entries(items: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    """The entries of items, without those that no entry can be made of: they go to quarantine."""
    for item in items:
        try:
            entry = entry_of(item)
        except Exception as error:
            if _passes(error):
                raise
            kind = type(error)
            quarantine.add(item, f"{kind.__module__}.{kind.__name__} in extraction")
        else:
            yield entry


def entry_of(item: dict[str, Any]) -> Entry:
    """The entry of an item of DynamoDB's API or stream."""
    version = version_of(item)
    return Entry(version.pk, version.version, serialise(extract.document(version)))


def _passes(error: Exception) -> bool:
    """Whether a later try may succeed: reading a large body failed, but not because it is gone."""
    kinds = (ClientError, OSError, MemoryError)
    return errors.of_service(error) is not None or isinstance(error, kinds)
