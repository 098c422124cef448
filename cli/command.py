"""The command line: what users type, and what they see.

Exit codes: 0 done; 1 something failed or differs; 2 wrong usage; 3 not signed in; 4 the platform
refused; 5 it doesn't answer; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from . import croissant_commands, evidence_commands, sharing_commands, sign_in, stack
from . import datasets as catalogue
from . import download as downloads
from .errors import CommandError
from .files import files_below
from .journal import journal_of
from .options import AsJson, DatasetName, StackFile, api_of, notes
from .upload import Report, Upload

app = typer.Typer(
    name="ai4h",
    help="Datasets to the AI4H platform and back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Workers = Annotated[int, typer.Option(min=1, max=32, help="Transfers side by side.")]


@app.command()
def login(
    username: Annotated[str, typer.Option(prompt=True, help="Your user name.")],
    file: StackFile = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Sign in. The password never leaves this machine; tokens are kept in the system's keyring."""
    known = stack.load(file)
    password = sys.stdin.readline().rstrip("\n") if password_stdin else _asked("Password")
    tokens = sign_in.login(known, username, password, _asked)
    stack.remember(known)
    notes.print(f"Signed in as {escape(tokens.username)}.")


@app.command("second-factor")
def second_factor(
    username: Annotated[str, typer.Option(prompt=True, help="Your user name.")],
    file: StackFile = None,
) -> None:
    """Set up an authenticator app, whose code sign-in asks for from then on, and sign in."""
    known = stack.load(file)
    tokens = sign_in.set_up_app(known, username, _asked("Password"), _asked, _shown_to_app)
    stack.remember(known)
    notes.print(f"Set up. Signed in as {escape(tokens.username)}.")


@app.command()
def logout(file: StackFile = None) -> None:
    """Sign out: the kept tokens end here and at the platform."""
    sign_in.logout(stack.load(file))
    notes.print("Signed out.")


@app.command()
def upload(
    folder: Annotated[Path, typer.Argument(help="Folder whose files are sent.")],
    dataset: Annotated[str, typer.Option(help="Name (made if new) or id of the dataset.")],
    file: StackFile = None,
    workers: Workers = 4,
    as_json: AsJson = False,
) -> None:
    """Send a folder into a dataset. Run it again after any interruption: it goes on."""
    known = stack.load(file)
    api = api_of(known, workers)
    files = files_below(folder)
    journal = journal_of(known.api_url, folder, dataset)
    target = catalogue.find(api, journal.dataset or dataset)
    if target is None:
        target = catalogue.create(api, dataset)
    if journal.dataset is None:
        journal.note_dataset(target.id)
    with _bar("Sending", sum(each.size for each in files), shown=not as_json) as watch:
        report = Upload(api, target, journal, watch, workers).run(files)
    journal.close(finished=not report.failed)
    _reported(report, "sent", {"dataset": target.id}, as_json)


@app.command("datasets")
def list_datasets(file: StackFile = None, as_json: AsJson = False) -> None:
    """List your datasets, newest first."""
    found = [
        {"id": each.id, "name": each.name, "updated": each.resource["meta"]["lastUpdated"]}
        for each in catalogue.every(api_of(stack.load(file)))
    ]
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    table = Table("name", "id", "updated")
    for each in found:
        table.add_row(escape(each["name"]), each["id"], each["updated"])
    Console().print(table)


