"""Grants: which datasets of others a user may see at this moment.

Items of the control table, written by a Consent in the transaction that writes its version:

    grant#user#{user name}     {dataset}#{consent}    is_active; start, until: microseconds
    grant#group#{group}        the same
    grant#challenge#{number}   the same
    grant#subject#{subject}    the same, of somebody who asked: never active
    dataset#{id}               state                  is_withdrawn

The index and the table of versions know owners and datasets, no grants: those are resolved for each
request, so that they begin and end without a new version of anything. `expires` removes an item
long after its grant ended; until then its holder can read the Consent and the reason in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.shared import access
from functions.shared.access import PRIVATE_TYPES
from functions.shared.clients import dynamodb, queried
from functions.shared.identity import Identity
from functions.shared.items import Version
from functions.shared.store import Action

CHALLENGE_GROUP = "challenge-"
"""A user group of this name, with a challenge's number behind it, acts for that challenge."""

KEPT_SECONDS = 90 * 24 * 3600
"""How long a grant's item outlives it."""

PREFIX = "grant#"
STATES = "dataset#"
"""Beginnings of the partitions."""

_BATCH = 100  # keys of a BatchGetItem: AWS's limit
_PARALLEL = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a Consent gives to one grantee: `user#{name}`, `group#{name}`, `challenge#{number}`.

    It holds from `start` to `until`, microseconds since 1970, both included.
    """

    grantee: str
    dataset: str
    consent: str
    is_active: bool
    start: int
    until: int


@dataclass(frozen=True, slots=True)
class Reach:
    """What one user may see of the private types, at the time of a request."""

    subject: str
    is_unlimited: bool = False
    datasets: frozenset[str] = frozenset()
    """Ids of others' datasets."""
    consents: frozenset[str] = frozenset()
    """Ids of others' Consents: those that name the user, and those by which the user asked."""
    grounds: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """Dataset -> ids of the Consents that share it with the user now."""

    def shows(self, pk: str, owner: str, dataset: str) -> bool:
        """Whether the user may see a version of that key, owner and dataset."""
        kind, _, resource_id = pk.partition("/")
        if kind not in PRIVATE_TYPES or self.is_unlimited or (owner and owner == self.subject):
            return True
        match kind:
            case "DocumentReference":
                return resource_id in self.datasets
            case "Consent":
                return resource_id in self.consents
        return bool(dataset) and dataset in self.datasets


def grantees(identity: Identity) -> frozenset[str]:
    """The names by which grants mean a user."""
    challenges = {
        challenge(group.removeprefix(CHALLENGE_GROUP))
        for group in identity.groups
        if group.startswith(CHALLENGE_GROUP)
    }
    groups = {f"group#{group}" for group in identity.groups}
    return frozenset({f"user#{identity.username}"} | groups | challenges)


def own(identity: Identity) -> Reach:
    """A reach without what others granted: what a user may change."""
    return Reach(identity.subject, access.sees_all_owners(identity))


def reach(identity: Identity) -> Reach:
    """What a user may see now; the filter of searches, histories and exports. Reads the table."""
    if access.sees_all_owners(identity):
        return own(identity)
    names = [*sorted(grantees(identity)), f"subject#{identity.subject}"]
    with ThreadPoolExecutor(min(_PARALLEL, len(names))) as pool:
        found = [grant for grants in pool.map(_given, names) for grant in grants]
    current = _current(found)
    datasets = frozenset(grant.dataset for grant in current)
    return Reach(
        identity.subject,
        datasets=datasets,
        consents=frozenset(grant.consent for grant in found),
        grounds={
            dataset: tuple(grant.consent for grant in current if grant.dataset == dataset)
            for dataset in datasets
        },
    )


