"""The commands about evidence: fetch and verify it, verify a file of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import datasets as catalogue
from . import evidence as logs
from . import stack
from .errors import CommandError
from .evidence import Evidence
from .options import AsJson, DatasetName, StackFile, api_of, notes

Key = Annotated[
    Path | None,
    typer.Option(help="Public key (PEM) to verify with. Default: the stack's."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(evidence)
    app.command("verify-evidence")(verify_evidence)


def evidence(
    dataset: DatasetName,
    out: Annotated[
        Path | None,
        typer.Option(help="Write it to this file. What is there must be an earlier part of it."),
    ] = None,
    key: Key = None,
    file: StackFile = None,
    as_json: AsJson = False,
) -> None:
    """Show who asked for a dataset of yours, was granted it and read it, verified."""
    known = stack.load(file)
    api = api_of(known)
    found = catalogue.identify(api, dataset)
    lines = list(logs.fetch(api, found))
    verified = logs.verify(lines, _pinned(known, key), found)
    if out is not None:
        if out.exists():
            logs.require_continuation(lines, logs.read(out))
        stack.write_private(out, "".join(f"{line}\n" for line in lines))
    _print(verified, as_json)


def verify_evidence(
    evidence_file: Annotated[Path, typer.Argument(help="What was written with --out.")],
    dataset: Annotated[str, typer.Option(help="Id of the dataset that it must be of.")] = "",
    key: Key = None,
    file: StackFile = None,
    as_json: AsJson = False,
) -> None:
    """Verify a file of evidence, without the platform."""
    lines = logs.read(evidence_file)
    pem = _read(key) if key is not None else _pinned(stack.load(file), None)
    _print(logs.verify(lines, pem, dataset), as_json)


def _pinned(known: stack.Stack, key: Path | None) -> str:
    """The key to trust: a file's, or the stack's; never one that comes with the evidence."""
    if key is not None:
        return _read(key)
    if not known.evidence_public_key:
        raise CommandError(
            "The stack's outputs have no evidence_public_key: name it with --key FILE."
        )
    return known.evidence_public_key


def _read(key: Path) -> str:
    try:
        return key.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{key} can't be read: {error}") from None


def _what(record: dict[str, Any]) -> str:
    source = record.get("imported")
    return f"{record['event']} ({source})" if source else record["event"]


def _resources(record: dict[str, Any]) -> str:
    named = record.get("resources") or [record.get("resource", "")]
    return named[0] if len(named) == 1 else f"{named[0]} and {len(named) - 1} more"


def _print(found: Evidence, as_json: bool) -> None:
    if as_json:
        result = {"dataset": found.dataset, "sealed": found.sealed, "records": found.records}
        print(json.dumps(result, ensure_ascii=False))
        return
    table = Table("number", "time", "what", "who", "whom", "for", "reason", "resource")
    for each in found.records:
        row = (
            *(str(each["number"]), each["time"], _what(each), each["user"]),
            *(", ".join(each.get("grantees", ())), ", ".join(each.get("purposes", ()))),
            *(each.get("reason", ""), _resources(each)),
        )
        table.add_row(*map(escape, row))
    Console().print(table)
    notes.print(
        f"Verified: {len(found.records)} records of dataset {found.dataset}, sealed {found.sealed}."
    )
