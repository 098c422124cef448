"""HL7's definitions of FHIR R4 (4.0.1), read for the compilers beside this module.

They come unaltered in a Java library (Apache-2.0) on Maven Central, as other packages' don't:

    mvn dependency:copy -DoutputDirectory=. \
      -Dartifact=ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4:8.6.1
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element as Node

SHA256 = "e7228ea8b38aa896c4b741ad7d0a72609b759117e912e954222261ef87722a21"

# Abstract in all but its flag.
_NO_TYPE = "MetadataResource"

_FOLDER = "org/hl7/fhir/r4/model"
_FHIR = "{http://hl7.org/fhir}"
_XSD = "{http://www.w3.org/2001/XMLSchema}"


class DefinitionsError(Exception):
    """The file isn't the library in the version that the tables are made from."""


class Element(NamedTuple):
    """An element of a type. `value_set` is the URL of a required binding.

    `in_summary`: it is part of what `_summary=true` returns.
    """

    path: str
    min: int
    max: str
    types: tuple[str, ...]
    content_reference: str
    value_set: str
    in_summary: bool


class Structure(NamedTuple):
    """A type and its elements, the type itself first."""

    name: str
    kind: str
    abstract: bool
    elements: tuple[Element, ...]


class Definitions:
    """What the library's file holds. Raises DefinitionsError for another file."""

    def __init__(self, jar: Path) -> None:
        if hashlib.sha256(jar.read_bytes()).hexdigest() != SHA256:
            raise DefinitionsError(f"{jar} isn't the pinned version of the library")
        self._jar = zipfile.ZipFile(jar)

    def data_types(self) -> list[Structure]:
        return list(self._structures("profile/profiles-types.xml"))

    def resources(self) -> list[Structure]:
        return list(self._structures("profile/profiles-resources.xml"))

    def search_parameters(self) -> list[dict[str, Any]]:
        """Resources of type SearchParameter."""
        bundle = json.loads(self._read("sp/search-parameters.json"))
        return [entry["resource"] for entry in bundle["entry"]]

    def compartments(self) -> dict[str, dict[str, list[str]]]:
        """Compartment's type -> resource type -> codes of the parameters that put it there."""
        found: dict[str, dict[str, list[str]]] = {}
        for node in self._resources("profile/profiles-resources.xml", "CompartmentDefinition"):
            members = {
                _text(member, "code"): [p.get("value", "") for p in member.findall(f"{_FHIR}param")]
                for member in node.findall(f"{_FHIR}resource")
            }
            found[_text(node, "code")] = {name: codes for name, codes in members.items() if codes}
        return found

    def systems(self) -> dict[str, str]:
        """Value set -> code system, for value sets with codes of one system only."""
        found = {}
        for value_set in self._resources("valueset/valuesets.xml", "ValueSet"):
            includes = value_set.findall(f"{_FHIR}compose/{_FHIR}include")
            if len(includes) == 1 and (system := _text(includes[0], "system")):
                found[_text(value_set, "url")] = system
        return found

    def concepts(self, value_set: str) -> list[str]:
        """The codes that a value set lists."""
        for found in self._resources("valueset/valuesets.xml", "ValueSet"):
            if _text(found, "url") == value_set:
                concepts = found.iterfind(f"{_FHIR}compose/{_FHIR}include/{_FHIR}concept")
                return [_text(concept, "code") for concept in concepts]
        raise DefinitionsError(f"there is no value set {value_set}")

    def codes(self) -> dict[str, list[str]]:
        """Path in lower case -> codes, for elements bound to an enumerated value set."""
        schema = ElementTree.fromstring(self._read("schema/fhir-single.xsd"))  # noqa: S314 (pinned)
        enumerated = {
            simple.get("name", "").removesuffix("-list"): [
                item.get("value", "") for item in simple.iter(f"{_XSD}enumeration")
            ]
            for simple in schema.findall(f"{_XSD}simpleType")
            if simple.get("name", "").endswith("-list")
        }
        return {
            f"{owner.get('name', '').lower()}.{element.get('name')}": codes
            for owner in schema.findall(f"{_XSD}complexType")
            for element in owner.iter(f"{_XSD}element")
            if (codes := enumerated.get(element.get("type", "")))
        }

    def _structures(self, file: str) -> Iterator[Structure]:
        for node in self._resources(file, "StructureDefinition"):
            if _text(node, "derivation") != "constraint":
                name = _text(node, "name")
                yield Structure(
                    name=name,
                    kind=_text(node, "kind"),
                    abstract=_text(node, "abstract") == "true" or name == _NO_TYPE,
                    elements=tuple(map(_element, node.findall(f"{_FHIR}snapshot/{_FHIR}element"))),
                )

    def _resources(self, file: str, kind: str) -> Iterator[Node]:
        return ElementTree.fromstring(self._read(file)).iter(_FHIR + kind)  # noqa: S314 (pinned)

    def _read(self, file: str) -> bytes:
        return self._jar.read(f"{_FOLDER}/{file}")


def _element(node: Node) -> Element:
    bindings = [b for b in node.findall(f"{_FHIR}binding") if _text(b, "strength") == "required"]
    return Element(
        path=_text(node, "path"),
        min=int(_text(node, "min")),
        max=_text(node, "max"),
        types=tuple(_text(type_, "code") for type_ in node.findall(f"{_FHIR}type")),
        content_reference=_text(node, "contentReference").removeprefix("#"),
        value_set=_text(bindings[0], "valueSet").partition("|")[0] if bindings else "",
        in_summary=_text(node, "isSummary") == "true",
    )


def _text(node: Node, name: str) -> str:
    """The value of a child of a primitive type; empty without one."""
    child = node.find(_FHIR + name)
    return "" if child is None else child.get("value", "")
