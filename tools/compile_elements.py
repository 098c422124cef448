"""Compiles which elements a summary has, to the table `functions/api/elements.json.gz`.

    python -m tools.compile_elements hapi-fhir-validation-resources-r4-8.6.1.jar

tools/definitions.py says where the file comes from. The output is deterministic.

The table is JSON: {"summary": {type or path: {member: where its members are listed}},
"mandatory": {resource type: members}}. A summary keeps what HL7 marks and what is mandatory, since
a resource without it couldn't be read. An empty place means that the member is kept as it is.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from pathlib import Path

from tools.definitions import Definitions, Element, Structure

OUTPUT = Path(__file__).parents[1] / "functions" / "api" / "elements.json.gz"

# Kept inside whatever is kept: identity and extensions belong to the value.
ALWAYS = frozenset({"id", "extension", "modifierExtension"})

Table = dict[str, dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("jar", type=Path)
    arguments = parser.parse_args()
    table = compile_elements(Definitions(arguments.jar))
    data = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    OUTPUT.write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{len(table['mandatory'])} resource types -> {OUTPUT.name}, {OUTPUT.stat().st_size} B")


def compile_elements(source: Definitions) -> dict[str, dict[str, object]]:
    resources = [found for found in source.resources() if not found.abstract]
    data_types = [found for found in source.data_types() if found.kind == "complex-type"]
    members: dict[str, list[Element]] = defaultdict(list)
    for structure in (*resources, *data_types):
        for element in structure.elements[1:]:
            if element.max != "0":
                members[element.path.rpartition(".")[0]].append(element)
    names = frozenset(found.name for found in resources)
    partial = _partial(members, names)
    summary: dict[str, object] = {
        path: {
            name: place if place in partial else ""
            for element in its
            if _is_kept(element, names)
            for name, place in _options(element, members)
        }
        for path, its in members.items()
        if path in partial
    }
    return {"summary": summary, "mandatory": {r.name: _mandatory(r) for r in resources}}


def _partial(members: dict[str, list[Element]], resources: frozenset[str]) -> set[str]:
    """Types and paths of which a summary has a part only, in themselves or further down."""
    partial = set(resources)
    before = 0
    while before != len(partial):
        before = len(partial)
        for path, its in members.items():
            places = {place for element in its for _, place in _options(element, members)}
            if places & partial - resources or not all(_is_kept(e, resources) for e in its):
                partial.add(path)
    return partial


def _is_kept(element: Element, resources: frozenset[str]) -> bool:
    owner, _, name = element.path.rpartition(".")
    return element.in_summary or element.min > 0 or (owner not in resources and name in ALWAYS)


def _options(element: Element, members: dict[str, list[Element]]) -> list[tuple[str, str]]:
    """(JSON name, where its members are listed) for each type of an element."""
    name = element.path.rpartition(".")[2]
    if name in ALWAYS:
        return [(name, "")]
    if element.content_reference:
        return [(name, element.content_reference)]
    if element.path in members:
        return [(name, element.path)]
    if not name.endswith("[x]"):
        return [(name, element.types[0] if element.types else "")]
    stem = name.removesuffix("[x]")
    return [(stem + type_[0].upper() + type_[1:], type_) for type_ in element.types]


def _mandatory(structure: Structure) -> list[str]:
    """Members of the resource that it must have; of a choice, the name before its type."""
    return [
        element.path.partition(".")[2].removesuffix("[x]")
        for element in structure.elements[1:]
        if element.min > 0 and element.path.count(".") == 1
    ]


if __name__ == "__main__":
    main()
