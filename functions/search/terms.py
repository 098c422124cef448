"""Terms: how codes, units, references and addresses are written and looked up in the index."""

from __future__ import annotations

import re

from functions.search.text import exact

# Separates system and code; it can't occur in a FHIR string.
_SEPARATOR = "\x1f"

LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
"""A relative reference: type, id, version."""

ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
"""How a URL or URN begins."""


def code(value: str) -> str:
    """Any system. Case doesn't matter: R4 prefers finding too much to missing something."""
    return exact("c:" + value.casefold())


def coding(system: str, value: str) -> str:
    """That system; empty: none."""
    return exact(f"b:{system}{_SEPARATOR}{value.casefold()}")


def system(value: str) -> str:
    """Any code of that system."""
    return exact(f"s:{value}")


def unit(value: str) -> str:
    """A unit's code or its printed form; case matters (mg, Mg)."""
    return exact("c:" + value)


def unit_coding(system: str, value: str) -> str:
    return exact(f"b:{system}{_SEPARATOR}{value}")


def dimension(name: str) -> str:
    """All units that compare with each other."""
    return "d:" + name


def comparable(parameter: str) -> str:
    """The name under which a quantity parameter's values in base units are indexed."""
    return parameter + "~"


def any_type(resource_id: str) -> str:
    """A local reference by id alone."""
    return "/" + resource_id


def of_reference(literal: str) -> list[str]:
    """What a literal reference or canonical is found by; nothing for a contained resource."""
    if not literal or literal.startswith("#"):
        return []
    if match := LOCAL.fullmatch(literal):
        kind, resource_id, version = match.groups()
        found = [f"{kind}/{resource_id}", any_type(resource_id)]
        return [*found, literal] if version else found
    return [exact(literal), *(exact(base) for base in _without_version(literal))]


def of_address(value: str) -> list[str]:
    """What a uri, url or canonical is found by."""
    base, _, version = value.partition("|")
    return [exact(value), exact(base)] if version else [exact(value)]


def ancestors(address: str) -> list[str]:
    """The address and those above it, by path segments."""
    found = [exact(address)]
    scheme, mark, rest = address.partition("://")
    start = len(scheme) + len(mark) if mark else 0
    for position, character in enumerate(address):
        if character == "/" and position >= start and rest:
            found += [exact(address[:position]), exact(address[: position + 1])]
    return list(dict.fromkeys(found))


def _without_version(literal: str) -> list[str]:
    base = literal.partition("|")[0].partition("/_history/")[0]
    return [base] if base and base != literal else []
