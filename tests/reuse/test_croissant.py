"""What `ai4h croissant` writes, read by the format's own library, in an environment of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.croissant import croissant
from tests.reuse.conftest import ROOT, run
from tests.unit.cli.test_croissant import API, CONTENT, dataset

pytestmark = pytest.mark.slow

READ = """
import json, logging, sys
import mlcroissant
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
found = mlcroissant.Dataset(jsonld=sys.argv[1])
issues = found.metadata.ctx.issues
print(json.dumps({
    "errors": sorted(issues.errors), "warnings": sorted(issues.warnings),
    "read": found.metadata.to_json(), "version": str(found.metadata.conforms_to),
}, default=str))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    environment = tmp_path_factory.mktemp("croissant") / ".venv"
    uv, python = ROOT / ".venv" / "bin" / "uv", environment / "bin" / "python"
    lock = ROOT / "tests" / "reuse" / "croissant" / "requirements.txt"
    run(uv, "venv", "--quiet", f"--python={sys.executable}", environment)
    run(uv, "pip", "install", "--quiet", "--require-hashes", f"--python={python}", "-r", lock)
    return python


def validated(python: Path, folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """What the library says of a description."""
    file = folder / "croissant.json"
    file.write_text(json.dumps(content), "utf-8")
    return json.loads(run(python, "-c", READ, file))


def test_the_formats_own_library_reads_it_without_a_complaint(python: Path, tmp_path: Path) -> None:
    found = validated(python, tmp_path, croissant(dataset(), API))

    assert (found["errors"], found["warnings"]) == ([], [])
    files = {each["name"]: each for each in found["read"]["distribution"]}
    assert set(files) == {"a.dcm", "series 1/ä.dcm"}
    assert files["a.dcm"]["contentSize"] == f"{len(CONTENT)} B"
    assert found["read"]["license"]


def test_the_library_complains_of_what_is_missing(python: Path, tmp_path: Path) -> None:
    broken = croissant(dataset(), API)
    del broken["name"]
    del broken["distribution"][0]["sha256"]
    with pytest.raises(AssertionError, match="ValidationError"):
        validated(python, tmp_path, broken)
