"""Binary: the FHIR side of uploads. Each version has an upload of its own.

What a reader sees: the newest version's metadata and `uploadStatus`. While that version's bytes
aren't available (awaited, refused, never sent), `presignedGetUrl` still leads to the newest bytes
that are, and `availableVersion` says whose they are: starting a new version never hides a good
file. A read of one version (vread) gives that version's bytes or none.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from functions.shared import erasure, evidence, grants, headers, items, store
from functions.shared.access import owns, require_owner
from functions.shared.errors import FhirError
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.resources import instant, new_id, parse, serialise, stamp
from functions.shared.store import ActionRefused, Stale
from functions.shared.validation import validate
from functions.uploads import bucket, datasets, parts, quota, records, verification
from functions.uploads.bucket import GetTicket, PutTicket
from functions.uploads.file_names import content_disposition
from functions.uploads.media_types import contradiction
from functions.uploads.members import Declared
from functions.uploads.state import Upload, object_key

MAX_RESOURCE_BYTES = 64 * 1024
"""Of a Binary without its data: small enough to stay in its table item."""

_TRIES = 5


def create(
    identity: Identity, binary: dict[str, Any], declared: Declared, base_url: str
) -> tuple[Version, Upload, PutTicket | None]:
    """Version 1 of a new Binary, its upload, and the URL for the bytes (None for inline ones)."""
    binary_id = new_id()
    version, upload = _draft(binary, declared, binary_id, 1, identity.subject)
    version, upload = _into_dataset(identity, binary, version, upload, base_url)
    with parts.begun(upload) as upload:
        for _ in range(_TRIES):
            try:
                store.create(version, records.promise(upload))
            except ActionRefused:
                quota.make_room(upload.owner, upload.size)
            else:
                records.entered(upload)
                return _receive(version, upload, declared)
        raise _busy()


def update(
    identity: Identity,
    binary_id: str,
    binary: dict[str, Any],
    declared: Declared,
    base_url: str,
    expected: int | None,
) -> tuple[Version, Upload, PutTicket | None, bool]:
    """The next version with an upload of its own; last, whether it revives a deleted Binary.

    `expected` is the version of If-Match. Without it, a race lost to another writer is run again.
    """
    for _ in range(_TRIES):
        current = store.latest(_pk(binary_id))
        if current is None:
            raise FhirError(
                405,
                "not-supported",
                "Ids are given by the server: create the Binary with POST.",
                headers={"Allow": "GET, HEAD, DELETE"},
            )
        require_owner(identity, "Binary", current.owner)
        if current.erased or expected is not None:
            headers.require_alive(current)
        if expected not in (None, current.version):
            raise Stale
        version, upload = _draft(binary, declared, binary_id, current.version + 1, current.owner)
        version, upload = _into_dataset(identity, binary, version, upload, base_url)
        try:
            with parts.begun(upload) as upload:
                store.append(version, records.promise(upload), revive=current.deleted)
        except ActionRefused:
            quota.make_room(upload.owner, upload.size)
        except Stale:
            if expected is not None:
                raise
        else:
            records.entered(upload)
            return (*_receive(version, upload, declared), current.deleted)
    raise _busy()


def read(
    identity: Identity, binary_id: str, *, as_owner: bool = False
) -> tuple[Version, list[Upload]]:
    """The newest version, and its uploads down to the newest one whose bytes are available.

    Others' reads are evidence. `as_owner` is for what the owner alone may do.
    """
    version = _known(store.latest(_pk(binary_id)), identity, as_owner=as_owner)
    uploads: list[Upload] = []
    for upload in records.newest_first(binary_id):
        if not _is_shown(identity, version, upload):
            break  # an older version, from before it came into the dataset that is shared
        uploads.append(_settled(upload))
        if uploads[-1].status == "available":
            break
    return version, uploads


def read_version(identity: Identity, binary_id: str, number: int) -> tuple[Version, list[Upload]]:
    """One version and its upload. Others' reads are evidence."""
    version = _known(store.read(_pk(binary_id), number), identity)
    upload = records.get(binary_id, number)
    return version, [_settled(upload)] if upload else []


def delete(identity: Identity, binary_id: str, expected: int | None) -> Version | None:
    """A tombstone as next version, and the end of all its bytes; may be repeated.

    The tombstone comes first, so that nobody gets a URL to bytes that are being removed.
    """
    for _ in range(_TRIES):
        current = store.latest(_pk(binary_id))
        if current is None:
            return None
        require_owner(identity, "Binary", current.owner)
        if current.deleted or current.erased:
            break
        if expected not in (None, current.version):
            raise Stale
        tombstone = items.tombstone(current)
        try:
            store.append(tombstone)
        except Stale:
            if expected is not None:
                raise
        else:
            current = tombstone
            break
    else:
        raise _busy()
    _remove_bytes(binary_id)
    return current


def erase(identity: Identity, binary_id: str) -> Version:
    """Deletes a Binary, and marks it erased; may be repeated."""
    for _ in range(_TRIES):
        last = delete(identity, binary_id, None)
        if last is None:
            raise FhirError(404, "not-found", "There is no such Binary.")
        try:
            marker = last if last.erased else erasure.erase(last)
        except Stale:
            continue
        records.forget_names(binary_id)
        return marker
    raise _busy()


def ticket(upload: Upload) -> GetTicket:
    """The URL for the bytes of an available upload: that object version only, never rendered."""
    return bucket.presign_get(
        upload.key,
        upload.s3_version,
        upload.content_type,
        content_disposition(upload.file_name or upload.binary_id),
    )


