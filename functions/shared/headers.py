"""Headers of interactions on one resource: If-Match and Prefer in, ETag, Last-Modified out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime

from functions.shared.errors import FhirError
from functions.shared.http import Request
from functions.shared.items import Version

_ETAG = re.compile(r'(?:W/)?"([1-9]\d{0,14})"')


def if_match(request: Request) -> int | None:
    """The version that If-Match names; None for no condition. 400 for other ETags than ours."""
    return etag_version(request.headers.get("if-match", ""))


def etag_version(value: str) -> int | None:
    """The version in an ETag that is a condition; None for no condition. 400 for other ETags."""
    value = value.strip()
    if value in ("", "*"):  # any version that exists: an update needs one anyway
        return None
    found = _ETAG.fullmatch(value)
    if not found:
        raise FhirError(400, "value", 'If-Match must be the ETag of a version, such as W/"3".')
    return int(found[1])


def preference(request: Request, name: str) -> str:
    """The value of a preference in lower case (RFC 7240: `Prefer: handling=strict`); "" without."""
    for part in re.split("[,;]", request.headers.get("prefer", "")):
        found, _, value = part.strip().partition("=")
        if found.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""


def of_version(version: Version) -> dict[str, str]:
    """ETag and Last-Modified."""
    return {
        "ETag": etag(version),
        "Last-Modified": format_datetime(updated(version), usegmt=True),
    }


def etag(version: Version) -> str:
    return f'W/"{version.version}"'


def updated(version: Version) -> datetime:
    return datetime.fromisoformat(version.updated).astimezone(UTC)


def require_alive(version: Version) -> None:
    """410 for what was deleted or erased."""
    if version.deleted or version.erased:
        raise FhirError(
            410, "deleted", "The resource was deleted.", headers={"ETag": etag(version)}
        )
