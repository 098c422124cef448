"""The datasets of a challenge, fetched to a submission's disk: verified, and nothing else.

Runs with the role of the challenge's workers, before the model and without it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from .jobs import DATASETS, OUTPUT

CHUNK = 1024 * 1024
LARGEST_MANIFEST = 512 * CHUNK


class DatasetError(Exception):
    """A dataset that isn't what its manifest says."""


def fetch(s3: Any, bucket: str, datasets: list[Mapping[str, str]], disk: Path) -> int:
    """Fetches each dataset to `<disk>/datasets/<id>`; how many bytes there are.

    Starts anew when it was stopped before. DatasetError names a file that isn't as it should be,
    and nothing of its content.
    """
    (disk / OUTPUT).mkdir(exist_ok=True)
    place = disk / DATASETS
    place.mkdir(exist_ok=True)
    return sum(_fetch(s3, bucket, dataset, place / dataset["id"]) for dataset in datasets)


def _fetch(s3: Any, bucket: str, dataset: Mapping[str, str], place: Path) -> int:
    prefix = f"datasets/{dataset['id']}/"
    listed = s3.get_object(Bucket=bucket, Key=prefix + dataset["manifest"])
    if listed["ContentLength"] > LARGEST_MANIFEST:
        raise DatasetError(f"the manifest of {dataset['id']} is too large")
    try:
        entries = json.loads(listed["Body"].read())["files"]
        return sum(
            _file(s3, bucket, f"{prefix}{entry['binary']}/{entry['version']}", entry, place)
            for entry in entries
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"the manifest of {dataset['id']}: {type(error).__name__}") from None


def _file(s3: Any, bucket: str, key: str, entry: Mapping[str, Any], place: Path) -> int:
    path = place / inside(entry["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    with path.open("wb") as file:
        for chunk in body.iter_chunks(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if size != entry["size"] or digest.digest() != base64.b64decode(entry["sha256"]):
        raise DatasetError(f"{key} isn't what its manifest says")
    return size


def inside(path: str) -> PurePosixPath:
    """A path of a manifest, which must stay in its dataset."""
    found = PurePosixPath(path)
    if found.is_absolute() or ".." in found.parts or not found.parts or "\\" in path:
        raise DatasetError("a path of the manifest leads out of the dataset")
    return found
