"""Packages of npm that tests need, installed beside their program as its lock says."""

import shutil
import subprocess
from pathlib import Path

from local import lock
from local.files import cache_directory, sha256
from tests.conftest import missing


def installed(program: Path, name: str, *leaving_out: str) -> Path:
    """A copy of a program's folder in the cache, with its packages: installed once for its lock.

    No package runs scripts of its own. A test that needs it ends where there is no Node.
    """
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            missing(f"there is no {tool} on PATH")
    digest = sha256(program / "package-lock.json")[:16]
    place = cache_directory() / f"{name}-{digest}"
    with lock.wait(cache_directory() / f"{place.name}.lock"):
        ignore = shutil.ignore_patterns("node_modules", *leaving_out)
        shutil.copytree(program, place, dirs_exist_ok=True, ignore=ignore)
        if not (place / "node_modules" / ".package-lock.json").exists():
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    return place
