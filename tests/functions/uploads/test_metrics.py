"""Uploads are counted by the state they come to, as CloudWatch reads it, and nobody is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.uploads.conftest import BUCKET, User

CONTENT = b"some bytes of a volume"


def states(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The states that the log counts since the last call, in order; each line is a metric's."""
    found = []
    for text in capsys.readouterr().out.splitlines():
        line: dict[str, Any] = json.loads(text)
        if "_aws" not in line:
            continue
        (described,) = line["_aws"]["CloudWatchMetrics"]
        assert described == {
            "Namespace": "AI4H",
            "Dimensions": [["BucketName", "Status"]],
            "Metrics": [{"Name": "Uploads", "Unit": "Count"}],
        }
        assert set(line) == {"_aws", "BucketName", "Status", "Uploads"}, "and no more"
        assert (line["BucketName"], line["Uploads"]) == (BUCKET, 1)
        assert isinstance(line["_aws"]["Timestamp"], int)
        found.append(line["Status"])
    return found


def test_each_state_is_counted_once(
    owner: User, complete: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    made = owner.new(CONTENT, fileName="a-patients-name.bin").body
    assert states(capsys) == ["pending"]

    event = owner.put(made, CONTENT).event
    complete(event)
    assert states(capsys) == ["verifying", "available"]
    complete(event)  # an event may come twice
    assert states(capsys) == []

    assert owner.call("DELETE", f"/Binary/{made['id']}").status == 204
    assert states(capsys) == ["deleted"]


def test_bytes_that_are_not_what_was_declared_count_as_rejected(
    owner: User, complete: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    made = owner.call("POST", "/Binary", {"resourceType": "Binary", "contentType": "image/png"})
    complete(owner.put(made.body, CONTENT).event)
    assert states(capsys) == ["pending", "verifying", "rejected"]


def test_a_refused_upload_counts_nothing(owner: User, capsys: pytest.CaptureFixture[str]) -> None:
    refused = owner.call("POST", "/Binary", {"resourceType": "Binary"})
    assert refused.status >= 400
    assert states(capsys) == []
