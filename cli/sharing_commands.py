"""The commands about sharing: share, ask, list, approve, decline, revoke; attach and detach."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import datasets as catalogue
from . import sharing, stack
from .options import AsJson, DatasetName, StackFile, api_of

User = Annotated[str | None, typer.Option(help="User name.")]
Group = Annotated[str | None, typer.Option(help="User group.")]
Challenge = Annotated[str | None, typer.Option(help="Number of a challenge.")]
Until = Annotated[str, typer.Option(help="Last day or instant of it, such as 2026-06-30.")]
Purpose = Annotated[str, typer.Option(help="What for: a code of FHIR's PurposeOfUse.")]
Since = Annotated[str | None, typer.Option("--from", help="First day or instant. Default: now.")]
Reason = Annotated[str, typer.Option(help="Why, in a sentence.")]
Number = Annotated[str, typer.Option("--challenge", help="Number of the challenge.")]
DatasetId = Annotated[str, typer.Argument(help="Id of the dataset, as its owner told you.")]
ShareId = Annotated[str, typer.Argument(help="Id of the share or request.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    consents = (share, ask, shares, requests, approve, decline, revoke)
    for command in (*consents, attach, detach, attached):
        app.command()(command)


def share(
    dataset: DatasetName,
    until: Until,
    user: User = None,
    group: Group = None,
    challenge: Challenge = None,
    since: Since = None,
    purpose: Purpose = "HRESCH",
    reason: Reason = "",
    file: StackFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a user, a group or a challenge read a dataset of yours."""
    whom, api = sharing.grantee(user, group, challenge), api_of(stack.load(file))
    found = catalogue.require(api, dataset).id
    made = sharing.write(api, found, whom, (since, until), purpose, status="active", reason=reason)
    _print([made], as_json)


def ask(
    dataset: DatasetId,
    until: Until,
    reason: Reason,
    user: User = None,
    group: Group = None,
    challenge: Challenge = None,
    since: Since = None,
    purpose: Purpose = "HRESCH",
    file: StackFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask the owner of a dataset to share it with you, your group or your challenge."""
    whom, period = sharing.grantee(user, group, challenge), (since, until)
    api = api_of(stack.load(file))
    made = sharing.write(api, dataset, whom, period, purpose, status="proposed", reason=reason)
    _print([made], as_json)


def shares(dataset: DatasetName, file: StackFile = None, as_json: AsJson = False) -> None:
    """List whom a dataset is or was shared with."""
    api = api_of(stack.load(file))
    _print(sharing.of_dataset(api, catalogue.require(api, dataset).id), as_json)


def requests(file: StackFile = None, as_json: AsJson = False) -> None:
    """List what nobody has answered yet: what you are asked for, and what you asked for."""
    _print(sharing.requests(api_of(stack.load(file))), as_json)


def approve(
    request: ShareId, reason: Reason = "", file: StackFile = None, as_json: AsJson = False
) -> None:
    """Share what you are asked for, as it was asked for."""
    _print([sharing.decide(api_of(stack.load(file)), request, "active", reason)], as_json)


def decline(
    request: ShareId, reason: Reason, file: StackFile = None, as_json: AsJson = False
) -> None:
    """Refuse what you are asked for, and say why."""
    _print([sharing.decide(api_of(stack.load(file)), request, "rejected", reason)], as_json)


def revoke(
    share: ShareId, reason: Reason = "", file: StackFile = None, as_json: AsJson = False
) -> None:
    """End a share at once."""
    _print([sharing.decide(api_of(stack.load(file)), share, "inactive", reason)], as_json)


def attach(dataset: DatasetId, challenge: Number, file: StackFile = None) -> None:
    """Have the evaluation of a challenge that you host use a dataset, as its owner lets it."""
    sharing.attach(api_of(stack.load(file)), dataset, challenge)


def detach(dataset: DatasetId, challenge: Number, file: StackFile = None) -> None:
    """Have the evaluation of a challenge that you host no longer use a dataset."""
    sharing.detach(api_of(stack.load(file)), dataset, challenge)


def attached(challenge: Number, file: StackFile = None, as_json: AsJson = False) -> None:
    """List the datasets that the evaluation of a challenge uses."""
    found = sharing.attached(api_of(stack.load(file)), challenge)
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return
    table = Table("dataset", "attached", "readable until")
    for each in found:
        table.add_row(*map(escape, (each.dataset, each.since, each.until or "not now")))
    Console().print(table)


def _print(found: Iterable[sharing.Share], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return
    table = Table("id", "dataset", "status", "who", "from", "until", "for", "reason")
    for each in found:
        who, purposes = ", ".join(each.grantees), ", ".join(each.purposes)
        row = (each.id, each.dataset, each.status, who, each.start, each.end, purposes, each.reason)
        table.add_row(*map(escape, row))
    Console().print(table)