def inline_data(upload: Upload) -> str | None:
    """Bytes that were sent within the resource, as they go back; None for others."""
    if not upload.inline or upload.status != "available":
        return None
    content = b"".join(bucket.stream(upload.key, upload.s3_version))
    return base64.b64encode(content).decode()


def body(version: Version) -> dict[str, Any]:
    """The FHIR Binary of a version, without the members that only answers carry."""
    return parse(version.body)


def _draft(
    binary: dict[str, Any], declared: Declared, binary_id: str, number: int, owner: str
) -> tuple[Version, Upload]:
    """The version to write and its upload, outside any dataset."""
    validate(binary)
    size, sha256 = declared.size, declared.sha256
    if declared.data is not None:
        size, sha256 = _inline(declared, declared.data)
    quota.require_size(size)
    part_size = parts.size_of_parts(size, wanted=declared.multipart)
    in_parts = part_size is not None
    now = instant()
    content = serialise(stamp(binary, binary_id, number, now))
    if len(content) > MAX_RESOURCE_BYTES:
        raise FhirError(
            413, "too-long", f"A Binary without data has at most {MAX_RESOURCE_BYTES} bytes."
        )
    version = Version(
        pk=_pk(binary_id),
        version=number,
        body=content,
        owner=owner,
        updated=now,
    )
    upload = Upload(
        binary_id=binary_id,
        version=number,
        owner=owner,
        key=object_key("", binary_id, number),
        content_type=declared.content_type,
        limit=quota.most_bytes(in_parts=in_parts),
        quota=quota.most_bytes_per_user(),
        deadline=quota.deadline(size, in_parts=in_parts),
        updated=now,
        size=size,
        sha256=sha256,
        file_name=declared.file_name,
        part_size=part_size,
        inline=declared.data is not None,
        counted=size or 0,
        bucket=bucket.name(),
    )
    return version, upload


def _inline(declared: Declared, data: bytes) -> tuple[int, str]:
    """Size and SHA-256 of inline data; 422 when it isn't what is declared beside it."""
    size, sha256 = len(data), base64.b64encode(hashlib.sha256(data).digest()).decode()
    if declared.multipart:
        raise _contradicts("data and multipart exclude each other")
    if declared.size not in (None, size) or declared.sha256 not in (None, sha256):
        raise _contradicts("data has another size or SHA-256 than declared")
    if problem := contradiction(declared.content_type, data):
        raise _contradicts(problem)
    return size, sha256


def _into_dataset(
    identity: Identity,
    binary: dict[str, Any],
    version: Version,
    upload: Upload,
    base_url: str,
) -> tuple[Version, Upload]:
    dataset = datasets.named_by(identity, binary, base_url)
    key = object_key(dataset, upload.binary_id, upload.version)
    return replace(version, dataset=dataset), replace(upload, key=key)


def _receive(
    version: Version, upload: Upload, declared: Declared
) -> tuple[Version, Upload, PutTicket | None]:
    """Makes the URL for the bytes; parts get theirs later.

    Inline bytes are stored and verified as all others, at once.
    """
    if upload.part_size is not None:
        return version, upload, None
    if declared.data is None:
        put = bucket.presign_put(upload.key, upload.content_type, upload.size, upload.sha256)
        return version, upload, put
    s3_version = bucket.put(upload.key, declared.data, upload.content_type, upload.sha256 or "")
    return version, verification.arrived(upload.key, s3_version) or upload, None


def _known(version: Version | None, identity: Identity, *, as_owner: bool = False) -> Version:
    """The version, if there is one, it is the caller's to read, and it isn't a tombstone."""
    if version is None:
        raise FhirError(404, "not-found", "There is no such Binary.")
    if as_owner:
        require_owner(identity, "Binary", version.owner)
        headers.require_alive(version)
        return version
    consents = grants.require_sight(identity, version)
    headers.require_alive(version)
    evidence.note_read(identity, version, consents)
    return version


def _is_shown(identity: Identity, version: Version, upload: Upload) -> bool:
    """Whether who may see a version may have an upload's bytes: others only within its dataset."""
    key = object_key(version.dataset, upload.binary_id, upload.version)
    return owns(identity, "Binary", version.owner) or upload.key == key


def _settled(upload: Upload) -> Upload:
    """The upload, ended if its bytes are overdue."""
    overdue = upload.status == "pending" and upload.deadline < time.time()
    return verification.expire(upload) if overdue else upload


def _remove_bytes(binary_id: str) -> None:
    """Ends every upload of a Binary, which frees its quota, then removes what is stored."""
    uploads: Sequence[Upload] = list(records.newest_first(binary_id))
    for upload in uploads:
        current: Upload | None = upload
        while current is not None and current.status != "deleted":
            if records.change(current, "deleted") is not None:
                break
            current = records.get(binary_id, upload.version)
    for upload in uploads:
        if upload.upload_id:
            bucket.abort_parts(upload.key, upload.upload_id)
    for folder in {upload.key.rpartition("/")[0] for upload in uploads}:
        bucket.erase(f"{folder}/")


def _pk(binary_id: str) -> str:
    return f"Binary/{binary_id}"


def _busy() -> FhirError:
    return FhirError(409, "conflict", "Others are changing the same records; try again.")


def _contradicts(problem: str) -> FhirError:
    return FhirError(422, "invalid", f"{problem}.", expression=["Binary.data"])
