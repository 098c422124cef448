"""Files of a dataset on AI4H, read where an evaluation runs.

The worker's role may read the datasets that are attached to its challenge while their owners'
grants hold; boto3 finds its credentials by itself. Works with Python 3.9 and the boto3 of EvalAI's
worker image.
"""

from __future__ import annotations

import base64
import hashlib
import json

import boto3
from botocore.exceptions import ClientError


class Unavailable(Exception):
    """A dataset can't be read. The message is fit for participants: it tells nothing of it."""


class Dataset:
    """A dataset, as its manifest of one version lists it."""

    def __init__(self, region: str, bucket: str, dataset: str, manifest: str) -> None:
        """`manifest`: id and version of the manifest's Binary, `{id}/{version}`."""
        self._s3 = boto3.client("s3", region_name=region)
        self._bucket, self._dataset = bucket, dataset
        listed = json.loads(self._object(manifest))["files"]
        self._files = {file["path"]: file for file in listed}

    def read(self, path: str) -> bytes:
        """The bytes of a file, which are those that its owner sent."""
        file = self._files[path]
        content = self._object(f"{file['binary']}/{file['version']}")
        if base64.b64encode(hashlib.sha256(content).digest()).decode() != file["sha256"]:
            raise Unavailable("A file of the test data isn't what it was; tell the hosts.")
        return content

    def _object(self, place: str) -> bytes:
        key = f"datasets/{self._dataset}/{place}"
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise Unavailable(
                f"The test data can't be read now ({code}); tell the hosts."
            ) from None
