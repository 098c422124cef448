"""What other projects get: the wheel, installed alone; the SDK made from the schema; the plugin."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Standard output; the test fails with both outputs when the command does."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def need(tool: str, purpose: str) -> str:
    """Path of a tool of this machine; without it the test is skipped, in CI it fails."""
    found = shutil.which(tool)
    if found is None:
        missing(f"{tool} is missing, which {purpose} needs")
    return found


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="session")
def consumer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what it asks for, in the locked versions."""
    environment = tmp_path_factory.mktemp("consumer") / ".venv"
    run(sys.executable, "-m", "venv", environment)  # with pip, which builds the functions' layer
    uv = ROOT / ".venv" / "bin" / "uv"
    python = environment / "bin" / "python"
    lock = ROOT / "requirements.txt"
    run(uv, "pip", "install", "--quiet", f"--python={python}", f"--constraint={lock}", wheel)
    return python
