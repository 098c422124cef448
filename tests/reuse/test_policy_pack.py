"""The policy pack in an environment of its own, asked as the engine asks it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN

from policies.rules import ACCESS_BLOCK, BUCKET, LOGGING, RULES
from tests.reuse.conftest import ROOT, run

CLOSED: dict[str, Any] = dict.fromkeys(
    ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
)
URN = f"urn:pulumi:dev::ai4h-mvp::{ACCESS_BLOCK}::block"


@pytest.fixture(scope="module")
def analyzer(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    environment = tmp_path_factory.mktemp("pack") / ".venv"
    uv = ROOT / ".venv" / "bin" / "uv"
    python = environment / "bin" / "python"
    requirements = ROOT / "policies" / "requirements.txt"
    run(uv, "venv", "--quiet", f"--python={sys.executable}", environment)
    run(uv, "pip", "install", "--quiet", f"--python={python}", "-r", requirements)
    yield from serve(python)


def serve(python: Path) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """As Pulumi's Python host starts a pack: its port is the first line."""
    pack = subprocess.Popen(
        [python, "-u", "-m", "pulumi.policy", "127.0.0.1:1", ROOT / "policies"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    with pack:
        assert pack.stdout
        with grpc.insecure_channel(f"127.0.0.1:{int(pack.stdout.readline())}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
        pack.terminate()


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def refused(analyzer: analyzer_pb2_grpc.AnalyzerStub, inputs: dict[str, Any]) -> list[str]:
    """What stands in the way of a public access block with such inputs."""
    request = analyzer_pb2.AnalyzeRequest(
        type=ACCESS_BLOCK, properties=struct(inputs), urn=URN, name="block"
    )
    found = analyzer.Analyze(request, timeout=30).diagnostics
    assert {item.enforcementLevel for item in found} <= {analyzer_pb2.MANDATORY}
    return [item.message for item in found]


def test_a_bucket_that_is_opened_is_refused(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    (message,) = refused(analyzer, CLOSED | {"blockPublicPolicy": False})
    assert "blockPublicPolicy is false" in message
    assert refused(analyzer, CLOSED) == []
    assert refused(analyzer, CLOSED | {"blockPublicPolicy": UNKNOWN}) == []


def test_a_bucket_without_block_or_log_is_refused(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    bucket = analyzer_pb2.AnalyzerResource(type=BUCKET, urn="urn:bucket", name="bucket")
    request = analyzer_pb2.AnalyzeStackRequest(resources=[bucket])
    found = analyzer.AnalyzeStack(request, timeout=30).diagnostics
    assert {one.policyName for one in found} == {"public-access-blocked", "logged-buckets"}
    assert {one.urn for one in found} == {"urn:bucket"}
    assert {one.enforcementLevel for one in found} == {analyzer_pb2.MANDATORY}
    dependencies = {"bucket": analyzer_pb2.AnalyzerPropertyDependencies(urns=["urn:bucket"])}
    around = [
        analyzer_pb2.AnalyzerResource(
            type=kind, urn=f"urn:{kind}", name="around", propertyDependencies=dependencies
        )
        for kind in (ACCESS_BLOCK, LOGGING)
    ]
    request = analyzer_pb2.AnalyzeStackRequest(resources=[bucket, *around])
    assert not analyzer.AnalyzeStack(request, timeout=30).diagnostics


def test_the_pack_has_every_rule(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty(), timeout=30)
    assert {rule.name for rule in RULES} < {policy.name for policy in info.policies}