@app.command()
def download(
    dataset: DatasetName,
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    file: StackFile = None,
    workers: Workers = 4,
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset. Each file is verified; run it again after any interruption."""
    api = api_of(stack.load(file), workers)
    found = catalogue.require(api, dataset)
    with _bar("Fetching", found.size, shown=not as_json) as watch:
        report = downloads.fetch(api, found, folder, watch, workers)
    _reported(report, "fetched", {"dataset": found.id}, as_json)


@app.command()
def verify(
    dataset: DatasetName,
    folder: Annotated[Path | None, typer.Argument(help="Compare these files as well.")] = None,
    file: StackFile = None,
    workers: Workers = 4,
    as_json: AsJson = False,
) -> None:
    """Check what the platform keeps, and a folder if you name one, against the manifest."""
    api = api_of(stack.load(file), workers)
    found = catalogue.require(api, dataset)
    report = downloads.verify(api, found, folder, workers)
    _reported(report, "verified", {"dataset": found.id}, as_json)


@app.command()
def withdraw(dataset: DatasetName, file: StackFile = None) -> None:
    """Keep a dataset to yourself again, whatever was shared, until you restore it."""
    api = api_of(stack.load(file))
    catalogue.set_status(api, catalogue.require(api, dataset), "superseded")


@app.command()
def restore(dataset: DatasetName, file: StackFile = None) -> None:
    """Take a withdrawal back: what is shared and hasn't ended counts again."""
    api = api_of(stack.load(file))
    catalogue.set_status(api, catalogue.require(api, dataset), "current")


@app.command()
def delete(
    dataset: DatasetName,
    file: StackFile = None,
    sure: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Delete a dataset with the bytes of all its files, for good."""
    api = api_of(stack.load(file))
    found = catalogue.require(api, dataset)
    if not sure:
        typer.confirm(f"Delete {found.name!r} with {len(found.entries)} files?", abort=True)
    catalogue.delete(api, found)


@app.command()
def search(
    resource_type: Annotated[str, typer.Argument(help="FHIR type, such as Patient.")],
    terms: Annotated[
        list[str] | None, typer.Argument(help="Search parameters, such as name=mull.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most results.")] = 50,
    file: StackFile = None,
    as_json: AsJson = False,
) -> None:
    """Search the platform's FHIR resources."""
    pairs = [_pair(term) for term in terms or []]
    api = api_of(stack.load(file))
    found = list(islice(catalogue.search(api, resource_type, pairs), limit))
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    table = Table("id", "version", "updated")
    for resource in found:
        meta = resource["meta"]
        table.add_row(resource["id"], meta["versionId"], meta["lastUpdated"])
    Console().print(table)


sharing_commands.register(app)
evidence_commands.register(app)
croissant_commands.register(app)


def main() -> None:
    """Runs the command; errors become a line and an exit code."""
    try:
        app()
    except CommandError as error:
        notes.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
        sys.exit(error.exit_code)


class _Watch:
    def __init__(self, bar: Progress, total: int) -> None:
        self._bar, self._total = bar, total
        self._task = bar.add_task("", total=total)

    def moved(self, count: int, /) -> None:
        self._bar.advance(self._task, count)

    def spared(self, count: int, /) -> None:
        # Out of the total, not into the bar: the rate is that of bytes that really travel.
        self._total -= count
        self._bar.update(self._task, total=self._total)


@contextmanager
def _bar(what: str, total: int, *, shown: bool) -> Iterator[_Watch]:
    """Progress with rate and time left. Ctrl-C ends the command at once: nothing is lost."""
    columns = (
        *(TextColumn(what), BarColumn(), DownloadColumn(binary_units=True)),
        *(TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=notes, disable=not shown) as bar:

        def stop(signal_number: int, frame: object) -> None:
            bar.stop()
            notes.print("Stopped. Run the same command again to go on.")
            os._exit(128 + signal_number)  # threads in the middle of a transfer wouldn't end soon

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield _Watch(bar, total)
        finally:
            signal.signal(signal.SIGINT, before)


def _reported(report: Report, done: str, about: dict[str, Any], as_json: bool) -> None:
    """Prints what became of the files; exit code 1 when some failed."""
    if as_json:
        result = asdict(report)
        print(json.dumps({**about, done: result.pop("sent"), **result}, ensure_ascii=False))
    else:
        unchanged = f", {len(report.unchanged)} were there" if report.unchanged else ""
        print(f"{len(report.sent)} files {done}{unchanged}; dataset {about['dataset']}")
        for name, reason in sorted(report.failed.items()):
            notes.print(f"[red]{escape(name)}[/]: {escape(reason)}", soft_wrap=True)
    if report.failed:
        raise typer.Exit(1)


def _asked(what: str) -> str:
    return typer.prompt(what, hide_input=True, err=True)


def _shown_to_app(address: str) -> None:
    # On the terminal itself, not wrapped: whoever copies it needs all of it.
    typer.echo(
        f"Add this to your authenticator app, and keep it from others:\n\n{address}\n", err=True
    )


def _pair(term: str) -> tuple[str, str]:
    name, equals, value = term.partition("=")
    if not equals:
        raise typer.BadParameter(f"{term!r} isn't of the form name=value")
    return name, value
