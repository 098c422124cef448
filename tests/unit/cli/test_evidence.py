"""Evidence: what the functions chain verifies, and whatever else is done to it doesn't."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.errors import CommandError
from cli.evidence import Tampered, require_continuation, verify
from functions.shared.evidence import FIRST, Event, Head, canonical, digest, extended

KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
events = st.builds(
    Event,
    dataset=st.just("d"),
    kind=st.sampled_from(["asked", "granted", "revoked", "read"]),
    subject=texts,
    user=texts,
    time=st.just("2026-01-31T12:00:00.000Z"),
    details=st.dictionaries(st.sampled_from(["reason", "resource"]), texts),
)


def public(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def seal(head: Head, dataset: str = "d", key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """As functions/evidence makes it, with KMS's part done here."""
    content: dict[str, Any] = {
        "algorithm": "ECDSA_SHA_256",
        "count": head.count,
        "dataset": dataset,
        "hash": head.hash,
        "key": "k",
        "time": "2026-01-31T12:01:00.000Z",
    }
    signature = key.sign(canonical(content).encode(), ec.ECDSA(hashes.SHA256()))
    return canonical(content | {"signature": base64.b64encode(signature).decode()})


def log(done: list[Event], dataset: str = "d", key: ec.EllipticCurvePrivateKey = KEY) -> list[str]:
    steps = list(extended(Head(0, FIRST), done))
    head = steps[-1][0] if steps else Head(0, FIRST)
    return [*(line for _, line in steps), seal(head, dataset, key)]


@given(st.lists(events, max_size=6))
@settings(max_examples=30, deadline=None)
def test_what_was_chained_verifies(done: list[Event]) -> None:
    found = verify(log(done), public(KEY), "d")
    assert [(r["event"], r["user"]) for r in found.records] == [(e.kind, e.user) for e in done]


@given(st.lists(events, min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_no_line_can_be_changed_dropped_repeated_or_moved(
    done: list[Event], data: st.DataObject
) -> None:
    lines = log(done)
    place = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[place]) - 1))
    character = data.draw(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))
    changed = lines[place][:at] + character + lines[place][at + 1 :]
    moved = [*lines[:place], *lines[place + 1 :]]
    moved.insert(other, lines[place])
    for tampered in (
        [*lines[:place], changed, *lines[place + 1 :]],
        [*lines[:place], *lines[place + 1 :]],
        [*lines[:place], lines[place], *lines[place:]],
        moved,
    ):
        if tampered != lines:
            with pytest.raises(Tampered):
                verify(tampered, public(KEY))


def event(user: str, dataset: str = "d") -> Event:
    return Event(dataset, "read", "s", user, "2026-01-31T12:00:00.000Z", {"reason": "r"})


LINES = log([event("a"), event("b"), event("c"), event("d")])
SEAL = json.loads(LINES[-1])


def altered(place: int, **members: Any) -> str:
    return canonical(json.loads(LINES[place - 1]) | members)


def chained(*changed: Event) -> list[str]:
    """A log made anew without the signing key: all that its forger can't make is the seal."""
    return [*log([*changed])[:-1], LINES[-1]]


TAMPERED = {
    "altered": ([LINES[0], altered(2, reason="other"), *LINES[2:]], "Record 3.*record 2 was alter"),
    "last altered": ([*LINES[:3], altered(4, user="x"), LINES[4]], "Record 4, the last, was alter"),
    "middle dropped": ([*LINES[:1], *LINES[2:]], "Record 2 is missing"),
    "first dropped": (LINES[1:], "Record 1 is missing"),
    "tail dropped": ([*LINES[:3], LINES[4]], "seal is on 4 records, 3 are here: the last are miss"),
    "seal dropped": (LINES[:-1], "doesn't end with a seal"),
    "everything dropped": ([], "empty"),
    "only a seal": ([LINES[-1]], "seal is on 4 records, 0 are here"),
    "reordered": ([LINES[0], LINES[2], LINES[1], *LINES[3:]], "Record 2.*not in its place"),
    "renumbered": ([LINES[0], altered(3, number=2), altered(2, number=3), *LINES[3:]], "Record 2"),
    "inserted": ([*LINES[:2], LINES[1], *LINES[2:]], "Record 3.*not in its place"),
    "appended": (
        [*LINES[:4], log([event(u) for u in "abcde"])[4], LINES[4]],
        "seal is on 4 records, 5 are here: some were added",
    ),
    "made anew": (chained(*(event(u) for u in "abcx")), "Record 4, the last, was altered"),
    "of another dataset": (
        [*log([event("a", "e")])[:-1], *LINES[1:]],
        "Record 1 is of another dataset: e",
    ),
    "another dataset's seal": ([*LINES[:-1], seal(Head(4, SEAL["hash"]), "e")], "Record 1 is of"),
    "an older seal": ([*LINES[:-1], log([event("a")])[-1]], "seal is on 1 records, 4 are here"),
    "forged count": (
        [*LINES[:3], canonical(SEAL | {"count": 3, "hash": digest(LINES[2])})],
        "signature isn't one of the given key",
    ),
    "another key": (log([event("a")], key=OTHER), "signature isn't one of the given key"),
    "another algorithm": ([canonical(SEAL | {"algorithm": "none"})], "signature isn't one of"),
    "no signature": ([canonical(SEAL | {"signature": ""})], "signature isn't one of"),
    "written otherwise": (
        [LINES[0].replace(":", ": ", 1), *LINES[1:]],
        "Record 1 isn't written as",
    ),
    "a member twice": (
        [LINES[0].replace("{", '{"dataset":"d",', 1), *LINES[1:]],
        "Record 1 isn't written as",
    ),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_tampering_is_named(kind: str) -> None:
    lines, said = TAMPERED[kind]
    with pytest.raises(Tampered, match=said):
        verify(lines, public(KEY))


def test_evidence_is_of_the_dataset_asked_for_and_the_key_is_one() -> None:
    assert len(verify(LINES, public(KEY)).records) == 4
    with pytest.raises(Tampered, match="evidence of dataset d, not of e"):
        verify(LINES, public(KEY), "e")
    with pytest.raises(CommandError, match="isn't an elliptic public key"):
        verify(LINES, "-----BEGIN PUBLIC KEY-----")


def test_a_log_goes_on_from_what_was_fetched_before() -> None:
    earlier = log([event("a"), event("b")])
    require_continuation(LINES, earlier)
    require_continuation(LINES, LINES)
    with pytest.raises(Tampered, match="4 records were fetched before, 2 are there now"):
        require_continuation(earlier, LINES)
    with pytest.raises(Tampered, match="Record 2 isn't the one that was fetched before"):
        require_continuation(log([event("a"), event("x"), event("c")]), earlier)
