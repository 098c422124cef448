"""The operations $attach, $detach and $attached: which datasets a challenge's evaluation uses.

A challenge's hosts say which, its owner's grant says whether: without one that holds, nothing is
attached, and what is attached isn't readable by the evaluation.
"""

from __future__ import annotations

from typing import Any

from functions.api.interactions import success
from functions.shared import access, attachments, evidence, grants, store
from functions.shared.errors import FhirError, quote
from functions.shared.evidence import Event, Kind
from functions.shared.http import Request, Response, fhir
from functions.shared.identity import Identity
from functions.shared.resources import instant
from functions.shared.store import Action, ActionRefused


def attach(request: Request, identity: Identity, dataset: str) -> Response:
    """200, also when it is attached already.

    403 without the owner's grant, whether or not there is such a dataset; 422 for one too many.
    """
    challenge = _challenge(request, identity)
    name = grants.challenge(challenge)
    consents = sorted(grant.consent for grant in grants.held(name) if grant.dataset == dataset)
    if not consents:
        raise FhirError(
            403,
            "forbidden",
            f"Challenge {challenge} has no grant on a dataset of this id that holds now. Ask its"
            f" owner: with a Consent of status proposed for the challenge.",
        )
    if attachments.is_attached(challenge, dataset):
        return fhir(200, success("It is attached already."))
    event = _event(identity, dataset, "attached", name, consents=consents)
    try:
        _write(event, attachments.attaching(challenge, dataset))
    except ActionRefused as refused:
        if refused.index == 1:
            raise FhirError(
                422,
                "business-rule",
                f"A challenge has at most {attachments.MOST} datasets: detach one first.",
            ) from None
    return fhir(200, success())


def detach(request: Request, identity: Identity, dataset: str) -> Response:
    """200, also when it isn't attached."""
    challenge = _challenge(request, identity)
    if not attachments.is_attached(challenge, dataset):
        return fhir(200, success("It isn't attached."))
    try:
        _write(
            _event(identity, dataset, "detached", grants.challenge(challenge)),
            attachments.detaching(challenge, dataset),
        )
    except ActionRefused as refused:
        if refused.index != 0:
            raise
    return fhir(200, success())


def attached(request: Request, identity: Identity) -> Response:
    """200 with a Parameters: a `dataset` for each, readable until when, or not at all."""
    challenge = _challenge(request, identity)
    until = grants.ends(grants.held(grants.challenge(challenge)))
    found = [each for each in attachments.of(challenge) if each.is_attached]
    told = [_told(each.dataset, each.since, until.get(each.dataset)) for each in found]
    parameters = {"parameter": told} if told else {}
    return fhir(200, {"resourceType": "Parameters", **parameters})


def _told(dataset: str, since: str, until: int | None) -> dict[str, Any]:
    parts = [
        {"name": "reference", "valueReference": {"reference": f"DocumentReference/{dataset}"}},
        {"name": "since", "valueInstant": since},
        {"name": "readable", "valueBoolean": until is not None},
    ]
    if until is not None:
        parts.append({"name": "until", "valueInstant": grants.text(until)})
    return {"name": "dataset", "part": parts}


def _challenge(request: Request, identity: Identity) -> str:
    """The challenge that is asked about. 403 for who doesn't act for it and is no administrator."""
    number = dict(request.query).get("challenge", "")
    if not attachments.CHALLENGE.fullmatch(number):
        raise FhirError(400, "value", f"challenge is the number of one, not {quote(number)}.")
    if not access.sees_all_owners(identity) and grants.challenge(number) not in grants.grantees(
        identity
    ):
        raise FhirError(
            403,
            "forbidden",
            f"You don't act for challenge {number}: that takes the user group"
            f" {grants.CHALLENGE_GROUP}{number}.",
        )
    return number


def _event(identity: Identity, dataset: str, kind: Kind, name: str, **details: Any) -> Event:
    return Event(
        dataset,
        kind,
        identity.subject,
        identity.username,
        instant(),
        {"grantees": [name], **details},
    )


def _write(event: Event, actions: list[Action]) -> None:
    evidence.recorded([event], lambda records: store.write_all([], [*actions, *records]))
