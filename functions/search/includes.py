"""_include and _revinclude: which further resources belong to an answer, and the query for them.

https://hl7.org/fhir/R4/search.html#revinclude. References by type and id are followed, also those
that name this server, and canonical URLs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from functions.search import paths, terms
from functions.search.clauses import Clause, all_of, any_of, invalid, unsupported
from functions.search.parameters import Parameter, for_type
from functions.search.text import exact
from functions.shared.errors import quote
from functions.shared.resources import RESOURCE_TYPES

_FOLLOWED = frozenset({"Reference", "canonical", "uri", "url"})


class Include(NamedTuple):
    """One _include or, if `reverse`, _revinclude. An empty source, code or target is any."""

    reverse: bool
    iterate: bool
    source: str
    code: str
    target: str

    def parameters(self, source: str) -> Iterator[Parameter]:
        """The reference parameters of a source type that it follows."""
        if self.source in ("", source):
            for parameter in for_type(source).values():
                if self.code in ("", parameter.code) and is_followed(parameter):
                    yield parameter

    def targets(self, parameter: Parameter) -> frozenset[str]:
        """The types that it includes by a parameter, or, if `reverse`, starts from."""
        targets = frozenset(parameter.targets or RESOURCE_TYPES)
        return targets & {self.target} if self.target else targets


def is_followed(parameter: Parameter) -> bool:
    """Whether an include can name the parameter."""
    return parameter.kind == "reference" and all(s.type in _FOLLOWED for s in parameter.sources)


def read(name: str, value: str) -> Include:
    """The include of a parameter `_include`, `_include:iterate`, `_revinclude` … 400."""
    kind, _, modifier = name.partition(":")
    if modifier not in ("", "iterate"):
        raise unsupported(f"The modifier {quote(':' + modifier)} isn't supported on {kind}.")
    reverse, iterate = kind == "_revinclude", modifier == "iterate"
    if value == "*" and not reverse:
        return Include(reverse, iterate, "", "", "")
    source, code, target, *more = [*value.split(":"), "", ""]
    if source not in RESOURCE_TYPES or not code or any(more):
        raise invalid(f"{kind} is written Type:parameter or Type:parameter:Target.")
    if target and target not in RESOURCE_TYPES:
        raise invalid(f"{quote(target)} isn't a resource type.")
    include = Include(reverse, iterate, source, "" if code == "*" else code, target)
    found = list(include.parameters(source))
    if not found:
        raise invalid(f"{quote(source)} has no reference parameter {quote(code)}.")
    if not any(include.targets(parameter) for parameter in found):
        raise invalid(f"{quote(f'{source}:{code}')} doesn't refer to {target}.")
    return include


def wanted(
    includes: Iterable[Include], resources: Sequence[dict[str, Any]], base_url: str
) -> tuple[frozenset[str], Clause | None]:
    """(types, clause) of what the includes add to these resources; None when there is nothing."""
    types: set[str] = set()
    clauses: list[Clause] = []
    for include in includes:
        found = _pointing if include.reverse else _pointed
        for its_types, clause in found(include, resources, base_url):
            types |= its_types
            clauses.append(clause)
    return frozenset(types), any_of(clauses) if clauses else None


def _pointed(
    include: Include, resources: Sequence[dict[str, Any]], base_url: str
) -> Iterator[tuple[set[str], Clause]]:
    """What the resources refer to."""
    keys: set[str] = set()
    for resource in resources:
        for parameter in include.parameters(resource["resourceType"]):
            targets = include.targets(parameter)
            for literal in _literals(parameter, resource):
                match = terms.LOCAL.fullmatch(literal.removeprefix(f"{base_url}/"))
                if match is None:
                    if by_url := _with_url(literal, targets):
                        yield by_url
                elif match.group(1) in targets:
                    keys.add(f"{match.group(1)}/{match.group(2)}")
    if keys:
        yield {key.partition("/")[0] for key in keys}, {"terms": {"pk": sorted(keys)}}


def _with_url(literal: str, targets: frozenset[str]) -> tuple[set[str], Clause] | None:
    types = {type_ for type_ in targets if "url" in for_type(type_)}
    if not types or not terms.ABSOLUTE.match(literal):
        return None
    url, _, version = literal.partition("|")
    clauses: list[Clause] = [{"terms": {"uri.url": [exact(url)]}}]
    if version:
        clauses.append({"terms": {"token.version": [terms.code(version)]}})
    if types != RESOURCE_TYPES:
        clauses.append({"terms": {"type": sorted(types)}})
    return types, all_of(clauses)


def _literals(parameter: Parameter, resource: dict[str, Any]) -> Iterator[str]:
    for source in parameter.sources:
        for value in paths.values(resource, resource, source.steps):
            literal = value.get("reference") if isinstance(value, dict) else value
            if isinstance(literal, str):
                yield literal


def _pointing(
    include: Include, resources: Sequence[dict[str, Any]], base_url: str
) -> Iterator[tuple[set[str], Clause]]:
    """What refers to the resources."""
    for parameter in include.parameters(include.source):
        targets = include.targets(parameter)
        forms: list[str] = []
        for resource in resources:
            if resource["resourceType"] in targets:
                key = f"{resource['resourceType']}/{resource['id']}"
                forms += [key, f"{base_url}/{key}"]
                if isinstance(url := resource.get("url"), str):
                    forms.append(exact(url))
        if forms:
            source: Clause = {"terms": {"type": [include.source]}}
            pointing: Clause = {"terms": {f"reference.{parameter.code}": forms}}
            yield {include.source}, all_of([source, pointing])
