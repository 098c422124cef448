"""A Consent that shares a dataset: what it says, and to whom.

https://hl7.org/fhir/R4/consent.html. The dataset is the only `provision.data`, a DocumentReference;
who is meant stands in `provision.actor` by identifier: Practitioner (user name), Group (user group)
or Organization (number of a challenge). Whatever would narrow the permission in a way that isn't
enforced here is refused rather than overlooked. A Consent that names no dataset is none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.search.intervals import date_bounds
from functions.shared.errors import FhirError, quote
from functions.shared.grants import Grant
from functions.shared.resources import ID

REASON = "urn:ai4h:consent:reason"
"""URL of the extension that says why: why somebody asks, or why the owner decided so."""

MAX_ACTORS = 20
MAX_REASON = 2_000
"""Characters: a reason is kept in the dataset's evidence."""

STATUSES = frozenset({"proposed", "active", "rejected", "inactive", "entered-in-error"})

_ACTORS = {"Practitioner": "user", "Group": "group", "Organization": "challenge"}
_PROVISION = frozenset({"id", "type", "period", "actor", "purpose", "data"})
_MAX_NAME = 128
_DATASET = "DocumentReference/"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a Consent says of its dataset. `start` and `until`: microseconds since 1970."""

    dataset: str
    status: str
    grantees: frozenset[str]
    start: int
    until: int
    purposes: tuple[str, ...]
    reason: str

    def grants(self, consent: str) -> list[Grant]:
        """What the Consent of that id gives, one for each grantee."""
        active = self.status == "active"
        return [
            Grant(grantee, self.dataset, consent, active, self.start, self.until)
            for grantee in sorted(self.grantees)
        ]


def dataset_in(consent: Mapping[str, Any], base_url: str) -> str:
    """Id of the dataset that a valid Consent names; "" when it names none. 422 for several."""
    data = consent.get("provision", {}).get("data", [])
    named = [each["reference"].get("reference", "").removeprefix(f"{base_url}/") for each in data]
    datasets = [name.removeprefix(_DATASET) for name in named if name.startswith(_DATASET)]
    if not datasets:
        return ""
    if len(data) > 1 or not ID.fullmatch(datasets[0]):
        raise _refused("data", "A Consent shares one dataset: data has its DocumentReference only.")
    return datasets[0]


def terms(consent: Mapping[str, Any], dataset: str) -> Terms:
    """What a valid Consent that names the dataset says. 422, with the place, for what can't be."""
    status, provision = consent.get("status", ""), consent["provision"]
    if status not in STATUSES:
        raise FhirError(
            422,
            "value",
            f"The status of a Consent on a dataset is one of: {', '.join(sorted(STATUSES))}.",
            expression=["Consent.status"],
        )
    if "modifierExtension" in consent:
        raise _unknown("Consent.modifierExtension")
    for name in provision:
        if name not in _PROVISION:
            raise _unknown(f"Consent.provision.{name}")
    if provision.get("type", "permit") != "permit":
        raise _refused("type", "A Consent on a dataset permits: without it nothing is permitted.")
    start, until = _period(provision)
    found = Terms(
        dataset=dataset,
        status=status,
        grantees=_grantees(provision),
        start=start,
        until=until,
        purposes=tuple(purpose.get("code", "") for purpose in provision.get("purpose", ())),
        reason=reason_in(consent),
    )
    if len(found.reason) > MAX_REASON:
        raise FhirError(
            422,
            "too-long",
            f"A reason has at most {MAX_REASON} characters.",
            expression=["Consent.extension"],
        )
    if len(found.purposes) > MAX_ACTORS or any(len(p) > _MAX_NAME for p in found.purposes):
        raise _refused("purpose", f"Name at most {MAX_ACTORS} purposes, each by a short code.")
    if not any(found.purposes):
        raise _refused("purpose", "Say what for: a purpose with a code, such as HRESCH.")
    if status == "rejected" and not found.reason:
        raise FhirError(
            422, "required", f"Say why: an extension {REASON}.", expression=["Consent.extension"]
        )
    return found


def reason_in(consent: Mapping[str, Any]) -> str:
    """The reason that a Consent carries."""
    extensions = consent.get("extension", ())
    found = (each.get("valueString", "") for each in extensions if each.get("url") == REASON)
    return next(found, "")


def _period(provision: Mapping[str, Any]) -> tuple[int, int]:
    period = provision.get("period", {})
    try:
        start = int(date_bounds(period["start"]).low)
        until = int(date_bounds(period["end"]).high)
    except (KeyError, ValueError, OverflowError):
        raise _refused("period", "Say from when to when: a period with start and end.") from None
    if until < start:
        raise _refused("period", "The period ends before it starts.")
    return start, until


def _grantees(provision: Mapping[str, Any]) -> frozenset[str]:
    actors = provision.get("actor", [])
    if not 1 <= len(actors) <= MAX_ACTORS:
        raise _refused("actor", f"Say with whom: 1 to {MAX_ACTORS} actors.")
    return frozenset(_grantee(number, each["reference"]) for number, each in enumerate(actors))


def _grantee(number: int, reference: Mapping[str, Any]) -> str:
    kind, name = reference.get("type", ""), reference.get("identifier", {}).get("value", "")
    if "reference" in reference or kind not in _ACTORS or not 0 < len(name) <= _MAX_NAME:
        raise _refused(
            f"actor[{number}].reference",
            f"An actor has a type ({', '.join(_ACTORS)}) and an identifier with a value.",
        )
    return f"{_ACTORS[kind]}#{name}"


def _refused(element: str, diagnostics: str) -> FhirError:
    return FhirError(422, "invalid", diagnostics, expression=[f"Consent.provision.{element}"])


def _unknown(path: str) -> FhirError:
    return FhirError(
        422,
        "not-supported",
        f"{quote(path)} isn't enforced on datasets, and would be overlooked: leave it out.",
        expression=[path],
    )
