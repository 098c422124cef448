"""Bodies that a killed function left are found and taken away, and no others."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.functions.conftest import OVERFLOW, VERSIONS
from tests.functions.test_restore import stack, write
from tests.issuer import REGION
from tools import sweep
from tools.restore import is_a_body, restore_objects

__all__ = ["stack"]  # a fixture

LARGE = {"text": {"div": os.urandom(400_000).hex()}}


class Killed(BaseException):
    """The end of a process, which nothing in it survives."""


@pytest.fixture
def bodies(stack: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], set[str]]:
    """Keys of the bucket: of a version, and left by a create and by an update."""
    from functions.shared import clients

    s3 = clients.s3()
    s3.put_bucket_versioning(Bucket=OVERFLOW, VersioningConfiguration={"Status": "Enabled"})
    write("Patient/whole", LARGE)
    used = keys(s3)

    def kill(**_: Any) -> None:
        raise Killed

    for name in ("put_item", "transact_write_items"):
        monkeypatch.setattr(stack, name, kill)
    for pk, number in (("Patient/never", 1), ("Patient/whole", 2)):
        with pytest.raises(Killed):
            write(pk, LARGE, first=number)
    monkeypatch.undo()
    left = keys(s3) - used
    assert len(used) == 1
    assert len(left) == 2
    return used, left


def keys(s3: Any) -> set[str]:
    return {found["Key"] for found in s3.list_objects_v2(Bucket=OVERFLOW).get("Contents", ())}


def test_what_no_version_names_is_told_and_taken_away_when_asked(
    bodies: tuple[set[str], set[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from functions.shared.clients import s3

    used, left = bodies
    file = tmp_path / "stack.json"
    file.write_text(
        json.dumps({"region": REGION, "table_name": VERSIONS, "overflow_bucket": OVERFLOW})
    )
    sweep.main(["--stack", str(file), "--remove"])
    assert "0 bodies" in capsys.readouterr().out, "they may be of writes that go on"
    monkeypatch.setattr(sweep, "AGE", timedelta(0))
    sweep.main(["--stack", str(file)])
    told = set(capsys.readouterr().out.split()) & (used | left)
    assert told == left
    assert keys(s3()) == used | left, "nothing is removed unasked"
    sweep.main(["--stack", str(file), "--remove"])
    assert keys(s3()) == used
    assert restore_objects(s3(), OVERFLOW, is_a_body) == 0
    assert list(sweep.unused(s3(), OVERFLOW, datetime.now(UTC))) == []
