"""What a runner is told: one JSON file, which the chart makes of its values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Of one challenge; the members of the file have the same names."""

    challenge: str
    """Name, as in labels."""
    challenge_id: int
    """Primary key in EvalAI."""
    release: str
    """Prefix of what the chart made: service accounts and Secrets."""
    namespace: str
    queue_url: str
    """Where EvalAI puts the challenge's messages."""
    scoring_queue_url: str
    """Where its workers look for predictions to score."""
    failed_queue_arn: str
    """Where messages go that nobody could handle."""
    api_url: str
    """EvalAI's web inside the cluster."""
    api_host: str
    """The public host, which web insists on."""
    image: str
    """Of the trusted steps: this program's own."""
    image_pull_policy: str
    repositories: Sequence[str]
    """Repositories that models may come from."""
    dataset_bucket: str
    datasets: Sequence[Mapping[str, str]]
    """`id` of each dataset, and its `manifest` as <Binary>/<version>."""
    resources: Mapping[str, Any]
    """Requests and limits of a model."""
    helper_resources: Mapping[str, Any]
    """Requests and limits of each trusted step."""
    node_selector: Mapping[str, str]
    tolerations: Sequence[Mapping[str, Any]]
    storage_class: str
    volume_size: str
    """Of the disk that a submission gets, for the datasets and its output."""
    output: str
    """Name of the file that a model has to write."""
    max_output_bytes: int
    fetch_seconds: int
    """Longest fetch of the datasets."""
    start_seconds: int
    """Longest wait for a machine, and again for images: what takes longer has failed."""
    max_seconds: int
    """Longest run of a model."""
    max_parallel: int
    """Submissions at the same time."""
    log_phases: Sequence[str]
    """Code names of the phases whose participants see what their model printed."""

    @property
    def bound_seconds(self) -> int:
        """After this a submission has ended, whatever happened; each step may be tried twice."""
        steps = self.fetch_seconds + self.max_seconds + COLLECT_SECONDS
        return 2 * (steps + 3 * 2 * self.start_seconds)


COLLECT_SECONDS = 600
"""Longest upload of an output."""


def load(path: Path) -> Settings:
    """The settings of a file. ValueError names members that are missing or unknown."""
    given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    known = {field.name for field in fields(Settings)}
    if wrong := sorted(known ^ set(given)):
        raise ValueError(f"{path}: {', '.join(wrong)}: missing or unknown")
    return Settings(**given)
