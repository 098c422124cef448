"""A dataset in Croissant: what the format asks for, checksums in its form, and nothing made up."""

import base64
import hashlib
from typing import Any

import pytest

from cli.croissant import CITATION, LICENCE, VERSION, croissant, described
from cli.datasets import Dataset, Entry
from cli.errors import CommandError

API = "https://ai4h.example.org/api"
CONTENT = b"slice"
TERMS = "https://example.org/terms-of-use"


def dataset(**changed: Any) -> Dataset:
    """One as `ai4h upload` and `ai4h describe` leave it."""
    entries = {
        path: Entry(path, len(CONTENT), _digest(CONTENT), "application/dicom", binary, "2")
        for path, binary in (("series 1/ä.dcm", "b2"), ("a.dcm", "b1"))
    }
    resource = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "meta": {"versionId": "7", "lastUpdated": "2026-01-31T12:00:00.000Z"},
        "description": "CT study",
        "status": "current",
        "extension": [{"url": "urn:other", "valueString": "kept"}],
        "content": [{"attachment": {}}],
    }
    made = Dataset(resource | changed, entries)
    made.resource = described(made, licence=TERMS, citation="@misc{ct}", creator="A hospital")
    return made


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_everything_that_the_format_requires_is_there() -> None:
    found = croissant(dataset(), API)

    assert found["@type"] == "sc:Dataset"
    assert found["conformsTo"] == VERSION
    required = ("name", "description", "license", "url", "creator", "datePublished", "version")
    assert all(found[name] for name in required)
    assert found["license"] == TERMS
    assert found["creator"] == [{"@type": "Organization", "name": "A hospital"}]
    assert found["citeAs"] == "@misc{ct}"
    assert found["url"] == f"{API}/DocumentReference/d1"
    assert found["version"] == "7.0.0"
    assert dataset(date="2025-12-24T10:00:00Z").resource["date"] == "2025-12-24T10:00:00Z"


def test_files_have_the_addresses_and_checksums_of_their_versions() -> None:
    first, second = croissant(dataset(), API)["distribution"]

    assert first == {
        "@type": "cr:FileObject",
        "@id": "a.dcm",
        "name": "a.dcm",
        "contentUrl": f"{API}/Binary/b1/_history/2",
        "contentSize": "5 B",
        "encodingFormat": "application/dicom",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert (second["@id"], second["name"]) == ("series%201/%C3%A4.dcm", "series 1/ä.dcm")


def test_what_only_the_owner_knows_is_asked_for() -> None:
    plain = dataset()
    del plain.resource["author"]
    plain.resource["extension"] = [{"url": "urn:other", "valueString": "kept"}]

    with pytest.raises(CommandError, match="ai4h describe d1 --license … --creator …"):
        croissant(plain, API)
    empty = dataset()
    empty.entries = {}
    with pytest.raises(CommandError, match="no files"):
        croissant(empty, API)


def test_what_is_said_anew_takes_the_place_of_what_was() -> None:
    before = dataset()

    after = described(before, licence="urn:other-terms", citation="", creator="")

    said = {each["url"]: each for each in after["extension"]}
    assert len(said) == len(after["extension"]) == 3
    assert said[LICENCE]["valueUri"] == "urn:other-terms"
    assert said[CITATION]["valueString"] == "@misc{ct}"
    assert said["urn:other"]["valueString"] == "kept"
    assert after["author"] == [{"display": "A hospital"}]
    assert before.resource["extension"] != after["extension"], "the dataset isn't changed yet"