def require_sight(identity: Identity, version: Version) -> tuple[str, ...]:
    """403 on a private resource of somebody else that isn't shared with the user now.

    Returns the ids of the Consents that share a dataset's, if the user needs them to see it.
    """
    kind, _, resource_id = version.pk.partition("/")
    if access.owns(identity, kind, version.owner):  # most reads: nothing has to be looked up
        return ()
    seen = reach(identity)
    if not seen.shows(version.pk, version.owner, version.dataset):
        access.require_owner(identity, kind, version.owner)
    dataset = resource_id if kind == "DocumentReference" else version.dataset
    return seen.grounds.get(dataset, ())


def held(grantee: str) -> list[Grant]:
    """The grants to one name that hold now. Reads the table."""
    return _current(_given(grantee))


def ends(found: Iterable[Grant]) -> dict[str, int]:
    """Dataset -> when the last of its grants ends, in microseconds since 1970."""
    last: dict[str, int] = {}
    for grant in found:
        last[grant.dataset] = max(grant.until, last.get(grant.dataset, 0))
    return last


def challenge(number: str) -> str:
    """The name by which grants mean a challenge."""
    return f"challenge#{number}"


def text(microseconds: int) -> str:
    """The beginning or the end of a grant as an instant."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def put(grant: Grant) -> Action:
    """The action that makes a grant, or says what has become of it."""
    return {
        "Put": {
            "TableName": os.environ["CONTROL_TABLE_NAME"],
            "Item": {
                "pk": {"S": f"{PREFIX}{grant.grantee}"},
                "sk": {"S": f"{grant.dataset}#{grant.consent}"},
                "is_active": {"BOOL": grant.is_active},
                "start": {"N": str(grant.start)},
                "until": {"N": str(grant.until)},
                "expires": {"N": str(grant.until // 1_000_000 + KEPT_SECONDS)},
            },
        }
    }


def put_state(dataset: str, *, is_withdrawn: bool) -> Action:
    """The action that says whether grants on a dataset count at all."""
    return {
        "Put": {
            "TableName": os.environ["CONTROL_TABLE_NAME"],
            "Item": {**_state_key(dataset), "is_withdrawn": {"BOOL": is_withdrawn}},
        }
    }


def _current(found: Iterable[Grant]) -> list[Grant]:
    """Those that are active and in their period, of datasets that aren't withdrawn."""
    now = _microseconds()
    current = [grant for grant in found if grant.is_active and grant.start <= now <= grant.until]
    withdrawn = _withdrawn({grant.dataset for grant in current})
    return [grant for grant in current if grant.dataset not in withdrawn]


def _given(grantee: str) -> list[Grant]:
    """All grants to one name, consistently read: one that was revoked a moment ago is."""
    found = queried(
        TableName=os.environ["CONTROL_TABLE_NAME"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{PREFIX}{grantee}"}},
        ConsistentRead=True,
    )
    return [_grant(grantee, item) for item in found]


def _grant(grantee: str, item: dict[str, Any]) -> Grant:
    dataset, _, consent = item["sk"]["S"].partition("#")
    return Grant(
        grantee,
        dataset,
        consent,
        item["is_active"]["BOOL"],
        int(item["start"]["N"]),
        int(item["until"]["N"]),
    )


def _withdrawn(datasets: Iterable[str]) -> frozenset[str]:
    wanted = sorted(datasets)
    return frozenset(
        item["pk"]["S"].removeprefix(STATES)
        for start in range(0, len(wanted), _BATCH)
        for item in _states(wanted[start : start + _BATCH])
        if item["is_withdrawn"]["BOOL"]
    )


def _states(datasets: list[str]) -> Iterator[dict[str, Any]]:
    table = os.environ["CONTROL_TABLE_NAME"]
    keys = [_state_key(dataset) for dataset in datasets]
    request: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
    while request:
        answer = dynamodb().batch_get_item(RequestItems=request)
        yield from answer["Responses"].get(table, ())
        request = answer.get("UnprocessedKeys") or {}


def _state_key(dataset: str) -> dict[str, Any]:
    return {"pk": {"S": f"{STATES}{dataset}"}, "sk": {"S": "state"}}


def _microseconds() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)
