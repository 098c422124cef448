"""What this checkout changes in the resources of a stack, as Markdown; no account is needed.

    python -m tools.resource_changes origin/main dev

Providers that only record what they are asked for (`local/provider.py`) deploy the program of the
given commit; that of the checkout is previewed on top, both with the checkout's packages. It takes
Pulumi's CLI on PATH.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from local import plugins
from local.files import REPOSITORY
from tools.preview_markdown import fenced, markdown

SECRETS_PROVIDER = ("secretsprovider", "encryptedkey", "encryptionsalt")


class PreviewError(RuntimeError):
    """What was asked for can't be shown; the text says why, mostly in the engine's words."""


class Engine:
    """Pulumi's CLI, for one stack, with a home and a backend of its own."""

    def __init__(self, home: Path, stack: str) -> None:
        plugins.install(home)
        backend = home / "backend"
        backend.mkdir()
        self._stack = stack
        self._environment = os.environ | {
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_urlsafe(),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Nothing is made, so nothing is lost when the state is written once only.
            "PULUMI_EXPERIMENTAL": "true",
            "PULUMI_SKIP_CHECKPOINTS": "true",
            "NO_COLOR": "1",
        }

    def run(self, project: Path, *command: str) -> str:
        """What a command prints. Raises PreviewError with what it says when it fails."""
        done = subprocess.run(
            ["pulumi", *command, "--stack", self._stack, "--non-interactive"],
            cwd=project,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise PreviewError(_reason(done.stdout) or f"{done.stdout}\n{done.stderr}".strip())
        return done.stdout


def report(base: str, stack: str, repository: Path = REPOSITORY) -> str:
    """The changes from a commit to the checkout, as Markdown. Raises PreviewError."""
    with tempfile.TemporaryDirectory() as temporary:
        before, after = Path(temporary) / "before", Path(temporary) / "after"
        _take_commit(repository, base, before)
        _take_checkout(repository, after)
        for project in (before, after):
            _prepare(project, stack)
        engine, unclear = Engine(Path(temporary) / "home", stack), ""
        engine.run(before, "stack", "init")
        try:
            engine.run(before, "up", "--yes", "--skip-preview")
        except PreviewError as error:
            engine = Engine(Path(temporary) / "another", stack)
            engine.run(after, "stack", "init")
            unclear = f"\n{base} can't be deployed, so everything is new:\n{fenced(str(error))}"
        preview = json.loads(engine.run(after, "preview", "--json"))
    return markdown(preview, f"Stack `{stack}`") + unclear


def _take_commit(repository: Path, commit: str, target: Path) -> None:
    archive = _git(repository, "archive", "--format=tar", commit)
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(target, filter="data")


def _take_checkout(repository: Path, target: Path) -> None:
    """With what isn't committed, but without what git ignores."""
    listed = _git(repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.decode().split("\0")):
        if (repository / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, target / name)


def _git(repository: Path, *command: str) -> bytes:
    done = subprocess.run(["git", *command], cwd=repository, capture_output=True)
    if done.returncode:
        raise PreviewError(done.stderr.decode().strip())
    return done.stdout


def _prepare(project: Path, stack: str) -> None:
    """Gives a copy of the program its packages, and settings that need no key to be read."""
    (project / ".venv").symlink_to(sys.prefix)
    file = project / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise PreviewError(f"There is no {file.name} in {project.name}.")
    settings = yaml.safe_load(file.read_text())
    kept = {key: value for key, value in settings.items() if key not in SECRETS_PROVIDER}
    file.write_text(yaml.safe_dump(_without_secrets(kept)))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"secure"}:
        return "(a secret)"
    return {key: _without_secrets(item) for key, item in value.items()}


def _reason(output: str) -> str:
    """The errors that a preview in JSON tells; empty for other output."""
    try:
        told = json.loads(output).get("diagnostics", [])
    except ValueError:
        return ""
    return "\n".join(item["message"].strip() for item in told if item["severity"] == "error")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [base, stack]:
            try:
                print(report(base, stack))
            except PreviewError as error:
                sys.exit(str(error))
        case _:
            sys.exit(__doc__)
