"""Lambda functions as components make them, their code, and the layer they share."""

import base64
import hashlib
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import _layer
from components._functions import Functions, code_files, code_hash
from components._keys import encryption_key
from components._layer import FunctionPlatform, LayerError, build_layer
from components._policy_documents import allow
from tests.graph.strict import Graph, evaluate

FUNCTION = "aws:lambda/function:Function"
POLICY = "aws:iam/rolePolicy:RolePolicy"
BUCKET = "arn:aws:s3:::bucket"


def build(*, in_vpc: bool, preview: bool = False) -> Graph:
    def program() -> None:
        key = encryption_key("key", "Key", opts=pulumi.ResourceOptions())
        functions = Functions(
            "data",
            platform=FunctionPlatform.HOST,
            key=key,
            log_retention_days=30,
            vpc_id="vpc-1" if in_vpc else None,
            subnet_ids=["subnet-a"] if in_vpc else None,
            opts=pulumi.ResourceOptions(),
        )
        functions.function(
            "work",
            "functions.index_admin.handler.handler",
            description="Works",
            environment={"NAME": "value"},
            statements=[allow(["s3:GetObject"], f"{BUCKET}/*")],
            timeout=10,
            memory=256,
        )

    return evaluate(program, preview=preview)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(in_vpc=True)


def test_same_resources_in_preview_and_update(graph: Graph) -> None:
    assert build(in_vpc=True, preview=True).urns == graph.urns


def test_a_function_reports_what_it_does_and_what_failed(graph: Graph) -> None:
    function = graph.one(FUNCTION)
    queue, logs = graph.one("aws:sqs/queue:Queue"), graph.one("aws:cloudwatch/logGroup:LogGroup")
    assert graph.waits_for(function, queue)
    assert function.inputs["deadLetterConfig"]["targetArn"].endswith(":data-failures/arn")
    assert function.inputs["loggingConfig"]["logGroup"] == "data-work-logs-name"
    assert function.inputs["tracingConfig"] == {"mode": "Active"}
    assert logs.inputs["retentionInDays"] == 30
    assert {logs.inputs["kmsKeyId"], queue.inputs["kmsMasterKeyId"]} == {
        function.inputs["kmsKeyArn"]
    }


def statements(graph: Graph) -> list[dict[str, Any]]:
    return json.loads(graph.one(POLICY).inputs["policy"])["Statement"]


def test_a_function_may_do_little(graph: Graph) -> None:
    assert graph.one(POLICY).urn in graph.one(FUNCTION).depends_on
    everywhere = set()
    for statement in statements(graph):
        assert not [action for action in statement["Action"] if "*" in action]
        if statement["Resource"] == "*" and statement["Effect"] == "Allow":
            everywhere |= set(statement["Action"])
    assert {action.split(":")[0] for action in everywhere} == {"ec2", "xray"}
    assert allow(["s3:GetObject"], f"{BUCKET}/*") in statements(graph)
    trust = json.loads(graph.one("aws:iam/role:Role").inputs["assumeRolePolicy"])
    assert [s["Principal"] for s in trust["Statement"]] == [{"Service": "lambda.amazonaws.com"}]


def test_code_may_not_use_what_lambda_needs_for_the_network(graph: Graph) -> None:
    [refused] = [s for s in statements(graph) if s["Effect"] == "Deny"]
    assert refused["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}
    granted = [
        s["Action"] for s in statements(graph) if "ec2:CreateNetworkInterface" in s["Action"]
    ]
    assert granted == [refused["Action"]] * 2


def test_in_a_network_only_https_goes_out(graph: Graph) -> None:
    [rule] = graph.all("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (443, 443)
    assert graph.one(FUNCTION).inputs["vpcConfig"] == {
        "subnetIds": ["subnet-a"],
        "securityGroupIds": [rule.inputs["securityGroupId"]],
    }


def test_without_a_network_nothing_of_it() -> None:
    graph = build(in_vpc=False)
    assert "vpcConfig" not in graph.one(FUNCTION).inputs
    assert not [r for r in graph if r.type.startswith(("aws:ec2/", "aws:vpc/"))]
    assert "ec2:" not in graph.one(POLICY).inputs["policy"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of functions: `api` needs `shared`, nothing needs `other`."""
    root = tmp_path / "functions"
    for name, text in {
        "api/handler.py": "from functions.shared import store\n",
        "api/table.json": "{}",
        "api/notes.md": "not shipped",
        "api/__pycache__/handler.pyc": "",
        "shared/store.py": "    import functions.shared\n",
        "other/handler.py": "import functions.api\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_code_is_the_handlers_package_and_what_it_imports(tree: Path) -> None:
    names = list(code_files("functions.api.handler.handler", tree))
    assert names == [
        f"functions/{n}" for n in ("api/handler.py", "api/table.json", "shared/store.py")
    ]
    assert "functions/api/table.json" in code_files("functions.other.handler.handler", tree)
    with pytest.raises(FileNotFoundError, match="no module for the handler"):
        code_files("functions.none.handler.handler", tree)


def test_hash_of_code_tells_every_change(tree: Path) -> None:
    def current() -> str:
        return code_hash(code_files("functions.api.handler.handler", tree))

    hashes = {current(), current()}
    assert len(hashes) == 1
    (tree / "shared/store.py").write_text("A = 1\n")
    hashes.add(current())
    (tree / "api/table.json").rename(tree / "api/other.json")
    hashes.add(current())
    assert len(hashes) == 3


def test_platforms() -> None:
    assert (FunctionPlatform.LAMBDA.runtime, FunctionPlatform.LAMBDA.architecture) == (
        "python3.13",
        "arm64",
    )
    assert FunctionPlatform.HOST.runtime.startswith("python3.")


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requirements that name one wheel on this disk, by hash; the cache is empty.

    With uv as in an environment without pip, since pip takes seconds to start.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setattr(_layer.importlib.util, "find_spec", lambda name: None)
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        "tiny.py": "A = 1\n",
        "tiny-1.dist-info/METADATA": about,
        "tiny-1.dist-info/WHEEL": kind,
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        record = "".join(
            f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items()
        )
        archive.writestr("tiny-1.dist-info/RECORD", record + "tiny-1.dist-info/RECORD,,\n")
    lock = tmp_path / "requirements.txt"
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock.write_text(f"tiny @ {wheel.as_uri()} --hash=sha256:{sha256}\n")
    return lock


def digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_layer_is_built_once_and_the_same_everywhere(
    lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = build_layer(FunctionPlatform.LAMBDA, lock)
    with zipfile.ZipFile(layer) as archive:
        assert archive.read("python/tiny.py") == b"A = 1\n"
        assert not [name for name in archive.namelist() if name.endswith(("RECORD", "INSTALLER"))]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    again = build_layer(FunctionPlatform.LAMBDA, lock)
    assert again != layer
    assert again.read_bytes() == layer.read_bytes()
    monkeypatch.setattr(_layer, "_install", None)
    assert build_layer(FunctionPlatform.LAMBDA, lock) == again


def test_layer_of_altered_packages_is_refused(lock: Path) -> None:
    lock.write_text(lock.read_text().rpartition(":")[0] + ":" + "0" * 64 + "\n")
    with pytest.raises(LayerError, match=r"could not be installed for python3.13 on arm64"):
        build_layer(FunctionPlatform.LAMBDA, lock)
    with pytest.raises(LayerError):  # nothing was left that passes for a layer
        build_layer(FunctionPlatform.LAMBDA, lock)
