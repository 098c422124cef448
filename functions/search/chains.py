"""Chained parameters and _has: `subject:Patient.name`, `_has:Observation:patient:code`.

https://hl7.org/fhir/R4/search.html#chaining and #has. Each step is a search of its own, in what the
user may see; what it finds becomes terms of the next one. A step that finds more than MAX_LINKED is
refused, so that no answer is ever cut short.
"""

from __future__ import annotations

import re
from typing import Any

from functions.search.clauses import NOTHING, Clause, all_of, any_of, invalid, split, unsupported
from functions.search.parameters import Parameter, for_type
from functions.search.query import parameter_clause
from functions.search.view import View
from functions.shared import access
from functions.shared.errors import FhirError, quote
from functions.shared.resources import ID, RESOURCE_TYPES

MAX_LINKED = 10_000
"""Resources that a step may find; the engine returns no more at once."""

MAX_STEPS = 10
"""Of a request; each is a query to the engine."""

MAX_TYPES = 10
"""That `_has` may be asked of at once."""


class Chains:
    """Resolves the chains of one request."""

    def __init__(self, view: View, base_url: str) -> None:
        self._view = view
        self._base_url = base_url
        self._steps = 0

    def clause(self, types: frozenset[str], name: str, value: str) -> Clause:
        """The clause of a parameter of these types.

        400 for what isn't one, 403 for types in it that aren't allowed, 422 when it is too costly.
        """
        head, chained, rest = name.partition(".")
        if not chained and not name.startswith("_has:"):
            return self._last(types, name, value)
        self._steps += 1  # here, so that a long chain ends before its first query
        if self._steps > MAX_STEPS:
            raise FhirError(422, "too-costly", f"At most {MAX_STEPS} steps of chains.")
        if name.startswith("_has:"):
            return self._has(types, name, value)
        return self._chain(types, head, rest, value)

    def _last(self, types: frozenset[str], name: str, value: str) -> Clause:
        code, _, modifier = name.partition(":")
        values = [part for part in split(value, ",") if part.strip()]
        if not values:
            raise invalid(f"The parameter {quote(name)} needs a value.")
        clauses: list[tuple[Clause, list[str]]] = []
        for type_ in sorted(types):
            parameter = for_type(type_).get(code)
            if not parameter:
                continue
            clause = parameter_clause(parameter, modifier, values, self._base_url)
            for known, its_types in clauses:
                if known == clause:
                    its_types.append(type_)
                    break
            else:
                clauses.append((clause, [type_]))
        if not clauses:
            raise unsupported(f"There is no search parameter {quote(code)} here.")
        return any_of([all_of([{"terms": {"type": its}}, clause]) for clause, its in clauses])

    def _chain(self, types: frozenset[str], head: str, rest: str, value: str) -> Clause:
        code, _, modifier = head.partition(":")
        targets: set[str] = set()
        for parameter in _references(types, code):
            targets |= set(parameter.targets or RESOURCE_TYPES)
        if modifier:
            if modifier not in targets:
                raise invalid(f"{quote(code)} doesn't refer to {quote(modifier)}.")
            access.require(self._view.identity, "search", modifier)
            targets = {modifier}
        knowing = frozenset(type_ for type_ in targets if _knows(type_, rest))
        if not knowing:
            raise unsupported(f"There is no search parameter {quote(rest)} behind {quote(code)}.")
        inner = knowing & self._view.types
        if not inner:
            raise FhirError(403, "forbidden", "Your groups don't allow search behind this chain.")
        found = self._find(inner, self.clause(inner, rest, value))
        return {
            "terms": {
                f"reference.{code}": [
                    form for pk in found for form in (pk, f"{self._base_url}/{pk}")
                ]
            }
        }

    def _has(self, types: frozenset[str], name: str, value: str) -> Clause:
        parts = name.split(":", 3)
        if len(parts) != 4 or not all(parts):
            raise invalid("A reverse chain is written _has:Type:reference:parameter.")
        _, source, code, rest = parts
        if source not in RESOURCE_TYPES:
            raise invalid(f"{quote(source)} isn't a resource type.")
        access.require(self._view.identity, "search", source)
        (parameter,) = _references(frozenset({source}), code)
        targets = types & frozenset(parameter.targets or RESOURCE_TYPES)
        if not targets:
            raise invalid(f"{quote(f'{source}.{code}')} doesn't refer to what is searched.")
        if len(targets) > MAX_TYPES:
            raise invalid(f"Name at most {MAX_TYPES} types with _type for {quote('_has')}.")
        inner = self.clause(frozenset({source}), rest, value)
        found = self._referred(source, code, inner, sorted(targets))
        return {"terms": {"pk": found}} if found else NOTHING

    def _find(self, types: frozenset[str], clause: Clause) -> list[str]:
        """Keys of all that matches."""
        answer = self._view.search(
            {
                "query": self._view.query(types, [clause]),
                "size": MAX_LINKED,
                "track_total_hits": MAX_LINKED + 1,
                "_source": False,
                "sort": ["_doc"],
            }
        )
        if answer["hits"]["total"]["value"] > MAX_LINKED:
            raise _too_many()
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    def _referred(self, source: str, code: str, clause: Clause, types: list[str]) -> list[str]:
        """Keys of the resources of these types that what matches refers to by the parameter."""
        prefixes = [f"{start}{type_}/" for type_ in types for start in ("", f"{self._base_url}/")]
        answer = self._view.search(
            {
                "query": self._view.query({source}, [clause]),
                "size": 0,
                "track_total_hits": False,
                "aggs": {prefix: _beginning_with(code, prefix) for prefix in prefixes},
            }
        )
        found: dict[str, None] = {}
        for prefix in prefixes:
            buckets = answer["aggregations"][prefix]["buckets"]
            values = [bucket["key"]["value"] for bucket in buckets]
            if len(values) > MAX_LINKED and values[-1].startswith(prefix):
                raise _too_many()
            for value in values:
                resource_id = value.removeprefix(prefix)
                if value.startswith(prefix) and ID.fullmatch(resource_id):
                    found[f"{prefix.removeprefix(self._base_url + '/')}{resource_id}"] = None
        if len(found) > MAX_LINKED:
            raise _too_many()
        return list(found)


