"""The output of a model that means no good."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.collect import NoOutputError, opened

NAME = "submission.json"


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"[1]")
    with opened(tmp_path, NAME, 3) as output:
        assert output.read() == b"[1]"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "didn't write"),
        (lambda path: path.write_bytes(b""), "has 0 bytes"),
        (lambda path: path.write_bytes(b"1234"), "has 4 bytes; from 1 to 3"),
        (lambda path: path.symlink_to("/etc/hostname"), "didn't write"),
        (lambda path: path.mkdir(), "no plain file"),
        (lambda path: os.mkfifo(path), "no plain file"),
        (lambda path: (path.with_name("x").write_bytes(b"1"), os.link(path.with_name("x"), path)),
         "no plain file"),
    ],
)  # fmt: skip
def test_anything_else_is_not(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    make(tmp_path / NAME)
    with pytest.raises(NoOutputError, match=message):
        opened(tmp_path, NAME, 3)
