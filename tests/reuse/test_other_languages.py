"""The component package: the plugin that serves it, and programs in other languages."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.reuse.conftest import EXAMPLES, ROOT, need, run
from tools.component_reference import SCHEMA
from tools.go_programs import program

TYPESCRIPT = EXAMPLES / "typescript"


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[str]:
    """Address of the plugin, started as Pulumi does: the folder, from elsewhere."""
    with subprocess.Popen(
        [sys.executable, ROOT / "components", "127.0.0.1:1"], cwd=tmp_path, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


def test_the_plugin_serves_the_schema(plugin: str) -> None:
    with grpc.insecure_channel(plugin) as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        answer = stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=30)
    assert json.loads(answer.schema) == json.loads(SCHEMA.read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript example with its packages and the SDK, as `pulumi install` leaves it."""
    npm = need("npm", "the TypeScript example")
    need("go", "the SDK of the TypeScript example")
    folder = tmp_path_factory.mktemp("typescript")
    for path in TYPESCRIPT.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    sdk = folder / "sdks" / "ai4h"
    run(program("generate_sdk"), "nodejs", SCHEMA, sdk)
    run(folder / "node_modules" / ".bin" / "tsc", "-p", sdk, cwd=folder)
    (folder / "node_modules" / "@pulumi" / "ai4h").symlink_to(sdk)
    return folder


MISTAKES = {
    "issuer: auth.issuer,": ("", "Property 'issuer' is missing"),
    "auth.userPoolArn": ("auth.userPool", "Property 'userPool' does not exist"),
    "ai4h.Mfa.OPTIONAL": ('"SOMETIMES"', "not assignable to type 'Mfa"),
    "5 * 1024 ** 3": ('"5 GiB"', "Type 'string' is not assignable to type 'number'"),
}


def test_typescript_compiles_and_mistakes_dont(project: Path) -> None:
    """One run of the compiler, which takes long, over the example and its wrong twins."""
    source = (project / "index.ts").read_text()
    for number, (right, (wrong, _)) in enumerate(MISTAKES.items()):
        assert right in source
        (project / f"wrong{number}.ts").write_text(source.replace(right, wrong))
    tsc = project / "node_modules" / ".bin" / "tsc"
    settings = json.loads((project / "tsconfig.json").read_text())
    settings["files"] += sorted(path.name for path in project.glob("wrong*.ts"))
    (project / "tsconfig.json").write_text(json.dumps(settings))
    done = subprocess.run([tsc, "--strict", "-p", "."], cwd=project, capture_output=True, text=True)
    problems = {text.split("(")[0]: text for text in re.split(r"\n(?=\S)", done.stdout.strip())}
    assert set(problems) == {f"wrong{number}.ts" for number in range(len(MISTAKES))}, done.stdout
    for number, (_, message) in enumerate(MISTAKES.values()):
        assert message in problems[f"wrong{number}.ts"]


def test_yaml_agrees_with_the_schema() -> None:
    """Types, names of inputs, what must be given, and the outputs that are referred to."""
    text = (EXAMPLES / "yaml" / "Pulumi.yaml").read_text()
    components = json.loads(SCHEMA.read_text())["resources"]
    resources: dict[str, Any] = {}
    for name, resource in yaml.safe_load(text)["resources"].items():
        package, kind = resource["type"].split(":")
        known = resources[name] = components[f"{package}:index:{kind}"]
        given = set(resource["properties"])
        assert set(known["requiredInputs"]) <= given <= set(known["inputProperties"])
    references = re.findall(r"\$\{(\w+)\.(\w+)\}", text)
    assert len(references) > 5
    assert all(output in resources[name]["properties"] for name, output in references)
