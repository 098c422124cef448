"""What the commands have in common: options, the signed-in API, and where messages go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from . import sign_in, stack
from .api import Api

notes = Console(stderr=True)
"""Progress and messages; results go to standard output."""


StackFile = Annotated[
    Path | None,
    typer.Option(
        "--stack",
        envvar="AI4H_STACK",
        help="JSON of the stack's outputs. Default: the stack last signed in to.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DatasetName = Annotated[str, typer.Argument(help="Name or id of the dataset.")]


def api_of(known: stack.Stack, workers: int = 4) -> Api:
    """The API as the user who is signed in to a stack."""
    return Api(known, sign_in.Session(known).token, workers)
