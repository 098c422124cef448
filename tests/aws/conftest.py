"""A stack deployed to AWS, which only `pytest -m aws` talks to; nothing here runs in CI.

    pulumi stack output --json --show-secrets > stack.json
    AI4H_STACK=stack.json AI4H_USERNAME=… AI4H_PASSWORD=… AI4H_CODE=… pytest -m aws

The user is one of the group `practitioner`, and the code their authenticator app's at the moment;
the AWS credentials are the environment's, and may read the stack's resources.
"""

import json
import os
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from cli.api import Api
from cli.sign_in import login
from cli.stack import Stack, load

TIMEOUT = 35  # seconds: the gateway itself gives up after 29


def _needed(name: str) -> str:
    if name not in os.environ:
        pytest.skip(f"{name} isn't set: see tests/aws/conftest.py")
    return os.environ[name]


@pytest.fixture(scope="session")
def outputs() -> dict[str, Any]:
    """The stack's outputs."""
    found = json.loads(Path(_needed("AI4H_STACK")).read_text())
    if "aws_endpoint_url" in found:
        pytest.skip("AI4H_STACK names a local platform, which can't show this")
    return found


@pytest.fixture(scope="session")
def stack(outputs: dict[str, Any]) -> Stack:
    """What the command line knows of it."""
    return load(Path(_needed("AI4H_STACK")))


@pytest.fixture(scope="session")
def token(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The user's ID token, by SRP; kept away from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AI4H_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        username, password = _needed("AI4H_USERNAME"), _needed("AI4H_PASSWORD")
        return login(stack, username, password, lambda _: _needed("AI4H_CODE")).id_token


@pytest.fixture(scope="session")
def api(stack: Stack, token: str) -> Api:
    """The data API, by way of the edge, as the user."""
    return Api(stack, lambda _refused: token)


@pytest.fixture(scope="session")
def http(stack: Stack, token: str) -> requests.Session:
    """A plain client with the user's token and key."""
    session = requests.Session()
    session.headers.update(
        {
            "Authorization": f"Bearer {token}",
            "x-api-key": stack.api_key,
            "Content-Type": "application/fhir+json",
        }
    )
    return session


@pytest.fixture(scope="session")
def aws(stack: Stack) -> boto3.Session:
    """The environment's AWS credentials, in the stack's region."""
    return boto3.Session(region_name=stack.region)
