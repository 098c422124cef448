"""Media types: the syntax of a declared type, and the first bytes that usual formats must have.

The type that a client declares is signed into its upload URL and served back with the bytes, so it
must be safe in a header. The bytes are then compared with what the type promises: a table of
signatures, not a parser.
"""

import re
import zlib
from collections.abc import Callable, Mapping

HEAD_BYTES = 8192
"""How many of the first bytes `contradiction` wants to see."""

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,127}"
_QUOTED = r'"[\x20\x21\x23-\x5b\x5d-\x7e]{0,127}"'
_MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}(?: ?; ?{_NAME}=(?:{_NAME}|{_QUOTED}))*")
_MAX_LENGTH = 255

# botocore leaves this type, the default of HTML forms, out of a signature: nothing would bind it.
_UNSIGNABLE = "application/x-www-form-urlencoded"


def is_media_type(text: str) -> bool:
    """Whether `text` is a media type, with or without parameters, that can be signed.

    RFC 9110, 8.3.1.
    """
    return (
        len(text) <= _MAX_LENGTH
        and _MEDIA_TYPE.fullmatch(text) is not None
        and essence(text) != _UNSIGNABLE
    )


def essence(media_type: str) -> str:
    """The type without parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def contradiction(media_type: str, head: bytes) -> str | None:
    """What is wrong with an object's first `HEAD_BYTES` bytes under a type; None if nothing is.

    Types that the table doesn't know have no signature to contradict.
    """
    recognise = _SIGNATURES.get(essence(media_type))
    if recognise is None or recognise(head):
        return None
    return f"the bytes don't begin as {essence(media_type)} does"


def _starts(*signatures: bytes, at: int = 0) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures, at)


def _is_pdf(head: bytes) -> bool:
    """Readers accept the PDF header anywhere in the first 1024 bytes (ISO 32000, annex H)."""
    return b"%PDF-" in head[:1024]


def _is_nifti(head: bytes) -> bool:
    """NIfTI-1 (magic at byte 344) or NIfTI-2 (at byte 4), plain or in gzip (`.nii.gz`)."""
    if head.startswith(b"\x1f\x8b"):
        head = _inflate(head)
    return head.startswith((b"n+1\0", b"ni1\0"), 344) or head.startswith(
        (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"), 4
    )


def _inflate(head: bytes) -> bytes:
    """The first kilobyte in a gzip stream that may be cut short; b"" if it is none."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 1024)
    except zlib.error:
        return b""


_is_gzip = _starts(b"\x1f\x8b\x08")
_SIGNATURES: Mapping[str, Callable[[bytes], bool]] = {
    "application/dicom": _starts(b"DICM", at=128),
    "application/nifti": _is_nifti,
    "application/x-nifti": _is_nifti,
    "image/nifti": _is_nifti,
    "image/x-nifti": _is_nifti,
    "image/png": _starts(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": _starts(b"\xff\xd8\xff"),
    "image/gif": _starts(b"GIF87a", b"GIF89a"),
    "image/tiff": _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "application/pdf": _is_pdf,
    "application/zip": _starts(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
    "application/x-zip-compressed": _starts(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
    "application/gzip": _is_gzip,
    "application/x-gzip": _is_gzip,
}
