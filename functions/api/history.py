"""History of a resource, of a type and of the system: versions, newest first.

https://hl7.org/fhir/R4/http.html#history. A user sees in it what a read would show. A page may have
fewer entries than asked for, none even: only one without a `next` link is the last.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any, TypeVar
from urllib.parse import quote as percent
from urllib.parse import urlencode

from functions.search.intervals import date_bounds
from functions.shared import access, changes, evidence, grants, headers, store
from functions.shared.changes import Change, Place
from functions.shared.errors import FhirError, operation_outcome, quote
from functions.shared.http import MAX_ANSWER_BYTES, Request, Response, fhir, size_in_answer
from functions.shared.identity import Identity
from functions.shared.items import DamagedError, Version
from functions.shared.resources import RESOURCE_TYPES, serialise

DEFAULT_COUNT = 20
MAX_COUNT = 1_000

MAX_SCANNED = 2_000
"""Changes that one page looks at: what a user may not see takes time, too."""

_BATCH = 100
_LAST = "9999"
_FORM = frozenset({"_format", "_pretty"})

_T = TypeVar("_T")


@dataclass(slots=True)
class _Asked:
    """The parameters. Instants are as the table has them, so that they compare as text."""

    count: int = DEFAULT_COUNT
    since: str = ""
    """Versions from then on."""
    current_from: str = ""
    until: str = _LAST
    """Versions that were current at some time between these two."""
    types: frozenset[str] | None = None
    after: Place | None = None
    used: list[tuple[str, str]] = field(default_factory=list)


def history(request: Request, identity: Identity, resource_type: str, resource_id: str) -> Response:
    """The page of the resource's, the type's (no id) or the system's (neither) history.

    404 for a resource that never existed; one that was deleted has a history still.
    """
    asked = _asked(request, of_system=not resource_type)
    if resource_id:
        pk = f"{resource_type}/{resource_id}"
        entries, after = _of_resource(request, pk, identity, asked)
    else:
        types = _types(identity, resource_type, asked)
        entries, after = _of_types(request, types, identity, asked)
    url = request.base_url + request.path.rstrip("/")
    links = [{"relation": "self", "url": _link(url, asked.used, asked.after)}]
    if after:
        links.append({"relation": "next", "url": _link(url, asked.used, after)})
    head = serialise({"resourceType": "Bundle", "type": "history", "link": links})
    if not entries:
        return fhir(200, head)
    return fhir(200, head[:-1] + b',"entry":[' + b",".join(entries) + b"]}")


def _of_resource(
    request: Request, pk: str, identity: Identity, asked: _Asked
) -> tuple[list[bytes], Place | None]:
    last = store.latest(pk, body=False)
    if last is None:
        raise FhirError(404, "not-found", f"There is no {quote(pk)}.")
    grants.require_sight(identity, last)
    sight = _Sight(identity, frozenset({pk.partition("/")[0]}))
    newest = min(last.version, asked.after[2] - 1) if asked.after else last.version
    keys = ((pk, number) for number in range(newest, 0, -1))
    found = _current(_read(keys, min(asked.count + 1, _BATCH)), asked)
    visible = (v for v in found if v.updated <= asked.until and sight.shows(v))
    return _page(request, visible, asked, sight)


class _Sight:
    """What the user may see; others' grants are looked up for private types only."""

    def __init__(self, identity: Identity, types: frozenset[str]) -> None:
        self._identity = identity
        self._reach = grants.reach(identity) if types & access.PRIVATE_TYPES else None

    def shows(self, version: Version | Change) -> bool:
        reach = self._reach
        return reach is None or reach.shows(version.pk, version.owner, version.dataset)

    def note(self, versions: Iterable[Version]) -> None:
        """That they are about to be seen is evidence, where others own them."""
        if self._reach is not None:
            evidence.note_reads(self._identity, versions, self._reach.grounds)


def _current(versions: Iterable[Version], asked: _Asked) -> Iterator[Version]:
    """Those of one resource that are in the period asked for, which is where they end."""
    for version in versions:
        if version.updated < asked.since:
            return
        yield version
        if asked.current_from and version.updated <= asked.current_from:
            return


def _types(identity: Identity, resource_type: str, asked: _Asked) -> frozenset[str]:
    if resource_type:
        return frozenset({resource_type})
    for name in asked.types or ():
        access.require(identity, "history", name)
    types = asked.types or access.readable_types(identity, "history")
    if not types:
        raise FhirError(403, "forbidden", "Your groups don't allow history.")
    return types & changes.registered()


def _of_types(
    request: Request, types: frozenset[str], identity: Identity, asked: _Asked
) -> tuple[list[bytes], Place | None]:
    size = min(asked.count + 1, _BATCH)
    until = min(asked.until, asked.after[0]) if asked.after else asked.until
    scan = _Scan(changes.newest_first(types, until=until, page=size), asked.after)
    sight = _Sight(identity, types)
    visible = (change for change in scan if sight.shows(change))
    keys = ((c.pk, c.version) for c in _in_period(visible, asked, size))
    entries, after = _page(request, _read(keys, size), asked, sight)
    return entries, after or scan.place_when_cut


class _Scan:
    """Changes after a place; ends after MAX_SCANNED of them."""

    def __init__(self, found: Iterator[Change], after: Place | None) -> None:
        self._found, self._after = found, after
        self.place_when_cut: Place | None = None

    def __iter__(self) -> Iterator[Change]:
        following = (c for c in self._found if not self._after or c.place < self._after)
        for number, change in enumerate(following, 1):
            yield change
            if number == MAX_SCANNED:
                self.place_when_cut = change.place
                return


