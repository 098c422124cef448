"""The platform to talk to: what a stack's outputs say of it.

Read from `.local/stack.json` of the local platform, or from `pulumi stack output --json
--show-secrets` of one on AWS. Signing in keeps it for the commands that follow.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from .errors import CommandError

LOCAL = Path(".local/stack.json")


@dataclass(frozen=True)
class Stack:
    """Addresses and public ids; the API key only meters."""

    api_url: str
    api_key: str
    region: str
    user_pool_id: str
    client_id: str
    aws_endpoint_url: str | None = None
    """Of an emulated AWS."""
    evidence_public_key: str = ""
    """What the evidence of datasets is verified with (PEM)."""


def home() -> Path:
    """Where the command keeps its state, for this user only: AI4H_HOME, or the system's place."""
    folder = Path(os.environ.get("AI4H_HOME") or typer.get_app_dir("ai4h"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def load(path: Path | None) -> Stack:
    """The stack in a file; else the one last signed in to; else this checkout's local one."""
    if path is not None:
        return _read(path)
    for known in (home() / "stack.json", LOCAL):
        if known.is_file():
            return _read(known)
    raise CommandError(
        "Which platform? Name the stack's outputs: --stack FILE, or AI4H_STACK. On AWS, write them"
        " with: pulumi stack output --json --show-secrets > stack.json"
    )


def remember(stack: Stack) -> None:
    write_private(home() / "stack.json", json.dumps(asdict(stack)))


def write_private(path: Path, text: str) -> None:
    """A file that only this user reads, replaced as a whole."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _read(path: Path) -> Stack:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return Stack(
            api_url=found["api_url"].rstrip("/"),
            api_key=found.get("api_key") or next(iter(found["api_keys"].values())),
            region=found["region"],
            user_pool_id=found["user_pool_id"],
            client_id=found.get("client_id") or found["cli_client_id"],
            aws_endpoint_url=found.get("aws_endpoint_url"),
            evidence_public_key=found.get("evidence_public_key")
            or found.get("outputs", {}).get("evidence_public_key", ""),
        )
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from None
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise CommandError(f"{path} isn't the JSON of a stack's outputs: {error!r}.") from None
