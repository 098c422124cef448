"""Traces: each call of another service is a part of Lambda's trace, by datagrams to its daemon."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from functions.shared import tracing

TRACE, SEGMENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
SAMPLED = f"Root={TRACE};Parent={SEGMENT};Sampled=1;Lineage=1:a:0"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the daemon of a sampled invocation has heard so far."""
    daemon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    daemon.bind(("127.0.0.1", 0))
    daemon.settimeout(0.2)
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    tracing._daemon.cache_clear()

    def documents() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            try:
                header, document = daemon.recv(65_536).split(b"\n", 1)
            except TimeoutError:
                return found
            assert json.loads(header) == {"format": "json", "version": 1}
            found.append(json.loads(document))

    yield documents
    daemon.close()
    tracing._daemon.cache_clear()


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    with mock_aws():
        yield tracing.traced(boto3.client("dynamodb", region_name="eu-central-1"))


def test_a_call_is_a_part_of_the_trace(heard: Any, dynamodb: Any) -> None:
    dynamodb.list_tables()
    (part,) = heard()
    assert (part["trace_id"], part["parent_id"]) == (TRACE, SEGMENT)
    assert (part["type"], part["namespace"], part["name"]) == ("subsegment", "aws", "DynamoDB")
    assert part["aws"]["operation"] == "ListTables"
    assert part["aws"]["region"] == "eu-central-1"
    assert part["http"] == {"response": {"status": 200}}
    assert part["start_time"] <= part["end_time"]
    assert len(part["id"]) == 16
    assert not {"error", "fault", "throttle"} & part.keys()


def test_what_is_asked_for_stays_out_of_traces(heard: Any, dynamodb: Any) -> None:
    """Keys may name patients."""
    with pytest.raises(ClientError):
        dynamodb.get_item(TableName="versions", Key={"pk": {"S": "Patient/secret"}})
    (part,) = heard()
    assert part["error"] is True
    assert "secret" not in json.dumps(part)


def test_a_service_that_is_not_reached_is_a_fault(heard: Any) -> None:
    client = tracing.traced(
        boto3.client(
            "sqs",
            region_name="eu-central-1",
            endpoint_url="http://127.0.0.1:9",  # discard: nobody listens
            config=Config(retries={"total_max_attempts": 1}),
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
    )
    with pytest.raises(EndpointConnectionError):
        client.list_queues()
    (part,) = heard()
    assert part["fault"] is True
    assert part["name"] == "SQS"


def test_a_block_is_a_part_and_tells_whether_it_failed(heard: Any) -> None:
    with tracing.part("search"):
        pass
    with pytest.raises(ValueError, match="secret"), tracing.part("search"):
        raise ValueError("secret")
    good, bad = heard()
    assert good["namespace"] == bad["namespace"] == "remote"
    assert "fault" not in good
    assert bad["fault"] is True
    assert "secret" not in json.dumps(bad)


@pytest.mark.parametrize(
    "given", ["", f"Root={TRACE};Parent={SEGMENT};Sampled=0", "Root=1;Sampled=1"]
)
def test_what_is_not_sampled_is_not_sent(
    heard: Any, dynamodb: Any, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", given)
    dynamodb.list_tables()
    with tracing.part("search"):
        pass
    assert not heard()


def test_no_daemon_no_harm(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    monkeypatch.delenv("AWS_XRAY_DAEMON_ADDRESS", raising=False)
    tracing._daemon.cache_clear()
    assert dynamodb.list_tables()["TableNames"] == []
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:9")
    tracing._daemon.cache_clear()
    for _ in range(3):  # the kernel tells of a closed port at the next datagram
        assert dynamodb.list_tables()["TableNames"] == []
    tracing._daemon.cache_clear()


def test_every_client_of_a_function_is_traced() -> None:
    functions = Path(tracing.__file__).parents[1]
    for path in functions.rglob("*.py"):
        if path.name != "__main__.py":  # a person's command
            made = path.read_text().count("boto3.client(")
            assert made <= path.read_text().count("return traced("), path
