"""The wheel: complete, typed, and enough to build the Python examples with."""

import ast
import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.reuse.conftest import EXAMPLES, ROOT, run

HERE = Path(__file__).parent
DEPLOYED = ("functions", "portal/site", "charts", "images", "runner")
COMMAND = "cli"
OTHER_LANGUAGES = {
    *("PulumiPlugin.yaml", "__main__.py", "_package.py", "requirements.txt", "schema.json"),
}
UPLOADS = {"mfa": "ON", "functionPlatform": "lambda"}
OWN_NETWORK = {
    "vpcId": "vpc-1",
    "privateSubnetIds": '["subnet-1", "subnet-2", "subnet-3"]',
    "userPoolArn": "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_a",
    "issuer": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a",
    "clientId": "client",
    "functionPlatform": "lambda",
}


def test_everything_that_is_deployed_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [
        path for top in (*DEPLOYED, COMMAND) for path in (ROOT / top).rglob("*") if path.is_file()
    ]
    files += [path for path in (ROOT / "components").iterdir() if path.is_file()]
    expected = {
        f"ai4h_platform/{path.relative_to(ROOT).as_posix()}"
        for path in files
        if path.suffix not in (".in", ".pyc")
        and not (path.parent.name == "components" and path.name in OTHER_LANGUAGES)
    }
    assert inside == expected


def test_every_component_can_be_imported(consumer: Path) -> None:
    """From the wheel alone: no module may look for `components`, which is the repository's name."""
    program = "import ai4h_platform.components as c; [getattr(c, name) for name in c.__all__]"
    run(consumer, "-I", "-c", program, cwd=consumer.parent)


def test_both_packages_ask_for_the_same() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "components" / "requirements.txt").read_text().splitlines()
    assert project["dependencies"] == [line for line in lines if not line.startswith("#")]


def build(consumer: Path, example: str, config: dict[str, str]) -> dict[str, Any]:
    strict = ROOT / "tests" / "graph" / "strict.py"
    program = EXAMPLES / example / "__main__.py"
    script = HERE / "build_example.py"
    made = json.loads(
        run(consumer, "-I", script, strict, program, json.dumps(config), cwd=consumer.parent)
    )
    assert made["preview"] == made["update"]
    assert Path(made["package"]).is_relative_to(consumer.parents[1])
    return made["update"]


def test_fifteen_lines_make_sign_in_and_uploads(consumer: Path) -> None:
    made = build(consumer, "python", UPLOADS)
    assert {
        *("ai4h:index:AuthPool auth", "ai4h:index:UploadBucket uploads"),
        *("aws:cognito/userPool:UserPool auth-users", "aws:s3/bucket:Bucket uploads-datasets"),
        "aws:lambda/function:Function uploads-api",
    } < set(made["resources"])
    program = (EXAMPLES / "python" / "__main__.py").read_text()
    comment = ast.get_docstring(ast.parse(program)) or ""
    lines = [line for line in program.splitlines() if line.strip() and comment not in line]
    assert len(lines) <= 15


def test_a_network_and_users_of_ones_own(consumer: Path) -> None:
    made = build(consumer, "own-network", OWN_NETWORK)
    kinds = {resource.split()[0] for resource in made["resources"]}
    assert {"ai4h:index:DataStore", "aws:opensearch/domain:Domain"} < kinds
    assert not {"ai4h:index:AuthPool", "ai4h:index:Network", "aws:ec2/vpc:Vpc"} & kinds


@pytest.mark.parametrize("example", ["python", "own-network"])
def test_examples_pass_a_type_checker(consumer: Path, example: str, tmp_path: Path) -> None:
    program = (EXAMPLES / example / "__main__.py").read_text()
    (tmp_path / "right.py").write_text(program)
    (tmp_path / "wrong.py").write_text(program.replace('"issuer"', '"isuser"'))
    report = json.loads(check(tmp_path, consumer))
    mistakes = {Path(found["file"]).name for found in report["generalDiagnostics"]}
    assert mistakes == {"wrong.py"}


def check(folder: Path, python: Path) -> str:
    """Pyright's report, whose exit code says whether it found something."""
    pyright = ROOT / ".venv" / "bin" / "pyright"
    command = f'"{pyright}" --outputjson --pythonpath "{python}" "{folder}" || test $? = 1'
    return run("sh", "-c", command, cwd=folder)
