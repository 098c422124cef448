"""Seals: signed heads of logs, kept in a bucket where nothing can be replaced or removed in time.

A seal is one line of JSON in the canonical form of the records: dataset, count of records, hash of
the last one's line, time, key, algorithm, and the signature over the line without it. A log that
lost its tail is shorter than its newest seal says.
"""

from __future__ import annotations

import base64
import json
import os
from functools import cache
from typing import Any

import boto3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from functions.shared import evidence
from functions.shared.clients import dynamodb, queried, s3
from functions.shared.evidence import FIRST, UNSEALED, Head
from functions.shared.log import logger
from functions.shared.resources import instant
from functions.shared.tracing import traced

ALGORITHM = "ECDSA_SHA_256"

_LARGEST = 10**12
_PAGE = 10


class BrokenError(Exception):
    """A log isn't what its newest seal says: `seal` is that one's line."""

    def __init__(self, dataset: str, problem: str, seal: str) -> None:
        super().__init__(f"{dataset}: {problem}")
        self.seal = seal


@cache
def kms() -> Any:
    """Signs; the key never leaves it."""
    return traced(boto3.client("kms"))


def seal(dataset: str) -> str:
    """The line of the seal on a dataset's log as it is now; made if there is none yet.

    BrokenError unless the log goes on from its newest seal without a gap: what was altered or lost
    isn't signed again.
    """
    newest = _newest(dataset)
    before = Head(newest["count"], newest["hash"]) if newest else Head(0, FIRST)
    head = evidence.head(dataset) or Head(0, FIRST)
    if newest is not None and head == before:
        _is_sealed(dataset, head.count)
        return evidence.canonical(newest)
    if problem := _gap(dataset, before, head):
        raise BrokenError(dataset, problem, evidence.canonical(newest) if newest else "")
    made = _made(dataset, head)
    _is_sealed(dataset, head.count)
    return evidence.canonical(made)


def unsealed() -> list[str]:
    """Datasets with records that no seal covers."""
    found = queried(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": UNSEALED}},
    )
    return [item["sk"]["S"] for item in found]


def _gap(dataset: str, before: Head, head: Head) -> str:
    """What keeps a head from being one that followed another; "" if nothing does."""
    if head.count < before.count:
        return f"{before.count} records were sealed, {head.count} are there"
    number, last = before.count, before.hash
    for line in evidence.lines(dataset, before.count):
        record = json.loads(line)
        number += 1
        if (record["number"], record["previous"]) != (number, last):
            return f"record {number} doesn't follow the one before"
        last = evidence.digest(line)
        if number == head.count:
            break
    if (number, last) != (head.count, head.hash):
        return f"record {number} is the last, but not the one that the head names"
    return ""


def _made(dataset: str, head: Head) -> dict[str, Any]:
    content: dict[str, Any] = {
        "algorithm": ALGORITHM,
        "count": head.count,
        "dataset": dataset,
        "hash": head.hash,
        "key": os.environ["SIGNING_KEY_ID"],
        "time": instant(),
    }
    signature = kms().sign(
        KeyId=content["key"],
        Message=evidence.canonical(content).encode(),
        MessageType="RAW",
        SigningAlgorithm=ALGORITHM,
    )["Signature"]
    made = content | {"signature": base64.b64encode(signature).decode()}
    s3().put_object(
        Bucket=os.environ["SEALS_BUCKET"],
        Key=_key(dataset, head.count),
        Body=evidence.canonical(made).encode(),
        ContentType="application/json",
        ChecksumAlgorithm="SHA256",  # S3 asks for one where objects are locked
    )
    logger.info("sealed", extra={"fields": {"dataset": dataset, "count": head.count}})
    return made


def _newest(dataset: str) -> dict[str, Any] | None:
    """The seal with the most records, whatever else was written to the bucket or marked deleted."""
    bucket = os.environ["SEALS_BUCKET"]
    pages = (
        s3()
        .get_paginator("list_object_versions")
        .paginate(Bucket=bucket, Prefix=f"{dataset}/", PaginationConfig={"PageSize": _PAGE})
    )
    for page in pages:
        for found in page.get("Versions", ()):
            place = {"Key": found["Key"], "VersionId": found["VersionId"]}
            content = s3().get_object(Bucket=bucket, **place)["Body"].read()
            try:
                seal = json.loads(content)
                if found["Key"] == _key(seal["dataset"], seal["count"]) and _is_genuine(seal):
                    return seal
            except (KeyError, TypeError, ValueError):
                pass
            logger.error("no seal of ours", extra={"fields": place})
    return None


def _is_genuine(seal: dict[str, Any]) -> bool:
    """Whether the key signed it. ValueError, TypeError or KeyError for what isn't a seal at all."""
    signed = {name: value for name, value in seal.items() if name != "signature"}
    key = serialization.load_pem_public_key(os.environ["SIGNING_PUBLIC_KEY"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(
            base64.b64decode(seal["signature"]),
            evidence.canonical(signed).encode(),
            ec.ECDSA(hashes.SHA256()),
        )
    except InvalidSignature:
        return False
    return True


def _key(dataset: str, count: int) -> str:
    """Where a seal is kept: those with more records come first in a listing."""
    return f"{dataset}/{_LARGEST - count:012d}"


def _is_sealed(dataset: str, count: int) -> None:
    """Takes a dataset from those that wait, unless more was appended meanwhile."""
    client = dynamodb()
    try:
        client.delete_item(
            TableName=os.environ["CONTROL_TABLE_NAME"],
            Key={"pk": {"S": UNSEALED}, "sk": {"S": dataset}},
            ConditionExpression="attribute_not_exists(pk) OR #count <= :count",
            ExpressionAttributeNames={"#count": "count"},
            ExpressionAttributeValues={":count": {"N": str(count)}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        logger.info("appended meanwhile", extra={"fields": {"dataset": dataset}})
