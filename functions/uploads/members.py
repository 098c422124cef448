"""What a Binary carries beyond FHIR: plain members, or extensions of `meta` for strict clients.

FHIR lets nobody extend Binary itself, and a strict parser refuses members it doesn't know. A client
that sends `Prefer: handling=strict` therefore gets, and sends, them as extensions of `meta`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from functions.shared.errors import FhirError
from functions.uploads.file_names import is_file_name
from functions.uploads.media_types import is_media_type

MAX_INLINE_BYTES = 1024**2
"""Most bytes sent within the resource, decoded."""

_IMPOSSIBLE_BYTES = 10**18

EXTENSION = "urn:ai4h:binary:"
"""Begins the URL of each extension; the rest is the name of the plain member."""

_VALUE = {
    "size": "valueDecimal",
    "sha256": "valueBase64Binary",
    "fileName": "valueString",
    "multipart": "valueBoolean",
    "partSize": "valuePositiveInt",
    "checksum": "valueString",
    "uploadStatus": "valueCode",
    "reason": "valueString",
    "presignedPutUrl": "valueUrl",
    "presignedGetUrl": "valueUrl",
    "availableVersion": "valueId",
    "expires": "valueInstant",
}
_HEADERS = "uploadHeaders"


@dataclass(frozen=True)
class Declared:
    """What a client says of the bytes that it is going to send, or sends as `data`."""

    content_type: str
    size: int | None
    sha256: str | None
    file_name: str | None
    data: bytes | None
    multipart: bool = False
    """Wants to send the bytes in parts whatever their size."""


def take(resource: dict[str, Any], *, strict: bool) -> tuple[dict[str, Any], Declared]:
    """Splits a request into the FHIR Binary, without data, and what is declared of its bytes.

    Members that only answers carry are dropped: a resource can be read, edited and sent back.
    Raises FhirError 400 for values that can't be, 413 for too much inline data.
    """
    binary = dict(resource)
    found: dict[str, Any] = {}
    if isinstance(binary.get("meta"), dict):
        binary["meta"], found = _without_extensions(binary["meta"])
        if not binary["meta"]:
            del binary["meta"]
    if not strict:
        found |= {name: binary.pop(name) for name in (*_VALUE, _HEADERS) if name in binary}
    return binary, Declared(
        content_type=_content_type(binary.get("contentType")),
        size=_size(found.get("size")),
        sha256=_sha256(found.get("sha256")),
        file_name=_file_name(found.get("fileName")),
        data=_data(binary.pop("data")) if "data" in binary else None,
        multipart=_multipart(found.get("multipart")),
    )


def put(binary: dict[str, Any], members: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """The Binary with the members of an answer; those that are None are left out."""
    present = {name: value for name, value in members.items() if value is not None}
    if not strict:
        return binary | present
    headers = present.pop(_HEADERS, {})
    extensions = [
        {"url": EXTENSION + name, _VALUE[name]: value} for name, value in present.items()
    ] + [
        {
            "url": EXTENSION + _HEADERS,
            "extension": [
                {"url": "name", "valueString": name},
                {"url": "value", "valueString": value},
            ],
        }
        for name, value in headers.items()
    ]
    meta = binary.get("meta", {})
    return binary | {"meta": {**meta, "extension": [*meta.get("extension", ()), *extensions]}}


def sha256_of(value: object) -> str | None:
    """The value, if it is the base64 form of a SHA-256."""
    digest = _base64(value)
    if digest is None or len(digest) != 32 or base64.b64encode(digest).decode() != value:
        return None
    return value if isinstance(value, str) else None


def _without_extensions(meta: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    extensions = meta.get("extension")
    if not isinstance(extensions, list):
        return meta, {}
    ours = [
        extension
        for extension in extensions
        if isinstance(extension, dict) and str(extension.get("url", "")).startswith(EXTENSION)
    ]
    values = {extension["url"].removeprefix(EXTENSION): extension for extension in ours}
    kept = [extension for extension in extensions if extension not in ours]
    rest = {name: value for name, value in meta.items() if name != "extension"}
    return rest | ({"extension": kept} if kept else {}), {
        name: values[name].get(kind) for name, kind in _VALUE.items() if name in values
    }


def _content_type(value: object) -> str:
    if value is None:
        raise _invalid("required", "contentType", "A Binary needs a contentType.")
    if not isinstance(value, str) or not is_media_type(value):
        raise _invalid("value", "contentType", "contentType isn't a media type of a file.")
    return value


def _size(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _invalid("value", "size", "size is a number of bytes.")
    # The bound comes first: turning 1e999999999 into an integer would take all memory.
    if not 0 <= value < _IMPOSSIBLE_BYTES or value != int(value):
        raise _invalid("value", "size", "size is a whole number of bytes.")
    return int(value)


def _sha256(value: object) -> str | None:
    if value is None:
        return None
    sha256 = sha256_of(value)
    if sha256 is None:
        raise _invalid("value", "sha256", "sha256 is the base64 form (not hex) of 32 bytes.")
    return sha256


def _multipart(value: object) -> bool:
    if not isinstance(value, bool | None):
        raise _invalid("value", "multipart", "multipart is true or false.")
    return bool(value)


def _file_name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_file_name(value):
        raise _invalid("value", "fileName", "fileName is one file's name, without folders.")
    return value


def _data(value: object) -> bytes:
    content = _base64("".join(value.split()) if isinstance(value, str) else None)
    if not content:
        raise _invalid("value", "data", "data isn't base64.")
    if len(content) > MAX_INLINE_BYTES:
        raise FhirError(
            413,
            "too-long",
            f"Inline data has at most {MAX_INLINE_BYTES} bytes. Leave data out,"
            " and PUT the bytes to the presignedPutUrl of the answer.",
            expression=["Binary.data"],
        )
    return content


def _base64(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _invalid(code: str, member: str, diagnostics: str) -> FhirError:
    return FhirError(400, code, diagnostics, expression=[f"Binary.{member}"])
