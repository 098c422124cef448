"""Files of the command: found, read in stretches, written as a whole, never outside the folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.errors import CommandError, Unreachable
from cli.files import Slice, composite, content_type, files_below, inside, parts, sha256, written
from functions.uploads import verification

CONTENT = bytes(range(250))


def test_regular_files_are_found_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b/2.dcm", "a.csv", ".DS_Store", "b/.git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to("/etc/hostname")

    assert [file.name for file in files_below(tmp_path)] == ["a.csv", "b/2.dcm"]
    with pytest.raises(CommandError, match="isn't a folder"):
        files_below(tmp_path / "a.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="no files"):
        files_below(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("brain.nii.gz", b"", "application/x-nifti"),
        ("SLICE.DCM", b"", "application/dicom"),
        ("IM0001", bytes(128) + b"DICM", "application/dicom"),
        ("IM0002", bytes(140), "application/octet-stream"),
        ("table.csv.gz", b"", "application/gzip"),
        ("report.pdf", b"", "application/pdf"),
    ],
)
def test_types(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert content_type(tmp_path / name) == kind


def test_a_slice_is_its_stretch_and_can_be_taken_back(tmp_path: Path) -> None:
    path, moved = tmp_path / "f", list[int]()
    path.write_bytes(CONTENT)
    with Slice(path, 100, 60, moved.append) as body:
        assert len(body) == 60
        assert body.read(50) + body.read(50) + body.read(50) == CONTENT[100:160]
        body.take_back()
    assert sum(moved) == 0
    with Slice(path, 240, 60, moved.append) as body:
        assert body.read(60) == CONTENT[240:]
        with pytest.raises(CommandError, match="became shorter"):
            body.read(50)


def test_the_composite_is_the_servers(tmp_path: Path) -> None:
    import base64

    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    stretches = parts(len(CONTENT), 100)
    assert stretches == [(0, 100), (100, 100), (200, 50)]
    digests = b"".join(base64.b64decode(sha256(path, *stretch)) for stretch in stretches)
    assert composite(path, 100) == f"SHA256:{verification.composite(digests)}"


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../x", "", ".", "..", "a\\..\\x", "out/x"]
)
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    if name == ".":
        name = "./.."
    with pytest.raises(CommandError, match="outside"):
        inside(folder, name)
    assert inside(folder, "a/b..c") == folder / "a" / "b..c"


def test_a_broken_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    target, starts, moved = tmp_path / "a" / "f", list[int](), list[int]()

    def fetch(start: int) -> Iterator[bytes]:
        starts.append(start)
        yield CONTENT[start : start + 70]
        if start < 140:
            raise Unreachable("torn")
        yield CONTENT[start + 70 :]

    for _ in range(2):
        with pytest.raises(Unreachable):
            written(target, len(CONTENT), fetch, moved.append)
        assert not target.exists()
        assert sum(moved) == 0
    digest = written(target, len(CONTENT), fetch, moved.append)

    assert starts == [0, 70, 140]
    assert target.read_bytes() == CONTENT
    assert digest == sha256(target)
    assert sum(moved) == len(CONTENT)
    assert list(target.parent.iterdir()) == [target]