def _in_period(found: Iterator[Change], asked: _Asked, size: int) -> Iterator[Change]:
    """Those in the period asked for; before it, only what nothing newer had replaced by then."""
    found = takewhile(lambda change: change.updated >= asked.since, found)
    if not asked.current_from:
        yield from found
        return
    for part in _parts(found, size):
        old = [c for c in part if c.updated <= asked.current_from]
        ended = store.instants([(c.pk, c.version + 1) for c in old])
        for change in part:
            end = ended.get((change.pk, change.version + 1), _LAST)
            if change.updated > asked.current_from or end > asked.current_from:
                yield change


def _read(keys: Iterable[tuple[str, int]], size: int) -> Iterator[Version]:
    for part in _parts(keys, size):
        yield from store.read_many(part)


def _parts(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _page(
    request: Request, versions: Iterable[Version], asked: _Asked, sight: _Sight
) -> tuple[list[bytes], Place | None]:
    """As many entries as asked for and as an answer holds; where the next page starts, if any."""
    entries: list[bytes] = []
    size = 0
    last: Place | None = None
    after: Place | None = None
    shown: list[Version] = []
    for version in versions if asked.count else ():
        if not (version.body or version.damaged or version.deleted or version.erased):
            continue  # its body went when the resource was erased
        entry = _entry(request.base_url, version)
        size += size_in_answer(entry)
        if len(entries) == asked.count or (entries and size > MAX_ANSWER_BYTES):
            after = last
            break
        entries.append(entry)
        shown.append(version)
        last = changes.place(version.pk, version.version, version.updated)
    sight.note(version for version in shown if version.body)
    request.log["shown"] = [f"{version.pk}/{version.version}" for version in shown]
    return entries, after


def _entry(base_url: str, version: Version) -> bytes:
    gone = version.deleted or version.erased
    method = "DELETE" if gone else "POST" if version.version == 1 else "PUT"
    kind = version.pk.partition("/")[0]
    response = {"status": {"DELETE": "204", "POST": "201", "PUT": "200"}[method]}
    response |= {"etag": headers.etag(version)}
    response |= {"lastModified": version.updated} if version.updated else {}
    frame = serialise(
        {
            "fullUrl": f"{base_url}/{version.pk}",
            "request": {"method": method, "url": kind if method == "POST" else version.pk},
            "response": response | ({"outcome": _damage(version)} if version.damaged else {}),
        }
    )
    return frame if gone or version.damaged else frame[:-1] + b',"resource":' + version.body + b"}"


def _damage(version: Version) -> dict[str, Any]:
    return operation_outcome(DamagedError(version.pk, version.version))


def _asked(request: Request, *, of_system: bool) -> _Asked:
    """The request's parameters. Unknown ones are 400 under `handling=strict`, else left out."""
    asked = _Asked()
    strict = headers.preference(request, "handling") == "strict"
    for name, value in request.query:
        if not value.strip():
            continue
        if name == "_type" and of_system:
            asked.types = _type_names(value)
        elif name in _READERS:
            _READERS[name](asked, value)
        elif name not in _FORM:
            if strict:
                raise FhirError(
                    400, "not-supported", f"The parameter {quote(name)} isn't supported here."
                )
            continue
        if name != "_cursor":
            asked.used.append((name, value))
    return asked


def _type_names(value: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in value.split(","))
    for name in names - RESOURCE_TYPES:
        raise _invalid(f"{quote(name)} isn't a resource type.")
    return names


def _count(asked: _Asked, value: str) -> None:
    if not re.fullmatch(r"\d{1,9}", value):
        raise _invalid("_count is a number of at least 0.")
    asked.count = min(int(value), MAX_COUNT)


def _since(asked: _Asked, value: str) -> None:
    asked.since = _bounds("_since", value)[0]


def _at(asked: _Asked, value: str) -> None:
    asked.current_from, asked.until = _bounds("_at", value)


def _bounds(name: str, value: str) -> tuple[str, str]:
    """First and last instant that a date or time covers."""
    try:
        low, high, _ = date_bounds(value)
        return _instant(-int(-low // 1000)), _instant(int(high // 1000))
    except (ValueError, OverflowError):
        raise _invalid(f"{name} is a date or an instant.") from None


def _instant(milliseconds: int) -> str:
    then = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cursor(asked: _Asked, value: str) -> None:
    """Grants nothing: access is checked for every entry."""
    try:
        padded = (value + "=" * (-len(value) % 4)).encode("ascii")
        updated, digest, version = json.loads(base64.b64decode(padded, b"-_", validate=True))
        if not (isinstance(updated, str) and isinstance(digest, str) and type(version) is int):
            raise ValueError("another kind of cursor")
        _ = updated.encode()
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise _invalid("The cursor isn't one of this history; start at its first page.") from None
    asked.after = (updated, digest, version)


_READERS = {"_count": _count, "_since": _since, "_at": _at, "_cursor": _cursor}


def _link(url: str, used: Sequence[tuple[str, str]], after: Place | None) -> str:
    query = urlencode(used, quote_via=percent, safe=":,/$")
    if after:
        cursor = base64.urlsafe_b64encode(json.dumps(after, separators=(",", ":")).encode())
        query += f"&_cursor={cursor.decode().rstrip('=')}"
    return f"{url}?{query.removeprefix('&')}" if query else url


def _invalid(diagnostics: str) -> FhirError:
    return FhirError(400, "value", diagnostics)
