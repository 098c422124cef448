"""The portal's checked-in script is what its sources and lock build to."""

import subprocess
from pathlib import Path

from tests.browser.conftest import SOURCES

BUILT = ("portal.js", "portal.licences.txt")


def test_the_sources_build_to_the_checked_in_files(node_modules: Path, tmp_path: Path) -> None:
    for command in (["npm", "run", "types"], ["node", "build.js", str(tmp_path)]):
        done = subprocess.run(
            command, cwd=node_modules.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for name in BUILT:
        checked_in = (SOURCES / "site" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == checked_in, "run `make portal`"
