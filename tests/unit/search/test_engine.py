"""The engine's client: what passes, what is refused for good, and what is signed."""

from typing import Any

import pytest
import urllib3

from functions.search.engine import Engine, EngineRefusedError, EngineUnavailableError
from tests.scripted_engine import ScriptedEngine, refusal


def test_searches_take_no_partial_result() -> None:
    engine = ScriptedEngine((200, {"timed_out": False, "hits": {}}))
    assert engine.search("resources", {"size": 1}) == {"timed_out": False, "hits": {}}
    assert engine.asked[0].path == "/resources/_search?allow_partial_search_results=false"
    with pytest.raises(EngineUnavailableError):
        ScriptedEngine((200, {"timed_out": True})).search("resources", {})


@pytest.mark.parametrize(
    "answer",
    [
        (429, {}),
        (502, {}),
        (503, refusal("cluster_manager_not_discovered_exception", 503)[1]),
        refusal("search_phase_execution_exception", 500),
        refusal("cluster_block_exception", 403),
        urllib3.exceptions.ConnectTimeoutError(),
        urllib3.exceptions.ReadTimeoutError(None, "/", "late"),  # type: ignore[arg-type]
    ],
)
def test_what_passes_is_unavailable(answer: Any) -> None:
    with pytest.raises(EngineUnavailableError):
        ScriptedEngine(answer).call("GET", "/x")


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (refusal("parsing_exception"), 400, "parsing_exception"),
        (refusal("too_many_nested_clauses", 500), 500, "too_many_nested_clauses"),
        (refusal("index_not_found_exception", 404), 404, "index_not_found_exception"),
        ((403, {"error": "no permissions"}), 403, ""),
        ((413, {}), 413, ""),
    ],
)
def test_what_is_refused_for_good(answer: Any, status: int, kind: str) -> None:
    with pytest.raises(EngineRefusedError) as refused:
        ScriptedEngine(answer).call("POST", "/x", {})
    assert (refused.value.status, refused.value.kind) == (status, kind)


def test_a_kept_connection_that_was_closed_is_opened_again_once() -> None:
    lost = urllib3.exceptions.ProtocolError("closed")
    engine = ScriptedEngine(lost, (200, {"ok": 1}))
    assert engine.call("GET", "/x") == {"ok": 1}
    with pytest.raises(EngineUnavailableError):
        ScriptedEngine(lost, lost).call("GET", "/x")


def test_only_an_aws_domain_gets_signed_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "session"),
    ):
        monkeypatch.setenv(name, value)
    plain = ScriptedEngine((200, {}))
    plain.call("GET", "/x")
    signed = ScriptedEngine((200, {}), endpoint="https://vpc-x.eu-central-1.es.amazonaws.com")
    signed.call("POST", "/x", {"a": 1})

    assert not plain.is_secured
    assert plain.headers == [{"Content-Type": "application/json"}]
    (headers,) = signed.headers
    assert signed.is_secured
    assert "/eu-central-1/es/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "session"


def test_nobody_waits_long_for_an_engine_that_is_not_there() -> None:
    with pytest.raises(EngineUnavailableError):
        Engine("http://127.0.0.1:9").call("GET", "/")
