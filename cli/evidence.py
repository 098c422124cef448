"""Evidence of a dataset: fetched, written to a file, and verified without the platform.

The file has a record a line and ends with a seal. Each record holds the SHA-256 of the line before
it, and the seal how many there are and the SHA-256 of the last, signed with the platform's key. The
key isn't in the file: it comes from the stack's outputs, or from where the owner keeps it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .api import Api
from .errors import CommandError

FIRST = "0" * 64
"""What the first record names as the SHA-256 of the line before it."""

ALGORITHM = "ECDSA_SHA_256"


class Tampered(CommandError):
    """The evidence isn't what the platform signed."""


@dataclass(frozen=True)
class Evidence:
    """A log that was verified."""

    dataset: str
    records: list[dict[str, Any]]
    sealed: str
    """When its head was signed."""


def fetch(api: Api, dataset: str) -> Iterator[str]:
    """The lines of a dataset's evidence, page after page."""
    path: str | None = f"/DocumentReference/{dataset}/$evidence"
    while path:
        lines, path = api.lines(path)
        yield from lines


def verify(lines: Sequence[str], key: str, dataset: str = "") -> Evidence:
    """What the lines say, if they are all that the key (PEM) signed, of that dataset if named.

    Tampered otherwise: it says which record, and what is wrong with it.
    """
    if not lines:
        raise Tampered("The evidence is empty: not even a seal is there.")
    seal = _parsed(lines[-1], "The seal")
    if "signature" not in seal:
        raise Tampered("The evidence doesn't end with a seal: its tail is missing.")
    _verify_signature(seal, key)
    if dataset and seal["dataset"] != dataset:
        raise Tampered(f"This is the evidence of dataset {seal['dataset']}, not of {dataset}.")
    records, last = [], FIRST
    for number, line in enumerate(lines[:-1], start=1):
        records.append(_record(number, line, last, seal))
        last = hashlib.sha256(line.encode()).hexdigest()
    if len(records) != seal["count"]:
        raise Tampered(
            f"The seal is on {seal['count']} records, {len(records)} are here:"
            f" {'the last are missing' if len(records) < seal['count'] else 'some were added'}."
        )
    if last != seal["hash"]:
        raise Tampered(f"Record {len(records)}, the last, was altered: the seal is on another one.")
    return Evidence(seal["dataset"], records, seal["time"])


def require_continuation(lines: Sequence[str], earlier: Sequence[str]) -> None:
    """Tampered unless verified lines begin with the records of what was verified before."""
    for number, (line, before) in enumerate(zip(lines[:-1], earlier[:-1], strict=False), start=1):
        if line != before:
            raise Tampered(f"Record {number} isn't the one that was fetched before.")
    if len(lines) < len(earlier):
        raise Tampered(
            f"{len(earlier) - 1} records were fetched before, {len(lines) - 1} are there now: the"
            " platform shows an older log."
        )


def read(file: Path) -> list[str]:
    """The lines of a file of evidence."""
    try:
        lines = file.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} can't be read: {error}") from None
    return lines[:-1] if lines[-1] == "" else lines


def _record(number: int, line: str, previous: str, seal: dict[str, Any]) -> dict[str, Any]:
    record = _parsed(line, f"Record {number}")
    if record.get("number") != number:
        raise Tampered(
            f"Record {number} is missing, or not in its place: there is number"
            f" {record.get('number')}."
        )
    if record.get("dataset") != seal["dataset"]:
        raise Tampered(f"Record {number} is of another dataset: {record.get('dataset')}.")
    if record.get("previous") != previous:
        where = f"record {number - 1} was altered" if number > 1 else "it isn't the first"
        raise Tampered(f"Record {number} doesn't follow the one before: {where}, or it was itself.")
    return record


def _parsed(line: str, what: str) -> dict[str, Any]:
    """A line's JSON, if it is written as the platform writes it (RFC 8785): in one way only."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or _canonical(found) != line:
        raise Tampered(f"{what} isn't written as the platform writes it.")
    return found


def _canonical(found: dict[str, Any]) -> str:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _verify_signature(seal: dict[str, Any], pem: str) -> None:
    signed = {name: value for name, value in seal.items() if name != "signature"}
    key = _key(pem)
    try:
        if signed["algorithm"] != ALGORITHM:
            raise InvalidSignature
        signature = base64.b64decode(seal["signature"], validate=True)
        key.verify(signature, _canonical(signed).encode(), ec.ECDSA(hashes.SHA256()))
        if not {"count", "dataset", "hash", "time"} <= set(signed):
            raise InvalidSignature
    except (InvalidSignature, KeyError, TypeError, ValueError):
        raise Tampered(
            "The seal's signature isn't one of the given key: the seal was altered, or another key"
            " signed it."
        ) from None


def _key(pem: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CommandError("The key isn't an elliptic public key in PEM.")
    return key
