"""Other projects, from the wheel alone: what the Python examples make on the local AWS works.

With the commands that docs/component-user.md names, but for the host of Python programs.
"""

import base64
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from pycognito import AWSSRP

from local.servers import ACCOUNT, REGION
from tests.engine.conftest import LocalAws
from tests.engine.workspace import environment_of_projects
from tests.reuse.conftest import EXAMPLES, run

DEADLINE_SECONDS = 20
USER, PASSWORD = "someone", "Correct-horse-7-battery"
CONTENT = os.urandom(1_000_000)
DIGEST = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()

Outputs = dict[str, Any]
Deploy = Callable[..., Outputs]


@pytest.fixture(scope="module")
def deploy(
    pulumi: Path, local_aws: LocalAws, consumer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Deploy:
    """Deploys an example to the local AWS that runs; its outputs."""
    folder = tmp_path_factory.mktemp("projects")
    home = folder / "home"
    run(sys.executable, "-m", "local.provider", "install", home, local_aws.state.root)
    settings = environment_of_projects(home, pulumi)

    def up(example: str, **config: Any) -> Outputs:
        project = folder / example
        shutil.copytree(EXAMPLES / example, project)
        (project / ".venv").symlink_to(consumer.parents[1])
        if config:
            named = {f"ai4h-example-{example}:{key}": value for key, value in config.items()}
            (project / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": named}))
        *_, shown = (
            run("pulumi", *command.split(), cwd=project, **settings)
            for command in (
                "stack init local",
                "up --yes --skip-preview",
                "stack output --json --show-secrets",
            )
        )
        return json.loads(shown)

    return up


@pytest.fixture(scope="module")
def uploads(deploy: Deploy) -> Outputs:
    return deploy("python")


@pytest.fixture(scope="module")
def token(local_aws: LocalAws, uploads: Outputs) -> str:
    """The ID token of a new user of that project."""
    cognito = local_aws.clients.of("cognito-idp")
    pool = uploads["user_pool_id"]
    user = {"UserPoolId": pool, "Username": USER}
    cognito.admin_create_user(**user, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)
    for group in ("data-owner", "practitioner"):
        cognito.admin_add_user_to_group(**user, GroupName=group)
    proof = AWSSRP(USER, PASSWORD, pool, uploads["cli_client_id"], client=cognito)
    return proof.authenticate_user()["AuthenticationResult"]["IdToken"]


class Api:
    """The API of a project."""

    def __init__(self, aws_url: str, outputs: Outputs, token: str) -> None:
        host, _, stage = outputs["api_url"].removeprefix("https://").partition("/")
        self._address = f"{aws_url}/_aws/execute-api/{host.partition('.')[0]}/{stage}"
        self._headers = {"Authorization": token, "x-api-key": outputs["api_keys"]["default"]}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(self._address + path, json=body, headers=self._headers, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def get_until(self, path: str, there: Callable[[Any], bool]) -> dict[str, Any]:
        """What is at a path once a condition holds."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            answer = requests.get(self._address + path, headers=self._headers, timeout=30)
            if there(answer.json()):
                return answer.json()
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)


def test_fifteen_lines_take_a_file(local_aws: LocalAws, uploads: Outputs, token: str) -> None:
    api = Api(local_aws.clients.endpoint_url, uploads, token)
    binary = {"resourceType": "Binary", "contentType": "application/octet-stream"}
    made = api.post("/Binary", binary | {"size": len(CONTENT), "sha256": DIGEST})
    sent = requests.put(made["presignedPutUrl"], CONTENT, headers=made["uploadHeaders"], timeout=10)
    assert sent.status_code == 200, sent.text

    found = api.get_until(f"/Binary/{made['id']}", lambda it: it["uploadStatus"] == "available")
    assert (found["size"], found["sha256"]) == (len(CONTENT), DIGEST)
    assert requests.get(found["presignedGetUrl"], timeout=10).content == CONTENT


def test_data_in_a_network_and_with_users_of_ones_own(
    local_aws: LocalAws, deploy: Deploy, uploads: Outputs, token: str
) -> None:
    pool = uploads["user_pool_id"]
    data = deploy(
        "own-network",
        vpcId="vpc-1",
        privateSubnetIds=["subnet-1"],
        userPoolArn=f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{pool}",
        issuer=f"https://cognito-idp.{REGION}.amazonaws.com/{pool}",
        clientId=uploads["cli_client_id"],
        functionPlatform="host",
    )
    api = Api(local_aws.clients.endpoint_url, data, token)
    made = api.post("/Patient", {"resourceType": "Patient", "name": [{"family": "Rosamund"}]})
    found = api.get_until("/Patient?family=rosamund", lambda it: "entry" in it)
    assert found["entry"][0]["resource"]["id"] == made["id"]
