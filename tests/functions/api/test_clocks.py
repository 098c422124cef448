"""Machines whose clocks differ by minutes: what is newest is so by its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.functions.api.conftest import Client
from tests.functions.api.test_grants import DATASET, consent
from tests.functions.api.test_history import BASIC, listed

MINUTES = 5


@contextmanager
def clock(minutes: int) -> Iterator[None]:
    """The functions run on a machine whose clock is so far ahead, or behind."""
    from functions.shared import grants, resources

    class Moved(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(minutes=minutes)

    with pytest.MonkeyPatch.context() as patch:
        for module in (grants, resources):
            patch.setattr(module, "datetime", Moved)
        yield


def text(reply: Any) -> str:
    assert reply.status == 200, reply.text
    return reply.body["code"]["text"]


@pytest.mark.parametrize("minutes", [(MINUTES, 0, -MINUTES), (-MINUTES, 0, MINUTES)])
def test_versions_follow_each_other_by_number(api: Client, minutes: tuple[int, ...]) -> None:
    with clock(minutes[0]):
        made = api.make(BASIC)
    place = f"/Basic/{made['id']}"
    for number, moved in enumerate(minutes[1:], 1):
        changed = made | {"code": {"text": f"change {number}"}}
        with clock(moved):
            reply = api.call("PUT", place, changed, {"If-Match": f'W/"{number}"'})
        assert (reply.status, reply.headers["ETag"]) == (200, f'W/"{number + 1}"')
    assert text(api.get(place)) == "change 2"
    assert text(api.get(f"{place}/_history/2")) == "change 1"
    assert listed(api, f"{place}/_history") == [f"{place[1:]} {number}" for number in (3, 2, 1)]
    stale = api.call("PUT", place, made, {"If-Match": 'W/"2"'})
    assert stale.status == 412


def test_a_types_history_has_each_version_once_in_the_order_of_its_stamps(api: Client) -> None:
    made = api.make(BASIC)
    place = f"/Basic/{made['id']}"
    with clock(-MINUTES):
        assert api.call("PUT", place, made).status == 200
    found = [entry for entry in listed(api, "/Basic/_history") if made["id"] in entry]
    assert found == [f"{place[1:]} 1", f"{place[1:]} 2"], "the newest is the one stamped earlier"


def test_a_grant_begins_and_ends_by_the_clock_of_whoever_is_asked(
    client: Callable[..., Client],
) -> None:
    owner, reader = client("data-owner", subject="owner"), client(subject="reader")
    dataset = owner.make(DATASET)["id"]
    now = datetime.now(UTC)
    begin, end = ((now + timedelta(minutes=m)).isoformat(timespec="seconds") for m in (-1, 1))
    granted = consent(dataset)
    granted["provision"]["period"] = {"start": begin, "end": end}
    owner.make(granted)
    for minutes, status in ((0, 200), (MINUTES, 403), (-MINUTES, 403)):
        with clock(minutes):
            assert reader.get(f"/DocumentReference/{dataset}").status == status
