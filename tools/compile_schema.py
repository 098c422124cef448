"""Compiles FHIR R4's structure definitions to the JSON schemas that validation reads.

    python -m tools.compile_schema hapi-fhir-validation-resources-r4-8.6.1.jar

tools/definitions.py says where the file comes from. The output is deterministic.

HL7's own JSON schema is one graph of 650 definitions, which takes long to compile, and it leaves
out required primitives, choices of one type, and nulls beside extensions of primitives. These
schemas (draft 2020-12) have them, and stand alone: a resource in another is validated by its own.

The result has one line per resource type, in alphabetical order, after a line with the data types:
a process reads the lines that it needs. The rules are those of https://hl7.org/fhir/R4/json.html.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tools.definitions import Definitions, Element, Structure

TARGET = Path(__file__).parents[1] / "functions" / "shared" / "fhir_r4_schema.jsonl"

INT32 = 2**31
PRIMITIVES: dict[str, dict[str, Any]] = {
    "base64Binary": {"type": "string", "pattern": r"^[0-9A-Za-z+/=\s]+$"},
    "boolean": {"type": "boolean"},
    "canonical": {"type": "string", "pattern": r"^\S+$"},
    "code": {"type": "string", "pattern": r"^[^\s]+(\s[^\s]+)*$"},
    "date": {"type": "string", "format": "fhir-date"},
    "dateTime": {"type": "string", "format": "fhir-dateTime"},
    "decimal": {"type": "number"},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
    "instant": {"type": "string", "format": "fhir-instant"},
    "integer": {"type": "integer", "minimum": -INT32, "maximum": INT32 - 1},
    "markdown": {"type": "string", "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$"},
    "oid": {"type": "string", "pattern": r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": INT32 - 1},
    "string": {"type": "string", "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$"},
    "time": {
        "type": "string",
        "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?$",
    },
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": INT32 - 1},
    "uri": {"type": "string", "pattern": r"^\S+$"},
    "url": {"type": "string", "pattern": r"^\S+$"},
    "uuid": {"type": "string", "pattern": r"^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    "xhtml": {"type": "string", "pattern": r"^\s*<div[\s>/]"},
}
# The type of an `id` or `url` attribute is named in an extension, in terms of FHIRPath.
SYSTEM = "http://hl7.org/fhirpath/System."
OF_SYSTEM = {"id": "string", "url": "uri"}

Schema = dict[str, Any]


def main(jar: Path) -> None:
    source = Definitions(jar)
    codes = source.codes()
    shared: dict[str, Schema] = {}
    for name, schema in PRIMITIVES.items():
        shared |= {name: schema, f"{name}?": nullable(schema)}
    for structure in source.data_types():
        if structure.name not in PRIMITIVES:
            shared |= definitions(structure, codes)
    shared["Element?"] = nullable(shared["Element"])
    lines = [json.dumps(["", shared], separators=(",", ":"))]
    for structure in sorted(source.resources(), key=lambda found: found.name):
        if not structure.abstract:
            own = definitions(structure, codes)
            lines.append(json.dumps([structure.name, own], separators=(",", ":")))
    TARGET.write_text("\n".join(lines) + "\n")
    print(f"{TARGET.name}: {len(lines) - 1} resource types, {TARGET.stat().st_size / 1e3:.0f} kB")


def definitions(structure: Structure, codes: dict[str, list[str]]) -> dict[str, Schema]:
    """The schemas of a type and of its backbone elements, by path."""
    children: dict[str, list[Element]] = defaultdict(list)
    for element in structure.elements[1:]:
        children[element.path.rpartition(".")[0]].append(element)
    name = structure.name
    schemas = {path: object_of(found, children, codes) for path, found in children.items()}
    root = schemas[name]
    if structure.kind == "resource":
        root["properties"] = {
            "resourceType": {"const": name},
            **root["properties"],
            "id": reference("id"),
        }
        root["required"] = ["resourceType", *root.get("required", [])]
    return schemas


def object_of(
    elements: list[Element], children: dict[str, list[Element]], codes: dict[str, list[str]]
) -> Schema:
    properties: dict[str, Schema] = {}
    required: list[str] = []
    rules: list[Schema] = []
    for element in elements:
        path = element.path
        name = path.rpartition(".")[2]
        if element.max == "0":
            continue
        if name.endswith("[x]"):
            stem = name.removesuffix("[x]")
            names = []
            for kind in element.types:
                option = stem + kind[0].upper() + kind[1:]
                names.append(option)
                properties |= property_of(option, kind, element, codes)
            rules.append(one_of(names, properties, optional=element.min == 0))
            continue
        kind = type_of(element, path in children)
        properties |= property_of(name, kind, element, codes)
        if element.min > 0:
            if f"_{name}" in properties:
                rules.append({"anyOf": [{"required": [name]}, {"required": [f"_{name}"]}]})
            else:
                required.append(name)
    schema: Schema = {"type": "object", "minProperties": 1, "properties": properties}
    if required:
        schema["required"] = required
    if rules:
        schema["allOf"] = rules
    return {**schema, "additionalProperties": False}


def type_of(element: Element, has_children: bool) -> str:
    """The definition that an element refers to."""
    if element.content_reference:
        return element.content_reference
    if has_children:
        return element.path
    code = element.types[0]
    return OF_SYSTEM[element.path.rpartition(".")[2]] if code.startswith(SYSTEM) else code


def property_of(
    name: str, kind: str, element: Element, codes: dict[str, list[str]]
) -> dict[str, Schema]:
    """The property of an element, and of its `_name` if it is a primitive."""
    many = element.max != "1"
    attribute = bool(element.types) and element.types[0].startswith(SYSTEM)
    if kind == "Resource":
        schema: Schema = {"type": "object", "required": ["resourceType"]}
    elif kind == "code" and (enum := codes.get(code_path(element.path))):
        schema = {"enum": [*enum, None] if many else enum}
    else:
        schema = reference(f"{kind}?" if many and kind in PRIMITIVES else kind)
    found = {name: several(schema) if many else schema}
    if kind in PRIMITIVES and not attribute and kind != "xhtml":
        found[f"_{name}"] = several(reference("Element?")) if many else reference("Element")
    return found


def code_path(path: str) -> str:
    head, _, name = path.rpartition(".")
    return f"{head.lower()}.{name}"


def one_of(names: list[str], properties: dict[str, Schema], optional: bool) -> Schema:
    """One type of a choice, with its value, its extension, or both."""
    options: list[Schema] = []
    for name in names:
        with_value = {"required": [name]}
        with_extension = {"required": [f"_{name}"]}
        extended = f"_{name}" in properties
        options.append({"anyOf": [with_value, with_extension]} if extended else with_value)
    if optional:
        keys = [key for name in names for key in (name, f"_{name}") if key in properties]
        options.append({"not": {"anyOf": [{"required": [key]} for key in keys]}})
    return {"oneOf": options}


def several(schema: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": schema}


def reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
