"""What an owner decides about a dataset, and what goes with it in the same transaction.

A write of a Consent makes or ends grants; a write of a DocumentReference says whether grants on the
dataset count. Both are evidence. Every write of these types comes through `decided`, whichever
interaction it is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from functions.api import consents
from functions.api.consents import Terms
from functions.shared import access, evidence, grants, store
from functions.shared.errors import FhirError
from functions.shared.evidence import Event, Kind
from functions.shared.grants import Grant
from functions.shared.http import Request
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.resources import parse
from functions.shared.store import Action

_DECIDING = frozenset({"Consent", "DocumentReference"})
_KINDS: Mapping[str, Kind] = {
    "proposed": "asked",
    "active": "granted",
    "rejected": "declined",
    "inactive": "revoked",
    "entered-in-error": "revoked",
}


class Decided(NamedTuple):
    """The version to write, and the actions and the evidence that belong into its transaction."""

    version: Version
    actions: list[Action]
    events: tuple[Event, ...] = ()


def decided(
    request: Request, identity: Identity, last: Version | None, version: Version
) -> Decided:
    """What a write that follows `last` comes to. Other types are written as they are.

    403 for a decision about somebody else's dataset, 422 for a Consent that can't be enforced.
    """
    kind = version.pk.partition("/")[0]
    if kind not in _DECIDING:
        return Decided(version, [])
    if kind == "Consent":
        return _consent(request, identity, last, version)
    dataset = _id(version)
    if last is None:
        return Decided(version, [], (evidence.event(identity, dataset, "created", version),))
    is_withdrawn = version.deleted or parse(version.body).get("status") != "current"
    done: Kind = "withdrawn" if is_withdrawn else "changed"
    event = evidence.event(identity, dataset, "deleted" if version.deleted else done, version)
    return Decided(version, [grants.put_state(dataset, is_withdrawn=is_withdrawn)], (event,))


def _consent(
    request: Request, identity: Identity, last: Version | None, version: Version
) -> Decided:
    if last and last.dataset and version.deleted:
        ended = replace(_terms_of(last), status="inactive")
        return Decided(version, _actions(ended, version), _events(identity, ended, version))
    if version.deleted:
        return Decided(version, [])
    resource = parse(version.body)
    dataset = consents.dataset_in(resource, request.base_url)
    if last is not None and last.dataset != dataset:
        raise _settled("The dataset of a Consent doesn't change")
    if not dataset:
        return Decided(version, [])
    terms = consents.terms(resource, dataset)
    owner = _owner(identity, terms)
    if last is not None:
        if last.deleted or _terms_of(last).grantees != terms.grantees:
            raise _settled("Who is meant by a Consent doesn't change")
        return Decided(version, _actions(terms, version), _events(identity, terms, version))
    actions = _actions(terms, version)
    if owner != identity.subject:
        asked = Grant(f"subject#{identity.subject}", dataset, _id(version), False, 0, terms.until)
        actions.append(grants.put(asked))
    events = _events(identity, terms, version)
    return Decided(replace(version, owner=owner, dataset=dataset), actions, events)


def _owner(identity: Identity, terms: Terms) -> str:
    """Whose Consent it is: the dataset's owner's, who decides. 403 for others who would.

    A request for a dataset that doesn't exist stays with whoever asks, and is answered as any
    other: it doesn't tell which datasets there are.
    """
    dataset = store.latest(f"DocumentReference/{terms.dataset}", body=False)
    owner = "" if dataset is None or dataset.deleted or dataset.erased else dataset.owner
    if owner and access.owns(identity, "DocumentReference", owner):
        return owner
    if terms.status != "proposed":
        raise FhirError(
            403,
            "forbidden",
            "You have no dataset of this id. Ask its owner: with a Consent of status proposed.",
            expression=["Consent.status"],
        )
    if not terms.grantees <= grants.grantees(identity):
        raise FhirError(
            403,
            "forbidden",
            "Ask for yourself, for a group that you are in, or for a challenge that you act for.",
            expression=["Consent.provision.actor"],
        )
    return owner or identity.subject


def _actions(terms: Terms, version: Version) -> list[Action]:
    return [grants.put(grant) for grant in terms.grants(_id(version))]


def _events(identity: Identity, terms: Terms, version: Version) -> tuple[Event, ...]:
    """What a Consent is in the evidence of its dataset, if there is or was one."""
    if store.latest(f"DocumentReference/{terms.dataset}", body=False) is None:
        return ()
    event = evidence.event(
        identity,
        terms.dataset,
        _KINDS[terms.status],
        version,
        grantees=sorted(terms.grantees),
        start=grants.text(terms.start),
        end=grants.text(terms.until),
        purposes=list(terms.purposes),
        reason=terms.reason,
    )
    return (event,)


def _terms_of(last: Version) -> Terms:
    stored = last if last.body else store.read(last.pk, last.version)
    if stored is None or not stored.body:
        raise _settled("A Consent that was deleted stays so")
    return consents.terms(parse(stored.body), last.dataset)


def _id(version: Version) -> str:
    return version.pk.partition("/")[2]


def _settled(diagnostics: str) -> FhirError:
    return FhirError(422, "business-rule", f"{diagnostics}: make another one.")