def _references(types: frozenset[str], code: str) -> list[Parameter]:
    """The types' reference parameters of that code that lead to resources by type and id."""
    found = [parameter for type_ in sorted(types) if (parameter := for_type(type_).get(code))]
    if not found:
        raise unsupported(f"There is no search parameter {quote(code)} here.")
    if not all(is_link(parameter) for parameter in found):
        raise unsupported(f"The parameter {quote(code)} can't be chained.")
    return found


def is_link(parameter: Parameter) -> bool:
    """Whether it refers to resources by type and id, not by a canonical URL or inline."""
    return parameter.kind == "reference" and all(s.type == "Reference" for s in parameter.sources)


def _knows(type_: str, name: str) -> bool:
    """Whether the first step of a name is possible on a type."""
    if name.startswith("_has:"):
        source, _, code = name.removeprefix("_has:").partition(":")
        if source not in RESOURCE_TYPES:
            raise invalid(f"{quote(source)} isn't a resource type.")
        parameter = for_type(source).get(code.partition(":")[0])
        return parameter is not None and type_ in (parameter.targets or RESOURCE_TYPES)
    return re.split("[.:]", name, maxsplit=1)[0] in for_type(type_)


def _beginning_with(code: str, prefix: str) -> dict[str, Any]:
    """The distinct references of a parameter, from the first with the prefix on, in order."""
    return {
        "composite": {
            "size": MAX_LINKED + 1,
            "sources": [{"value": {"terms": {"field": f"reference.{code}"}}}],
            "after": {"value": prefix},
        }
    }


def _too_many() -> FhirError:
    return FhirError(
        422, "too-costly", f"A step of a chain finds more than {MAX_LINKED}; narrow it down."
    )
