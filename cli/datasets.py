"""Datasets: a DocumentReference whose one attachment is the manifest, a Binary of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

from .api import Api, persistently
from .errors import CommandError, Refused

MANIFEST = "manifest.json"
MANIFEST_TYPE = "application/json"

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class Entry:
    """One file of a dataset: where it belongs, what it is, the Binary version with its bytes."""

    path: str
    size: int
    sha256: str
    content_type: str
    binary: str
    version: str


@dataclass
class Dataset:
    """A dataset as the server has it; `entries` by path."""

    resource: dict[str, Any]
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.resource["id"]

    @property
    def name(self) -> str:
        return self.resource.get("description", "")

    @property
    def manifest(self) -> str | None:
        """Id of the manifest's Binary; None before the first files are there."""
        attachment = self.resource["content"][0]["attachment"]
        return attachment.get("url", "").removeprefix("Binary/") or None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries.values())


def create(api: Api, name: str) -> Dataset:
    """A new dataset, empty; the one of that name that the index doesn't show yet, if there is one.

    Who was stopped a moment after making it goes on with it, and two at once make one.
    """
    resource = {
        "resourceType": "DocumentReference",
        "status": "current",
        "description": name,
        "content": [{"attachment": {"contentType": MANIFEST_TYPE, "title": MANIFEST}}],
    }
    criteria = {"If-None-Exist": urlencode([("description:exact", name)])}
    return opened(api, api.call("POST", "/DocumentReference", resource, criteria))


def every(api: Api) -> Iterator[Dataset]:
    """The user's datasets, newest first, without their entries."""
    for resource in search(api, "DocumentReference", [("_sort", "-_lastUpdated")]):
        yield Dataset(resource)


def find(api: Api, name: str) -> Dataset | None:
    """The dataset of this id or this name, with its entries; None when there is none.

    CommandError when several have the name.
    """
    if _ID.fullmatch(name):
        try:
            return opened(api, api.call("GET", f"/DocumentReference/{name}"))
        except Refused as refusal:
            if refusal.status not in (403, 404, 410):
                raise
    found = _named(api, name)
    if not found:
        return None
    # Read anew: the index may still show a version without the manifest.
    return opened(api, api.call("GET", f"/DocumentReference/{found[0]['id']}"))


def require(api: Api, name: str) -> Dataset:
    """As `find`; CommandError when there is none."""
    dataset = find(api, name)
    if dataset is None:
        raise CommandError(f"There is no dataset {name!r}. List yours with: ai4h datasets")
    return dataset


def identify(api: Api, name: str) -> str:
    """The id of the user's dataset of this name, or else the name as an id.

    By its id one is found that was deleted, too. CommandError when several have the name.
    """
    found = _named(api, name)
    return found[0]["id"] if found else name


def opened(api: Api, resource: dict[str, Any]) -> Dataset:
    """A DocumentReference as a dataset, with the entries of its manifest."""
    dataset = Dataset(resource)
    if dataset.manifest is None:
        return dataset
    binary = api.call("GET", f"/Binary/{dataset.manifest}")
    try:
        text = persistently(lambda: b"".join(api.get(binary["presignedGetUrl"])))
        entries = [Entry(**file) for file in json.loads(text)["files"]]
    except (KeyError, TypeError, ValueError):
        raise CommandError(f"The manifest of dataset {dataset.id} can't be read.") from None
    dataset.entries = {entry.path: entry for entry in entries}
    return dataset


def attach(api: Api, dataset: Dataset, manifest: str) -> None:
    """Makes a Binary the dataset's manifest."""
    attachment = {"contentType": MANIFEST_TYPE, "title": MANIFEST, "url": f"Binary/{manifest}"}
    write(api, dataset, dataset.resource | {"content": [{"attachment": attachment}]})


def set_status(api: Api, dataset: Dataset, status: str) -> None:
    """Writes a dataset's status: what is shared of one counts only while it is `current`."""
    write(api, dataset, dataset.resource | {"status": status})


def write(api: Api, dataset: Dataset, resource: dict[str, Any]) -> None:
    """Writes a dataset's DocumentReference, unless somebody changed it in the meantime."""
    version = dataset.resource["meta"]["versionId"]
    dataset.resource = api.call(
        "PUT", f"/DocumentReference/{dataset.id}", resource, {"If-Match": f'W/"{version}"'}
    )


def delete(api: Api, dataset: Dataset) -> None:
    """Removes a dataset and all its bytes; one that was interrupted can be run again.

    Nobody else reads from the first step on. The manifest goes last: it tells what there is.
    """
    if dataset.resource["status"] == "current":
        set_status(api, dataset, "superseded")
    for binary in sorted({entry.binary for entry in dataset.entries.values()}):
        api.call("DELETE", f"/Binary/{binary}")
    api.call("DELETE", f"/DocumentReference/{dataset.id}")
    if dataset.manifest:
        api.call("DELETE", f"/Binary/{dataset.manifest}")


def manifest_of(dataset: Dataset) -> bytes:
    """The manifest: every file with its size and SHA-256 (base64), by path."""
    files = [asdict(dataset.entries[path]) for path in sorted(dataset.entries)]
    return json.dumps({"files": files}, indent=1, ensure_ascii=False).encode()


def search(api: Api, resource_type: str, terms: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """All matches of a search, page after page."""
    url: str | None = f"/{resource_type}?{urlencode(terms)}"
    while url:
        bundle = api.call("GET", url)
        for entry in bundle.get("entry", ()):
            yield entry["resource"]
        links = {link["relation"]: link["url"] for link in bundle.get("link", ())}
        url = links.get("next")


def _named(api: Api, name: str) -> list[dict[str, Any]]:
    """The only dataset of that name, or none. CommandError when several have it."""
    found = [
        resource
        for resource in search(api, "DocumentReference", [("description:exact", name)])
        if resource.get("description") == name
    ]
    if len(found) > 1:
        ids = ", ".join(resource["id"] for resource in found)
        raise CommandError(f"{len(found)} datasets are named {name!r}; use an id: {ids}")
    return found


def content(api: Api, entry: Entry, start: int = 0) -> Iterator[bytes]:
    """The bytes of an entry from a position on."""
    binary = api.call("GET", f"/Binary/{entry.binary}/_history/{entry.version}")
    if "presignedGetUrl" not in binary:
        raise CommandError(f"{entry.path} can't be read: {binary.get('uploadStatus')}.")
    return api.get(binary["presignedGetUrl"], start)
