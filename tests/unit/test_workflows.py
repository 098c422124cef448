"""The workflows: what a pull request can reach. Their syntax is for `make workflows`."""

from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = Path(__file__).resolve().parents[2] / ".github" / "workflows"
OWN_BRANCH = "github.event.pull_request.head.repo.full_name == github.repository"


def load(name: str) -> dict[str, Any]:
    return yaml.load((WORKFLOWS / name).read_text(), Loader=yaml.BaseLoader)  # noqa: S506


def test_no_workflow_has_a_secret() -> None:
    names = [path.name for path in WORKFLOWS.iterdir()]
    assert {"ci.yml", "preview.yml", "deploy.yml"} <= set(names)
    for name in names:
        workflow = load(name)
        assert "secrets" not in str(workflow)
        assert workflow["permissions"] == {}, f"{name} grants permissions to all its jobs"


def test_what_forks_run_may_only_read_the_code() -> None:
    for job in load("ci.yml")["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert "environment" not in job


@pytest.mark.parametrize("name", [path.name for path in WORKFLOWS.iterdir()])
def test_who_takes_a_role_is_no_fork_and_in_an_environment(name: str) -> None:
    workflow = load(name)
    for job in workflow["jobs"].values():
        if "id-token" in job["permissions"] and "steps" in job:
            assert job["environment"]
            assert "pull_request" not in workflow["on"] or OWN_BRANCH in job["if"]
            assert job["concurrency"]["cancel-in-progress"] == "false"
