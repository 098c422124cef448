"""The platform that the end-to-end tests talk to, and the users that they talk as.

They start one of their own, in a folder of their own, with `python -m local`. AI4H_STACK names the
`stack.json` of a platform that is running already instead.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config

from tests.e2e.hospital import TOKEN, Hospital

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 35  # seconds: the gateway itself gives up after 29
POLL_SECONDS = 0.05


class Client(requests.Session):
    """A signed-in user of the API; paths are relative to it."""

    def __init__(self, stack: dict[str, Any], token: str) -> None:
        super().__init__()
        self.api_url = stack["api_url"]
        self.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "x-api-key": stack["api_key"],
                "Content-Type": "application/fhir+json",
            }
        )

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        return super().request(method, self.api_url + url, *args, **{"timeout": TIMEOUT, **options})

    def absolute(self, url: str) -> requests.Response:
        """Follows a link that the API gave."""
        assert url.startswith(self.api_url), url
        return self.get(url.removeprefix(self.api_url))


def sign_in(stack: dict[str, Any], group: str) -> str:
    """The ID token of a group's demo user."""
    cognito = boto3.client(
        "cognito-idp",
        region_name=stack["region"],
        endpoint_url=stack["aws_endpoint_url"],
        config=Config(signature_version=UNSIGNED),
    )
    user = stack["users"][group]
    answer = cognito.initiate_auth(
        ClientId=stack["cli_client_id"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["username"], "PASSWORD": user["password"]},
    )
    return answer["AuthenticationResult"]["IdToken"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """`stack.json` of the platform under test."""
    if named := os.environ.get("AI4H_STACK"):
        yield json.loads(Path(named).read_text())
        return
    state = tmp_path_factory.mktemp("platform")
    command = [sys.executable, "-m", "local"]
    place = ["--state", str(state)]
    started = subprocess.run(
        [*command, "up", "--detach", *place], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert started.returncode == 0, started.stdout + started.stderr
    yield json.loads((state / "stack.json").read_text())
    subprocess.run([*command, "down", *place], cwd=ROOT, capture_output=True, check=True)


@pytest.fixture(scope="session")
def token(stack: dict[str, Any]) -> Callable[[str], str]:
    """The ID token of a group's demo user, signed in once."""
    return cache(lambda group: sign_in(stack, group))


@pytest.fixture(scope="session")
def client(stack: dict[str, Any], token: Callable[[str], str]) -> Callable[[str], Client]:
    """A new session as the demo user of a group."""
    return lambda group: Client(stack, token(group))


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Polls until a condition holds; fails after the seconds given."""

    def wait(condition: Callable[[], bool], *, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not so within {seconds:.0f} s"
            time.sleep(POLL_SECONDS)

    return wait


@pytest.fixture(scope="session")
def hospital(client: Callable[[str], Any]) -> Hospital:
    """2,000 linked resources, all in the index."""
    api = client("practitioner")
    made = Hospital(api, patients=280)
    for start in range(0, len(made.tokens), 40):
        tokens = ",".join(made.tokens[start : start + 40])
        answer = api.get("/Patient?_count=0", headers={TOKEN: tokens})
        while answer.status_code == 503:
            answer = api.get("/Patient?_count=0", headers={TOKEN: tokens})
        assert answer.status_code == 200, answer.text
    return made
