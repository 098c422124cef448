"""Links between the entries of a transaction, and conditional references to what exists.

https://hl7.org/fhir/R4/bundle.html#references and http.html#trules
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from functions.api import conditional, guards, references
from functions.api.planned import Write
from functions.shared.errors import FhirError, quote
from functions.shared.http import Request
from functions.shared.identity import Identity
from functions.shared.resources import RESOURCE_TYPES

_RESTFUL = re.compile(r"(https?://.+/|)([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})")


class Links:
    """Where the links of one transaction lead. `used`: pk -> version that criteria found."""

    def __init__(self, request: Request, identity: Identity, planned: Sequence[Write]) -> None:
        self.used: dict[str, int] = {}
        self._request, self._identity = request, identity
        self._removed = {write.pk for write in planned if write.is_delete}
        kept = [write for write in planned if not write.is_delete]
        self._by_url = {write.entry.full_url: write.pk for write in kept if write.entry.full_url}
        self._by_guard = {write.guard: write.pk for write in kept if write.guard}
        self._found: dict[str, str] = {}

    def follow(self, resource: dict[str, Any], full_url: str) -> None:
        """Points the links of an entry's resource, in place, to where they lead now.

        412 for a conditional reference that nothing matches, or several resources.
        """
        own = _RESTFUL.fullmatch(full_url)
        base = own[1] if own else ""

        def replace(link: str, is_reference: bool) -> str:
            if link in self._by_url:
                return self._by_url[link]
            if not is_reference:
                return link
            if "?" in link:
                return self._conditional(link)
            return self._by_url.get(base + link, link) if _RESTFUL.fullmatch(link) else link

        references.rewrite(resource, replace)

    def _conditional(self, link: str) -> str:
        kind, _, query = link.partition("?")
        if kind not in RESOURCE_TYPES:
            return link
        if link not in self._found:
            self._found[link] = self._match(kind, conditional.criteria_of(query), link)
        return self._found[link]

    def _match(self, kind: str, criteria: conditional.Criteria, link: str) -> str:
        made_here = self._by_guard.get(guards.key(self._identity, kind, criteria))
        if made_here:
            return made_here
        found = conditional.match(self._request, self._identity, kind, criteria)
        if found is None or found.pk in self._removed:
            raise FhirError(412, "not-found", f"Nothing matches the reference {quote(link)}.")
        self.used[found.pk] = found.version
        return found.pk
