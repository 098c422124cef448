"""Sharing: Consents by which a dataset is shared or asked for, what is decided, and attachments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from .api import Api
from .datasets import search
from .errors import CommandError

REASON = "urn:ai4h:consent:reason"

_CODES = "http://terminology.hl7.org/CodeSystem/"
_ACTORS = {"user": "Practitioner", "group": "Group", "challenge": "Organization"}


@dataclass(frozen=True)
class Share:
    """A Consent on a dataset as people see it; `start` and `end` as they were written."""

    id: str
    dataset: str
    status: str
    grantees: list[str]
    """`user jo`, `group challenge-host`, `challenge 42`."""
    start: str
    end: str
    purposes: list[str]
    reason: str


def grantee(user: str | None, group: str | None, challenge: str | None) -> tuple[str, str]:
    """(kind, name) of the only one that is given. CommandError for none or several."""
    given = [
        (kind, name)
        for kind, name in (("user", user), ("group", group), ("challenge", challenge))
        if name
    ]
    if len(given) != 1:
        raise CommandError("Say with whom: one of --user, --group, --challenge.")
    return given[0]


def write(
    api: Api,
    dataset: str,
    whom: tuple[str, str],
    period: tuple[str | None, str],
    purpose: str,
    *,
    status: str,
    reason: str,
) -> Share:
    """A new Consent on a dataset's id: `active` to share it, `proposed` to ask for it.

    `period`: from (None: now) and until, as FHIR writes dates and instants.
    """
    kind, name = whom
    start = period[0] or datetime.now(UTC).isoformat(timespec="seconds")
    consent = {
        "resourceType": "Consent",
        "status": status,
        "scope": {"coding": [{"system": f"{_CODES}consentscope", "code": "research"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "57016-8"}]}],
        "policyRule": {"coding": [{"system": f"{_CODES}v3-ActCode", "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "period": {"start": start, "end": period[1]},
            "actor": [
                {
                    "role": {"coding": [{"system": f"{_CODES}v3-RoleCode", "code": "IRCP"}]},
                    "reference": {"type": _ACTORS[kind], "identifier": {"value": name}},
                }
            ],
            "purpose": [{"system": f"{_CODES}v3-ActReason", "code": purpose}],
            "data": [
                {
                    "meaning": "instance",
                    "reference": {"reference": f"DocumentReference/{dataset}"},
                }
            ],
        },
    }
    return _share(api.call("POST", "/Consent", _with_reason(consent, reason)))


def of_dataset(api: Api, dataset: str) -> Iterator[Share]:
    """Whom a dataset is, was or is to be shared with, newest first."""
    terms = [("data", f"DocumentReference/{dataset}"), ("_sort", "-_lastUpdated")]
    for consent in search(api, "Consent", terms):
        yield _share(consent)


def requests(api: Api) -> Iterator[Share]:
    """Requests that nobody has answered: to the user and by the user, newest first."""
    for consent in search(api, "Consent", [("status", "proposed"), ("_sort", "-_lastUpdated")]):
        if consent.get("provision", {}).get("data"):
            yield _share(consent)


def decide(api: Api, share: str, status: str, reason: str = "") -> Share:
    """Gives a Consent another status, unless somebody changed it in the meantime."""
    consent = api.call("GET", f"/Consent/{share}")
    changed = _with_reason(consent, reason) | {"status": status}
    matched = {"If-Match": f'W/"{consent["meta"]["versionId"]}"'}
    return _share(api.call("PUT", f"/Consent/{share}", changed, matched))


@dataclass(frozen=True)
class Attachment:
    """A dataset that a challenge's evaluation uses, and until when its owner lets it ("": not)."""

    dataset: str
    since: str
    until: str


def attach(api: Api, dataset: str, challenge: str) -> None:
    """Has a challenge's evaluation use a dataset, which its owner must have shared with it."""
    api.call("POST", f"/DocumentReference/{dataset}/$attach?{urlencode({'challenge': challenge})}")


def detach(api: Api, dataset: str, challenge: str) -> None:
    """Has a challenge's evaluation no longer use a dataset."""
    api.call("POST", f"/DocumentReference/{dataset}/$detach?{urlencode({'challenge': challenge})}")


def attached(api: Api, challenge: str) -> list[Attachment]:
    """What a challenge's evaluation uses."""
    query = urlencode({"challenge": challenge})
    found = api.call("GET", f"/DocumentReference/$attached?{query}").get("parameter", ())
    told = [{part["name"]: part for part in each["part"]} for each in found]
    return [
        Attachment(
            dataset=parts["reference"]["valueReference"]["reference"].rpartition("/")[2],
            since=parts["since"]["valueInstant"],
            until=parts.get("until", {}).get("valueInstant", ""),
        )
        for parts in told
    ]


def _with_reason(consent: dict[str, Any], reason: str) -> dict[str, Any]:
    if not reason:
        return consent
    kept = [each for each in consent.get("extension", ()) if each.get("url") != REASON]
    return consent | {"extension": [*kept, {"url": REASON, "valueString": reason}]}


def _share(consent: dict[str, Any]) -> Share:
    provision, kinds = consent["provision"], {type_: kind for kind, type_ in _ACTORS.items()}
    actors = [actor["reference"] for actor in provision.get("actor", ())]
    period = provision.get("period", {})
    reasons = [e["valueString"] for e in consent.get("extension", ()) if e.get("url") == REASON]
    return Share(
        id=consent["id"],
        dataset=provision["data"][0]["reference"]["reference"].rpartition("/")[2],
        status=consent["status"],
        grantees=[f"{kinds[actor['type']]} {actor['identifier']['value']}" for actor in actors],
        start=period.get("start", ""),
        end=period.get("end", ""),
        purposes=[purpose["code"] for purpose in provision.get("purpose", ())],
        reason=reasons[0] if reasons else "",
    )
