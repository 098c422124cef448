"""Read your writes: a write answers with a token that names what it wrote; a search sends it back.

The token is signed, since waiting for versions of one's choice would tell which exist, also of
resources that one may not see. It names versions and no user: whoever is handed it may wait too.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import zlib
from collections.abc import Iterable

from functions.shared.errors import FhirError
from functions.shared.items import Version

HEADER = "X-Consistency-Token"

MAX_LENGTH = 6_000
"""Of a token. API Gateway takes 10,240 bytes of headers, the ID token among them."""

_MAC_BYTES = 16


def header(versions: Iterable[Version]) -> dict[str, str]:
    """The header of the answer to a write; none when it wrote nothing, or too much to be named."""
    return named((version.pk, version.version) for version in versions)


def joined(tokens: Iterable[str]) -> dict[str, str]:
    """The header of an answer to several writes, from the tokens of each; "" is of none."""
    text = ",".join(filter(None, tokens))
    return named(versions_of(text).items()) if text else {}


def named(versions: Iterable[tuple[str, int]]) -> dict[str, str]:
    """As `header`, of (pk, version); none without a key, as then nobody could check it."""
    text = ",".join(f"{pk}/{version}" for pk, version in versions)
    if not text or "CONSISTENCY_KEY" not in os.environ:
        return {}
    packed = zlib.compress(text.encode(), 9)
    token = base64.urlsafe_b64encode(_mac(packed) + packed).decode().rstrip("=")
    return {HEADER: token} if len(token) <= MAX_LENGTH else {}


def versions_of(tokens: str) -> dict[str, int]:
    """pk -> version, of a token in a request, or of several between commas.

    400 unless this service made them.
    """
    found: dict[str, int] = {}
    for token in tokens.split(","):
        for name in _content(token.strip()).split(","):
            pk, _, version = name.rpartition("/")
            found[pk] = max(int(version), found.get(pk, 0))
    return found


def _content(token: str) -> str:
    try:
        if len(token) > MAX_LENGTH:
            raise ValueError("too long")
        padded = (token + "=" * (-len(token) % 4)).encode("ascii")
        signed = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise _refused() from None
    mac, packed = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(packed)):
        raise _refused()
    return zlib.decompress(packed).decode()


def _mac(packed: bytes) -> bytes:
    return hmac.digest(os.environ["CONSISTENCY_KEY"].encode(), packed, "sha256")[:_MAC_BYTES]


def _refused() -> FhirError:
    return FhirError(
        400, "value", f"{HEADER} isn't a token of this service; send it as a write answered it."
    )
