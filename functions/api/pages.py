"""A page of a search as a Bundle of type searchset, as large as Lambda can answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote as percent
from urllib.parse import urlencode

from functions.api.elements import Subset
from functions.search import cursor
from functions.search.plan import Plan
from functions.search.view import View
from functions.shared.errors import FhirError, operation_outcome
from functions.shared.http import MAX_ANSWER_BYTES, size_in_answer
from functions.shared.items import DamagedError, Version
from functions.shared.resources import serialise

Gather = Callable[[Sequence[Version]], "list[Version] | None"]
"""What belongs to the matches besides; None when that is too much for a page."""


class _Match(NamedTuple):
    version: Version
    entry: bytes
    place: int
    """Of its hit."""


@dataclass(frozen=True, slots=True)
class Page:
    """How a page is made: where, for whom, what is gathered, and what resources have on it."""

    base_url: str
    path: str
    view: View
    gather: Gather | None = None
    subset: Subset | None = None
    shown: list[Version] = field(default_factory=list)
    """The resources on the page that was made."""

    def bundle(
        self, given: Sequence[tuple[str, str]], asked: Plan, answer: dict[str, Any]
    ) -> bytes:
        """The Bundle's JSON. Whole resources are copied as they are stored, byte for byte."""
        url = self.base_url + self.path
        used = [pair for pair in given if pair[0] == "_type"] + asked.used
        own = f"&_cursor={percent(asked.cursor)}" if asked.cursor else ""
        links = [{"relation": "self", "url": _link(url, used, own)}]
        hits = answer["hits"]["hits"]
        entries: list[bytes] = []
        if hits and not asked.count_only:
            entries, last = self._entries(hits[: asked.count])
            if last is not hits[-1]:
                after = percent(cursor.encode(asked, last["sort"]))
                links.append({"relation": "next", "url": _link(url, used, f"&_cursor={after}")})
        head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if asked.count_only or asked.total != "none":
            head["total"] = answer["hits"]["total"]["value"]
        head["link"] = links
        if not entries:
            return serialise(head)
        return serialise(head)[:-1] + b',"entry":[' + b",".join(entries) + b"]}"

    def _entries(self, hits: list[dict[str, Any]]) -> tuple[list[bytes], dict[str, Any]]:
        """The entries of as many hits as fit into an answer, and the last hit among them.

        What belongs to a match is on its page: a page has fewer matches rather than not all of it.
        """
        matches, last = self._matches(hits)
        while self.gather and matches:
            further = self.gather([m.version for m in matches if not m.version.damaged])
            if further is not None:
                entries = [match.entry for match in matches]
                entries += [self._entry(version, "include") for version in further]
                if not further or sum(map(size_in_answer, entries)) <= MAX_ANSWER_BYTES:
                    self.shown.extend((*(match.version for match in matches), *further))
                    return entries, hits[last]
            if len(matches) < 2:
                raise FhirError(
                    422, "too-costly", "What belongs to one match is too much; include less."
                )
            matches = matches[: len(matches) // 2]
            last = matches[-1].place
        self.shown.extend(match.version for match in matches)
        return [match.entry for match in matches], hits[last]

    def _matches(self, hits: list[dict[str, Any]]) -> tuple[list[_Match], int]:
        """As many as fit, and the place of the last hit that was taken."""
        place = {(hit["_id"], hit["_version"]): number for number, hit in enumerate(hits)}
        matches: list[_Match] = []
        size = 0
        for version in self.view.read(list(place)):
            number = place[version.pk, version.version]
            entry = self._entry(version, "match")
            size += size_in_answer(entry)
            if matches and size > MAX_ANSWER_BYTES:
                return matches, number - 1
            matches.append(_Match(version, entry, number))
        return matches, len(hits) - 1

    def _entry(self, version: Version, mode: str) -> bytes:
        if version.damaged:
            outcome = operation_outcome(DamagedError(version.pk, version.version))
            return serialise({"resource": outcome, "search": {"mode": "outcome"}})
        body = version.body
        if self.subset:
            body = self.subset.of(body, included=mode == "include")
        full = serialise(f"{self.base_url}/{version.pk}")
        search = b',"search":{"mode":"' + mode.encode() + b'"}}'
        return b'{"fullUrl":' + full + b',"resource":' + body + search


def _link(url: str, used: Sequence[tuple[str, str]], cursor_part: str) -> str:
    query = urlencode(used, quote_via=percent, safe=":,/$*") + cursor_part
    return f"{url}?{query.removeprefix('&')}" if query else url
