"""Pulumi's assets and archives as files named by their content, so that equal code is equal."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pulumi

from local.errors import LocalError

EARLIEST = (1980, 1, 1, 0, 0, 0)  # the oldest time that the zip format knows


class Contents:
    """A folder of contents, each under its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if not (self._folder / digest).exists():
            self._write(digest, content)
        return digest

    def keep_as(self, digest: str, value: pulumi.Asset | pulumi.Archive) -> None:
        """Keeps it under a digest that the engine has made of its content."""
        if not (self._folder / digest).exists():
            self._write(digest, _zip(value) if isinstance(value, pulumi.Archive) else _bytes(value))

    def read(self, digest: str) -> bytes:
        return (self._folder / digest).read_bytes()

    def _write(self, digest: str, content: bytes) -> None:
        path = self._folder / digest
        temporary = path.with_suffix(f".{id(content)}")
        temporary.write_bytes(content)
        temporary.replace(path)

    def clean(self, used: set[str]) -> None:
        """Removes what no resource uses any more."""
        for path in self._folder.iterdir():
            if path.name not in used:
                path.unlink()

    def plain(self, value: Any) -> Any:
        """A property as JSON: contents by digest, secrets in clear, whole numbers as such."""
        value = pulumi.runtime.rpc.unwrap_rpc_secret(value)
        if isinstance(value, pulumi.Archive):
            return {"archive": self.keep(_zip(value))}
        if isinstance(value, pulumi.Asset):
            return {"asset": self.keep(_bytes(value))}
        if isinstance(value, dict):
            return {str(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item) for item in value]
        # Numbers come over the wire as floating point.
        return int(value) if isinstance(value, float) and value.is_integer() else value


def _bytes(asset: pulumi.Asset) -> bytes:
    if isinstance(asset, pulumi.FileAsset):
        return Path(asset.path).read_bytes()
    if isinstance(asset, pulumi.StringAsset):
        return asset.text.encode()
    raise LocalError("Only files and texts can be assets here, nothing remote.")


def _zip(archive: pulumi.Archive) -> bytes:
    """A zip that depends on names and contents alone; an existing zip as it is."""
    if isinstance(archive, pulumi.FileArchive) and Path(archive.path).is_file():
        return Path(archive.path).read_bytes()
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in sorted(_entries(archive).items()):
            info = zipfile.ZipInfo(name, EARLIEST)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(info, content)
    return output.getvalue()


def _entries(archive: pulumi.Archive) -> dict[str, bytes]:
    """The files of an archive by their path in it."""
    if isinstance(archive, pulumi.FileArchive):
        root = Path(archive.path)
        if root.is_dir():
            files = (path for path in root.rglob("*") if path.is_file())
            return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
        with zipfile.ZipFile(root) as zipped:
            names = (name for name in zipped.namelist() if not name.endswith("/"))
            return {name: zipped.read(name) for name in names}
    if not isinstance(archive, pulumi.AssetArchive):
        raise LocalError("Only files can be archives here, nothing remote.")
    found: dict[str, bytes] = {}
    for name, item in archive.assets.items():
        if isinstance(item, pulumi.Archive):
            found |= {f"{name}/{path}": content for path, content in _entries(item).items()}
        else:
            found[name] = _bytes(item)
    return found
