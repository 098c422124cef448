"""A JavaScript client that was written for other servers works: fhir-kit-client, by npm."""

import json
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.npm import installed

PROGRAM = Path(__file__).with_name("fhir_kit_client")


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def program() -> Path:
    """The program with the client beside it, installed once as its lock says."""
    return installed(PROGRAM, "fhir-kit-client") / "interactions.js"


def test_it_does_every_interaction_that_it_knows(
    stack: dict[str, Any], token: Callable[[str], str], program: Path
) -> None:
    came = run(
        "node",
        program,
        folder=program.parent,
        API_URL=stack["api_url"],
        API_KEY=stack["api_key"],
        ID_TOKEN=token("practitioner"),
        MARK=f"Kit{uuid.uuid4().hex}",
    )
    told = json.loads(came)
    assert told.pop("read").startswith("Kit")
    assert told == {
        "capabilities": "4.0.1",
        "update": "2",
        "patch": "other",
        "vread": "female",
        "history": 3,
        "typeHistory": "history",
        "systemHistory": "history",
        "transaction": "201 Created",
        "batch": "201 Created",
        "search": [2, 1],
        "systemSearch": "searchset",
        "compartment": "searchset",
        "everything": "searchset",
        "validate": "OperationOutcome",
        "refused": "OperationOutcome",
        "deleted": 410,
    }
