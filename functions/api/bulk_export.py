"""The operation $export: what is to be exported, and for whom.

https://hl7.org/fhir/uv/bulkdata/export.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from functions.api import bulk
from functions.api.compartments import parameters_of
from functions.api.conditional import Criteria, criteria_of
from functions.bulk.files import NDJSON
from functions.bulk.filters import Filters
from functions.bulk.jobs import Export
from functions.search.compartments import types_of
from functions.search.intervals import date_bounds
from functions.shared import access, grants, headers, store
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request, Response
from functions.shared.identity import Identity
from functions.shared.resources import RESOURCE_TYPES

MAX_FILTERS = 20

FORMATS = frozenset({NDJSON, "application/ndjson", "ndjson"})
_FORM = frozenset({"_format", "_pretty"})
# A client may join filters by commas, which are in values, too.
_NEXT_FILTER = re.compile(r",(?=[A-Z][A-Za-z]+\?)")

_LEVELS = {("", False), ("Patient", False), ("Group", True)}


@dataclass
class _Asked:
    """What an export is asked for."""

    types: set[str] = field(default_factory=set)
    since: str = ""
    filters: dict[str, list[Criteria]] = field(default_factory=dict)


def export(
    request: Request, identity: Identity, resource_type: str = "", resource_id: str = ""
) -> Response:
    """202 with the address of the job: of the system, of all patients, or of a Group's."""
    if (resource_type, bool(resource_id)) not in _LEVELS:
        raise FhirError(404, "not-supported", "$export is of the system, of Patient, of one Group.")
    bulk.require_asynchronous(request)
    asked = _asked(request)
    types = _types(identity, asked, of_patients=bool(resource_type))
    work = Export(
        types=tuple(sorted(types)),
        since=asked.since,
        filters=asked.filters,
        patients=bool(resource_type),
        group=_group(identity, resource_id) if resource_id else None,
    )
    job = bulk.job_of(request, identity, work)
    for name in asked.filters:
        if name not in types:
            raise _invalid(f"_typeFilter is for {quote(name)}, which isn't exported.")
        Filters(job, name)  # so that its faults are told now
    return bulk.start(job)


def _asked(request: Request) -> _Asked:
    """The parameters. What isn't supported is 400, unless the client says `handling=lenient`."""
    asked = _Asked()
    for name, value in [*request.query, *parameters_of(request)]:
        if read := _READERS.get(name):
            if value.strip():
                read(asked, value.strip())
        elif name not in _FORM and headers.preference(request, "handling") != "lenient":
            raise FhirError(
                400, "not-supported", f"The parameter {quote(name)} isn't supported here."
            )
    return asked


def _types(identity: Identity, asked: _Asked, *, of_patients: bool) -> frozenset[str]:
    for name in sorted(asked.types):
        access.require(identity, "export", name)
    known = types_of("Patient") if of_patients else RESOURCE_TYPES
    for name in sorted(asked.types - known):
        raise _invalid(f"{quote(name)} is in no patient's record.")
    types = known & (asked.types or access.readable_types(identity, "export"))
    if not types:
        raise FhirError(403, "forbidden", "Your groups don't allow export.")
    return types


def _group(identity: Identity, resource_id: str) -> tuple[str, int]:
    access.require(identity, "read", "Group")
    last = store.latest(f"Group/{resource_id}", body=False)
    if last is None:
        raise FhirError(404, "not-found", f"There is no Group {quote(resource_id)}.")
    headers.require_alive(last)
    grants.require_sight(identity, last)
    return last.pk, last.version


def _output_format(asked: _Asked, value: str) -> None:
    if value.replace(" ", "+") not in FORMATS:  # a plus sign that wasn't escaped
        raise _invalid(f"_outputFormat is {NDJSON}.")


def _type(asked: _Asked, value: str) -> None:
    for name in filter(None, map(str.strip, value.split(","))):
        if name not in RESOURCE_TYPES:
            raise _invalid(f"{quote(name)} isn't a resource type.")
        asked.types.add(name)


def _since(asked: _Asked, value: str) -> None:
    try:
        milliseconds = int(date_bounds(value).low // 1000) + 1
        since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except (ValueError, OverflowError):
        raise _invalid("_since is an instant.") from None
    asked.since = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _type_filter(asked: _Asked, value: str) -> None:
    for text in _NEXT_FILTER.split(value):
        name, _, query = text.partition("?")
        if name not in RESOURCE_TYPES:
            raise _invalid("A _typeFilter is a search: Type?parameter=value.")
        asked.filters.setdefault(name, []).append(criteria_of(query))
    if sum(map(len, asked.filters.values())) > MAX_FILTERS:
        raise FhirError(422, "too-costly", f"At most {MAX_FILTERS} searches in _typeFilter.")


def _invalid(diagnostics: str) -> FhirError:
    return FhirError(400, "value", diagnostics)


_READERS: dict[str, Callable[[_Asked, str], None]] = {
    "_outputFormat": _output_format,
    "_since": _since,
    "_type": _type,
    "_typeFilter": _type_filter,
}
