"""Files of the local platform: whole or as they were."""

import errno
import os
from pathlib import Path

import pytest

from local.files import read_json, write_json


def test_a_full_disk_leaves_what_was_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state.json"
    write_json(state, {"resources": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(state, {"resources": 2})

    assert read_json(state) == {"resources": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
