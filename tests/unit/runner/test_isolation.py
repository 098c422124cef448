"""The probe of a model's network: it must notice whatever is open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import __main__ as program
from runner import isolation
from runner.isolation import Way, await_closed, connection, credentials, open_ways, question, ways
from runner.outcomes import OPEN_NETWORK_CODE


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture
def resolver() -> Iterator[tuple[str, int]]:
    """Answers every question with its first two bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            asked, who = server.recvfrom(512)
            assert asked.endswith(b"\x07example\x03org\x00\x00\x01\x00\x01")
            server.sendto(asked[:2], who)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()
        thread.join(5)


def test_what_listens_is_open(listener: tuple[str, int]) -> None:
    assert connection("it", listener).is_open()


def test_what_refuses_is_reached_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    assert connection("it", address).is_open()
    assert question("it", address).is_open()


def test_what_answers_questions_is_open(resolver: tuple[str, int]) -> None:
    assert question("it", resolver).is_open()


def test_silence_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "TIMEOUT_SECONDS", 0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        assert not question("it", mute.getsockname()).is_open()
    # A queue of none, taken: further connections get no answer, as with a dropped packet.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(full.getsockname())
            assert not connection("it", full.getsockname()).is_open()


def test_every_way_is_tried(tmp_path: Path) -> None:
    resolvers = tmp_path / "resolv.conf"
    resolvers.write_text("search svc.cluster.local\nnameserver 10.100.0.10\noptions ndots:5\n")
    names = [way.name for way in ways({"KUBERNETES_SERVICE_HOST": "10.100.0.1"}, resolvers)]
    assert names == [
        "internet",
        "instance metadata",
        "pod identity",
        "Kubernetes API",
        "DNS server 10.100.0.10 by TCP",
        "DNS server 10.100.0.10 by UDP",
        "DNS server of the internet by UDP",
    ]


def test_waits_until_policies_take_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "RETRY_SECONDS", 0)
    answers = iter([True, False])
    assert await_closed([Way("it", lambda: next(answers))], 60) == []
    assert await_closed([Way("it", lambda: True), Way("other", lambda: False)], 0) == ["it"]
    assert open_ways([Way("it", lambda: False)]) == []


def test_credentials_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in credentials() if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    assert credentials(tmp_path / "none") == []
    token = tmp_path / "eks.amazonaws.com" / "token"
    token.parent.mkdir()
    token.write_text("x")
    assert credentials(tmp_path) == [str(token)]
    monkeypatch.setenv("AWS_ROLE_ARN", "arn")
    assert credentials(tmp_path) == [str(token), "AWS_ROLE_ARN"]


@pytest.mark.parametrize(
    ("is_open", "secret", "code"),
    [(False, [], 0), (True, [], OPEN_NETWORK_CODE), (False, ["token"], OPEN_NETWORK_CODE)],
)
def test_the_command_fails_when_anything_is_open(
    is_open: bool, secret: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "ways", lambda _: [Way("it", lambda: is_open)])
    monkeypatch.setattr(isolation, "credentials", lambda: secret)
    assert program.isolated(0) == code
