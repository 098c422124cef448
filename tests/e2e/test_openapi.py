"""The API answers as its OpenAPI document says, whatever it is asked: Schemathesis tries it out.

AI4H_EXAMPLES is the number of random requests per operation; more than a few take minutes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("AI4H_EXAMPLES", "2")
# Types that no other test has resources of: what is tried out here changes and deletes some.
TYPES = ["Binary", "Device", "Flag"]
# Members through which each of FHIR's types leads to all the others.
ENDLESS = ("contained", "extension", "modifierExtension")


def bounded(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what has no end in sight for a generator: a few types for all of them.

    Answers are held against it as well: no element that isn't sent comes back.
    """
    for schema in document["components"]["schemas"].values():
        members = schema.get("properties", {})
        for name in [n for n in members if n in ENDLESS or n.startswith("_")]:
            del members[name]
    document["components"]["schemas"]["Resource"]["properties"]["resourceType"]["enum"] = TYPES
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if len(known := parameter.get("schema", {}).get("enum", ())) > len(TYPES):
                    parameter["schema"]["enum"] = [name for name in TYPES if name in known]
    return document


@pytest.mark.parametrize(
    ("query", "phases"),
    [("", "coverage"), (f"?_type={','.join(TYPES)}", "examples,fuzzing,stateful")],
    ids=["whole", "types"],
)
def test_the_api_is_as_it_is_described(
    stack: dict[str, Any],
    client: Callable[[str], Any],
    token: Callable[[str], str],
    tmp_path: Path,
    query: str,
    phases: str,
) -> None:
    described = client("practitioner").get(f"/openapi.json{query}")
    assert described.status_code == 200, described.text
    document, report = tmp_path / "openapi.json", tmp_path / "report.json"
    document.write_text(json.dumps(bounded(described.json())))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]
    options = {
        "--url": stack["api_url"],
        "--phases": phases,
        "--max-examples": EXAMPLES,
        "--report-json-path": str(report),
    }
    asked = subprocess.run(
        [*command, str(document), *(part for option in options.items() for part in option)],
        cwd=tmp_path,
        env={**os.environ, "AI4H_TOKEN": token("practitioner"), "AI4H_API_KEY": stack["api_key"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout
    told = json.loads(report.read_text())
    assert told["operations"]["tested"] > 30
    assert told["test_cases"]["generated"] > 100
