"""Croissant: a dataset's description as machine-learning tools read it, with its files' checksums.

JSON-LD by version 1.1 of the format (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html).
It tells of the data and holds none: each file's address asks for a sign-in and the owner's grant.
What Croissant requires and a manifest doesn't know is in the dataset's DocumentReference: who made
it as `author`, terms of use and citation as extensions.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from .datasets import Dataset
from .errors import CommandError

VERSION = "http://mlcommons.org/croissant/1.1"
LICENCE = "urn:ai4h:dataset:license"
CITATION = "urn:ai4h:dataset:citation"

# Appendix 1 of the specification, as the format's own library has it: readers compare it.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty"),
            *("excludes", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
            *("includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
            *("path", "readLines", "recordSet", "references", "regex", "repeated", "replace"),
            *("samplingRate", "sdVersion", "separator", "source", "subField", "transform"),
            *("unArchive", "value"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}


def described(dataset: Dataset, *, licence: str, citation: str, creator: str) -> dict[str, Any]:
    """The dataset's DocumentReference with what is given; "" leaves what it says."""
    resource = dict(dataset.resource)
    said = {LICENCE: ("valueUri", licence), CITATION: ("valueString", citation)}
    given = [{"url": url, kind: value} for url, (kind, value) in said.items() if value]
    if given:
        urls = {each["url"] for each in given}
        kept = [each for each in resource.get("extension", ()) if each.get("url") not in urls]
        resource["extension"] = [*kept, *given]
    if creator:
        resource["author"] = [{"display": creator}]
    return resource


def croissant(dataset: Dataset, api_url: str) -> dict[str, Any]:
    """The description of a dataset; CommandError names what its owner has to say first."""
    resource = dataset.resource
    creators = [author["display"] for author in resource.get("author", ()) if "display" in author]
    said = {each.get("url"): each for each in resource.get("extension", ())}
    licence = said.get(LICENCE, {}).get("valueUri", "")
    citation = said.get(CITATION, {}).get("valueString", "")
    missing = [
        f"--{option}"
        for option, value in (("license", licence), ("creator", creators))
        if not value
    ]
    if missing:
        raise CommandError(
            f"Croissant asks for more than is known of {dataset.name!r}. Its owner says it with:"
            f" ai4h describe {dataset.id} {' … '.join(missing)} …"
        )
    if not dataset.entries:
        raise CommandError(f"{dataset.name!r} has no files yet to describe.")
    meta = resource["meta"]
    changed = meta["lastUpdated"]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": dataset.name,
        "description": f"{dataset.name}: {len(dataset.entries)} files, {dataset.size} bytes in all,"
        " private. Reading them takes a sign-in and a grant of the dataset's owner.",
        "url": f"{api_url}/DocumentReference/{dataset.id}",
        "license": licence,
        "creator": [{"@type": "Organization", "name": creator} for creator in creators],
        **({"citeAs": citation} if citation else {}),
        "datePublished": resource.get("date", changed),
        "dateModified": changed,
        "version": f"{meta['versionId']}.0.0",
        "distribution": list(_files(dataset, api_url)),
    }


def _files(dataset: Dataset, api_url: str) -> Iterator[dict[str, Any]]:
    for path in sorted(dataset.entries):
        entry = dataset.entries[path]
        yield {
            "@type": "cr:FileObject",
            "@id": quote(path),
            "name": path,
            "contentUrl": f"{api_url}/Binary/{entry.binary}/_history/{entry.version}",
            "contentSize": f"{entry.size} B",
            "encodingFormat": entry.content_type,
            "sha256": base64.b64decode(entry.sha256).hex(),
        }
