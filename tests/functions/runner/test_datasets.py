"""Datasets on a submission's disk: what the manifest says, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from runner.datasets import DatasetError, fetch

BUCKET = "datasets"
DATASET = {"id": "d1", "manifest": "list/1"}
CONTENT = b"\x00\x01 slice"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="eu-central-1")
        place: Any = {"LocationConstraint": "eu-central-1"}
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        client.put_object(Bucket=BUCKET, Key="datasets/d1/b1/3", Body=CONTENT)
        yield client


def entry(**changes: Any) -> dict[str, Any]:
    """As `ai4h upload` writes it."""
    return {
        "path": "a/slice.dcm",
        "size": len(CONTENT),
        "sha256": base64.b64encode(hashlib.sha256(CONTENT).digest()).decode(),
        "content_type": "application/dicom",
        "binary": "b1",
        "version": "3",
        **changes,
    }


def put(s3: Any, *entries: dict[str, Any]) -> None:
    body = json.dumps({"files": entries})
    s3.put_object(Bucket=BUCKET, Key="datasets/d1/list/1", Body=body)


def test_files_come_by_their_paths(s3: Any, tmp_path: Path) -> None:
    put(s3, entry(), entry(path="b.dcm"))
    assert fetch(s3, BUCKET, [DATASET], tmp_path) == 2 * len(CONTENT)
    assert (tmp_path / "datasets/d1/a/slice.dcm").read_bytes() == CONTENT
    assert (tmp_path / "datasets/d1/b.dcm").read_bytes() == CONTENT
    assert (tmp_path / "output").is_dir()
    assert fetch(s3, BUCKET, [DATASET], tmp_path) == 2 * len(CONTENT), "a second try"


def test_without_datasets_there_is_a_place_for_the_output(s3: Any, tmp_path: Path) -> None:
    assert fetch(s3, BUCKET, [], tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["datasets", "output"]


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 1},
        {"sha256": base64.b64encode(bytes(32)).decode()},
        {"path": "../../etc/passwd"},
        {"path": "/etc/passwd"},
        {"path": ""},
        {"size": None},
        {"sha256": "!"},
    ],
)
def test_what_is_not_as_it_should_be_is_refused(
    s3: Any, tmp_path: Path, changes: dict[str, Any]
) -> None:
    put(s3, entry(**changes))
    disk = tmp_path / "disk"
    disk.mkdir()
    with pytest.raises(DatasetError):
        fetch(s3, BUCKET, [DATASET], disk)
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_a_broken_manifest_is_refused(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key="datasets/d1/list/1", Body="[]")
    with pytest.raises(DatasetError, match="manifest of d1"):
        fetch(s3, BUCKET, [DATASET], tmp_path)
