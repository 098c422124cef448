"""Files on this machine: found, named, hashed and read in pieces, never whole."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import CommandError

CHUNK = 1024 * 1024
OTHER = "application/octet-stream"

_TYPES = {".dcm": "application/dicom", ".nii": "application/x-nifti"}
_DICOM_MARK = (128, b"DICM")

Moved = Callable[[int], None]
"""Is told how many bytes have gone by; fewer than none when they must go again."""


@dataclass(frozen=True)
class LocalFile:
    """A file as it was when it was found; `name` is its path below the folder, with `/`."""

    path: Path
    name: str
    size: int
    modified: int
    """Nanoseconds since the epoch."""


def files_below(folder: Path) -> list[LocalFile]:
    """All regular files, by name; none that are hidden, and no symbolic links."""
    if not folder.is_dir():
        raise CommandError(f"{folder} isn't a folder.")
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            stat = path.stat()
            relative = path.relative_to(folder).as_posix()
            found.append(LocalFile(path, relative, stat.st_size, stat.st_mtime_ns))
    if not found:
        raise CommandError(f"There are no files in {folder}.")
    return sorted(found, key=lambda file: file.name)


def content_type(path: Path) -> str:
    """By the name; a DICOM file without an ending by its mark."""
    if path.name.endswith(".nii.gz"):
        return _TYPES[".nii"]
    if kind := _TYPES.get(path.suffix.lower()):
        return kind
    kind, encoding = mimetypes.guess_type(path.name)
    if encoding == "gzip":
        return "application/gzip"
    if kind is None or encoding is not None:
        place, mark = _DICOM_MARK
        with path.open("rb") as file:
            file.seek(place)
            return _TYPES[".dcm"] if file.read(len(mark)) == mark else OTHER
    return kind


def sha256(path: Path, start: int = 0, size: int | None = None) -> str:
    """SHA-256 of a file or of `size` bytes from `start`, in base64."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        left = size
        while piece := file.read(CHUNK if left is None else min(CHUNK, left)):
            digest.update(piece)
            left = None if left is None else left - len(piece)
    return base64.b64encode(digest.digest()).decode()


def composite(path: Path, part_size: int) -> str:
    """S3's checksum of a file in parts: SHA-256 of the parts' digests, and their count."""
    digests = [
        base64.b64decode(sha256(path, start, size))
        for start, size in parts(path.stat().st_size, part_size)
    ]
    digest = hashlib.sha256(b"".join(digests)).digest()
    return f"SHA256:{base64.b64encode(digest).decode()}-{len(digests)}"


def parts(size: int, part_size: int) -> list[tuple[int, int]]:
    """Start and length of each part."""
    return [(start, min(part_size, size - start)) for start in range(0, size, part_size)]


class Slice:
    """A stretch of a file as the body of a request; tells how far it has been read."""

    def __init__(self, path: Path, start: int, size: int, moved: Moved) -> None:
        self._file, self._size, self._left, self._moved = path.open("rb"), size, size, moved
        self._file.seek(start)

    def __enter__(self) -> Slice:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1, /) -> bytes:
        piece = self._file.read(self._left if size < 0 else min(size, self._left))
        if not piece and self._left and size:
            raise CommandError(f"{self._file.name} became shorter while it was sent.")
        self._left -= len(piece)
        self._moved(len(piece))
        return piece

    def take_back(self) -> None:
        """What was read didn't arrive."""
        self._moved(self._left - self._size)


def inside(folder: Path, name: str) -> Path:
    """Where a file of a manifest belongs below a folder. CommandError for a name that leads out."""
    parts_ = PurePosixPath(name).parts
    target = folder.joinpath(*parts_)
    outside = not parts_ or ".." in parts_ or "\\" in name or PurePosixPath(name).is_absolute()
    if outside or not target.resolve().is_relative_to(folder.resolve()):
        raise CommandError(
            f"The dataset names a file outside of it: {name!r}. Nothing was written."
        )
    return target


def written(path: Path, size: int, fetch: Callable[[int], Iterator[bytes]], moved: Moved) -> str:
    """Writes a file as a whole or not at all, going on where an earlier try broke; its SHA-256.

    `fetch` gives the bytes from a position on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft, digest = path.with_name(f".{path.name}.part"), hashlib.sha256()
    with draft.open("a+b") as file:
        if file.tell() > size:
            file.truncate(0)
        file.seek(0)
        while piece := file.read(CHUNK):
            digest.update(piece)
        start = file.tell()
        moved(start)
        try:
            for piece in fetch(start) if start < size else ():
                file.write(piece)
                digest.update(piece)
                moved(len(piece))
        except Exception:
            moved(-file.tell())
            raise
    draft.replace(path)
    return base64.b64encode(digest.digest()).decode()
