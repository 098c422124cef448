"""The commands about a dataset's description: what only its owner knows, and Croissant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from . import croissant as descriptions
from . import datasets as catalogue
from . import stack
from .options import DatasetName, StackFile, api_of, notes


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(describe)
    app.command()(croissant)


def describe(
    dataset: DatasetName,
    licence: Annotated[
        str, typer.Option("--license", help="Address of the terms under which it may be used.")
    ] = "",
    creator: Annotated[str, typer.Option(help="Institution that made it.")] = "",
    citation: Annotated[str, typer.Option(help="How to cite it, best as BibTeX.")] = "",
    file: StackFile = None,
) -> None:
    """Say of a dataset of yours who made it, how it may be used, and how to cite it."""
    if not (licence or creator or citation):
        raise typer.BadParameter("say something: --license, --creator, --citation")
    api = api_of(stack.load(file))
    found = catalogue.require(api, dataset)
    resource = descriptions.described(found, licence=licence, citation=citation, creator=creator)
    catalogue.write(api, found, resource)


def croissant(
    dataset: DatasetName,
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file. Default: standard output.")
    ] = None,
    file: StackFile = None,
) -> None:
    """Describe a dataset in Croissant (JSON-LD): its terms and its files, without their bytes."""
    known = stack.load(file)
    found = catalogue.require(api_of(known), dataset)
    text = json.dumps(descriptions.croissant(found, known.api_url), indent=2, ensure_ascii=False)
    if out is None:
        print(text)
        return
    stack.write_private(out, f"{text}\n")
    notes.print(f"{len(found.entries)} files described in {out}.")
