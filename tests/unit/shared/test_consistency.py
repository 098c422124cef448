"""Consistency tokens: what a write says of itself, and what a forger can't say."""

import base64
import zlib

import pytest

from functions.shared import consistency
from functions.shared.errors import FhirError
from functions.shared.items import Version
from functions.shared.resources import new_id


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSISTENCY_KEY", "one key")


def version(pk: str, number: int) -> Version:
    return Version(pk, number, b"{}", "owner", "2026-01-01T00:00:00.000Z")


def token(*versions: Version) -> str:
    return consistency.header(versions)[consistency.HEADER]


def test_a_token_names_the_versions_that_were_written() -> None:
    first = token(version("Patient/a", 1), version("Observation/b", 12))
    second = token(version("Patient/a", 3))
    assert consistency.versions_of(first) == {"Patient/a": 1, "Observation/b": 12}
    for both in (f"{first}, {second}", f"{second},{first}"):
        assert consistency.versions_of(both) == {"Patient/a": 3, "Observation/b": 12}


def test_a_transaction_fits_into_a_header() -> None:
    written = [version(f"MedicationAdministration/{new_id()}", 1) for _ in range(100)]
    assert len(consistency.versions_of(token(*written))) == 100
    assert consistency.header(written * 2_000 + [version(new_id(), n) for n in range(500)]) == {}
    assert consistency.header([]) == {}


def test_only_this_service_makes_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    good = token(version("Patient/a", 1))
    monkeypatch.setenv("CONSISTENCY_KEY", "another key")
    foreign = token(version("Patient/a", 1))
    monkeypatch.setenv("CONSISTENCY_KEY", "one key")
    unsigned = base64.urlsafe_b64encode(b"\0" * 16 + zlib.compress(b"Consent/x/1")).decode()
    changed = good[:-2] + ("AA" if good[-2:] != "AA" else "BB")
    for forged in (
        foreign,
        unsigned,
        changed,
        good + ",",
        "ü",
        "A",
        "",
        "A" * 9_000,
        "a b",
        good[:9],
    ):
        with pytest.raises(FhirError) as refused:
            consistency.versions_of(forged)
        assert refused.value.status == 400, forged
