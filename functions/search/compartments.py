"""Compartments: what belongs to a patient, an encounter, a device …, by R4's own definitions.

https://hl7.org/fhir/R4/compartmentdefinition.html. tools/compile_compartments.py makes the table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from functions.search.clauses import NOTHING, Clause, all_of, any_of

_TABLE = Path(__file__).with_name("compartments.json")

COMPARTMENTS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


def types_of(compartment: str) -> frozenset[str]:
    """The types of which there may be resources in it."""
    return frozenset(_table()[compartment]) | {compartment}


def codes_of(compartment: str, resource_type: str) -> list[str]:
    """The parameters by which resources of the type refer to the one whose compartment it is."""
    return _table()[compartment].get(resource_type, [])


def members(compartment: str, resource_id: str, types: frozenset[str], base_url: str) -> Clause:
    """The clause of what is in it: what refers to its resource by certain parameters, and that."""
    key = f"{compartment}/{resource_id}"
    forms = [key, f"{base_url}/{key}"]
    by_code: dict[str, list[str]] = {}
    for type_, codes in sorted(_table()[compartment].items()):
        for code in codes if type_ in types else ():
            by_code.setdefault(code, []).append(type_)
    clauses: list[Clause] = [{"terms": {"pk": [key]}}] if compartment in types else []
    clauses += [
        all_of([{"terms": {"type": its}}, {"terms": {f"reference.{code}": forms}}])
        for code, its in by_code.items()
    ]
    return any_of(clauses) if clauses else NOTHING


@cache
def _table() -> Mapping[str, Mapping[str, list[str]]]:
    return json.loads(_TABLE.read_bytes())
