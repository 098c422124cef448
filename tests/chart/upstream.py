"""EvalAI's versions of Django, Celery and boto3, in an environment of their own in the cache."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from local.files import cache_directory
from local.lock import wait
from tests.chart.rendering import CHART

STAND_IN = Path(__file__).parent / "stand_in"
REQUIREMENTS = STAND_IN / "requirements.txt"
UV = Path(sys.executable).with_name("uv")


def python() -> Path:
    """The environment's Python; installs it on first use, from hashed pins."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = cache_directory() / f"evalai-{key}"
    with wait(place.with_suffix(".lock")):
        if not (place / ".complete").exists():
            _uv("venv", "--clear", "--python", sys.executable, place)
            _uv("pip", "sync", "--require-hashes", "--python", place / "bin/python", REQUIREMENTS)
            (place / ".complete").touch()
    return place / "bin" / "python"


def source_tree(folder: Path) -> Path:
    """EvalAI's source as far as the settings see it, with the overlay where the chart mounts it."""
    shutil.copytree(STAND_IN, folder)
    shutil.copytree(CHART / "settings", folder / "settings", dirs_exist_ok=True)
    return folder


def _uv(*arguments: str | Path) -> None:
    done = subprocess.run([UV, "--quiet", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
