"""Entries of a bundle: what each asks for.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from functions.shared import headers
from functions.shared.errors import FhirError, Issue, quote
from functions.shared.http import FHIR_JSON, Request
from functions.shared.resources import ID, RESOURCE_TYPES, serialise

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

_CONDITIONS = {
    "ifMatch": "if-match",
    "ifNoneExist": "if-none-exist",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
}
_OF_THE_BUNDLE = frozenset({*_CONDITIONS.values(), "content-type"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A request within a bundle. `path` and `query` are those of its URL."""

    index: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    resource: dict[str, Any] | None = None
    full_url: str = ""
    conditions: dict[str, str] = field(default_factory=dict)

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/")) if self.path.strip("/") else ()

    @property
    def reads(self) -> bool:
        return self.method in ("GET", "HEAD") or self.segments[-1:] == ("_search",)


def read(index: int, entry: Any, base_url: str) -> Entry:
    """An entry of the bundle's JSON. 400 with its place for what isn't one, 422 for Binary."""
    asked = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(asked, dict):
        raise _refused(index, "required", "The entry needs a request.")
    method, url = asked.get("method"), asked.get("url")
    if method not in METHODS or not isinstance(url, str):
        raise _refused(index, "value", f"A request has a url and a method: {', '.join(METHODS)}.")
    resource, full_url = entry.get("resource"), entry.get("fullUrl", "")
    conditions = {header: asked[name] for name, header in _CONDITIONS.items() if name in asked}
    if (
        not isinstance(full_url, str)
        or not (resource is None or isinstance(resource, dict))
        or not all(isinstance(value, str) for value in conditions.values())
    ):
        raise _refused(index, "structure", "The entry isn't one of a FHIR bundle.")
    path, query = _split(index, url, base_url)
    found = Entry(index, method, path, query, resource, full_url, conditions)
    if _is_for_uploads(found):
        raise FhirError(
            422,
            "not-supported",
            f"Entry {index}: Binary has uploads of its own; send it outside of bundles.",
            expression=[f"Bundle.entry[{index}]"],
        )
    return found


def _is_for_uploads(entry: Entry) -> bool:
    """Whether another function serves it, to which a bundle doesn't come."""
    kind, *rest = entry.segments or ("",)
    if kind != "Binary":
        return False
    return not entry.reads or (len(rest) in (1, 3) and rest[0] != "_search")


def _split(index: int, url: str, base_url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    try:
        parts = urlsplit(url.removeprefix(base_url))
        query = parse_qsl(parts.query, keep_blank_values=True, errors="strict")
        path = unquote(parts.path, errors="strict")
    except ValueError:
        raise _refused(index, "value", f"{quote(url)} isn't a valid URL.") from None
    if parts.scheme or parts.netloc or parts.fragment:
        raise _refused(index, "value", f"{quote(url)} isn't an address of this server.")
    return "/" + path.lstrip("/"), tuple(query)


def target(entry: Entry) -> tuple[str, str]:
    """(type, id) that a write is about; no id for a create and for criteria."""
    segments = entry.segments
    kind = segments[0] if segments else ""
    if kind not in RESOURCE_TYPES or not 1 <= len(segments) <= 2 or "$" in entry.path:
        raise _refused(
            entry.index, "not-supported", f"{entry.method} of {quote(entry.path)} isn't supported."
        )
    resource_id = segments[1] if len(segments) == 2 else ""
    if (entry.method == "POST" and resource_id) or (resource_id and not ID.fullmatch(resource_id)):
        raise _refused(entry.index, "value", f"{quote(entry.path)} isn't fit for {entry.method}.")
    return kind, resource_id


def patch_in(entry: Entry) -> tuple[bytes, str]:
    """(patch, its media type): an entry carries it as a Binary."""
    binary = entry.resource or {}
    data, media_type = binary.get("data"), binary.get("contentType")
    if (
        binary.get("resourceType") != "Binary"
        or not isinstance(data, str)
        or not isinstance(media_type, str)
    ):
        raise _refused(entry.index, "required", "Send the patch as the data of a Binary.")
    try:
        return base64.b64decode(data, validate=True), media_type
    except (binascii.Error, ValueError):
        raise _refused(entry.index, "value", "The patch isn't valid base64.") from None


def request_of(entry: Entry, bundle: Request) -> Request:
    """The entry as a request of its own, with the bundle's token and preferences."""
    sent = {k: v for k, v in bundle.headers.items() if k not in _OF_THE_BUNDLE}
    if not headers.preference(bundle, "return"):
        sent["prefer"] = ", ".join(filter(None, [sent.get("prefer", ""), "return=minimal"]))
    body, media_type = b"", FHIR_JSON
    if entry.method == "PATCH":
        body, media_type = patch_in(entry)
    elif entry.resource is not None:
        body = serialise(entry.resource)
    return replace(
        bundle,
        method=entry.method,
        path=entry.path,
        query=entry.query,
        headers={**sent, **entry.conditions, "content-type": media_type},
        body=body,
        log={},
    )


def located(error: FhirError, index: int) -> FhirError:
    """The error, which says in which entry of the bundle it is."""
    place = f"Bundle.entry[{index}]"

    def within(issue: Issue) -> Issue:
        inner = tuple(
            f"{place}.resource.{rest}" if (rest := e.partition(".")[2]) else f"{place}.resource"
            for e in issue.expression
        )
        return Issue(issue.code, f"Entry {index}: {issue.diagnostics}", inner or (place,))

    first, *further = map(within, error.issues)
    return FhirError(
        error.status,
        first.code,
        first.diagnostics,
        expression=first.expression,
        headers={k: v for k, v in error.headers.items() if k == "Retry-After"},
        further=further,
    )


def _refused(index: int, code: str, diagnostics: str) -> FhirError:
    place = [f"Bundle.entry[{index}].request"]
    return FhirError(400, code, f"Entry {index}: {diagnostics}", expression=place)
