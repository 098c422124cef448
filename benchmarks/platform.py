"""The local platform: how soon it is ready, what it takes, and what a client sees of it."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import psutil
import requests
from botocore import UNSIGNED
from botocore.config import Config

from benchmarks.figures import Figure, Times, milliseconds

ROOT = Path(__file__).resolve().parents[1]
REQUESTS = 200
SEARCHES = 60


class Platform:
    """A platform of its own, started when it is first asked for. A context manager."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._stack: dict[str, Any] = {}
        self.ready = 0.0
        """Seconds until it was ready, with warm caches."""

    def __enter__(self) -> "Platform":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def stack(self) -> dict[str, Any]:
        """Its `stack.json`."""
        if not self._stack:
            self._stack, self.ready = self._open.enter_context(_started())
        return self._stack


@contextmanager
def _started() -> Iterator[tuple[dict[str, Any], float]]:
    with tempfile.TemporaryDirectory(prefix="ai4h-bench-") as state:

        def local(*arguments: str) -> None:
            command = [sys.executable, "-m", "local", *arguments, "--state", state]
            subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)

        local("up", "--detach")
        local("down")
        started = time.perf_counter()
        local("up", "--detach", "--fresh")
        ready = time.perf_counter() - started
        try:
            yield json.loads((Path(state) / "stack.json").read_text()), ready
        finally:
            local("down")


def figures(platform: Platform) -> Iterator[Figure]:
    stack = platform.stack
    yield Figure("platform ready, empty data, warm caches", "s", [platform.ready], at_most=45)
    yield from _api(stack)
    yield Figure("memory of the whole platform", "MB", [memory(stack)], at_most=1500)


def id_token(stack: dict[str, Any], group: str) -> str:
    """Of a group's demo user."""
    user = stack["users"][group]
    signed_in = boto3.client(
        "cognito-idp",
        region_name=stack["region"],
        endpoint_url=stack["aws_endpoint_url"],
        config=Config(signature_version=UNSIGNED),
    ).initiate_auth(
        ClientId=stack["cli_client_id"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["username"], "PASSWORD": user["password"]},
    )
    return signed_in["AuthenticationResult"]["IdToken"]


def _session(stack: dict[str, Any]) -> requests.Session:
    """A keep-alive HTTP session, signed in as a practitioner."""
    made = requests.Session()
    made.headers.update(
        {
            "Authorization": f"Bearer {id_token(stack, 'practitioner')}",
            "x-api-key": stack["api_key"],
            "Content-Type": "application/fhir+json",
        }
    )
    return made


def memory(stack: dict[str, Any]) -> float:
    """Resident memory of everything that was started, in MB."""
    started = [psutil.Process(pid) for pid in stack["pids"].values()]
    everyone = {p.pid: p for one in started for p in [one, *one.children(recursive=True)]}
    used = 0.0
    for process in everyone.values():
        with suppress(psutil.NoSuchProcess):  # a function's, which ended meanwhile
            used += process.memory_info().rss
    return used / 1e6


def _api(stack: dict[str, Any]) -> Iterator[Figure]:
    """Create, read, update and search through gateway, key, token and function; one in flight."""
    client, url = _session(stack), stack["api_url"]
    patient = {"resourceType": "Patient", "name": [{"family": "Bench"}], "birthDate": "1970-01-01"}
    create, read, update, searchable = Times(), Times(), Times(), Times()

    def ask(times: Times, method: str, path: str, **arguments: Any) -> requests.Response:
        with times.run():
            answer = client.request(method, url + path, timeout=30, **arguments)
        answer.raise_for_status()
        return answer

    for _ in range(20):  # warm up
        client.post(f"{url}/Patient", json=patient, timeout=30).raise_for_status()
    for _ in range(REQUESTS):
        made = ask(create, "POST", "/Patient", json=patient).json()
        path = f"/Patient/{made['id']}"
        ask(read, "GET", path)
        ask(update, "PUT", path, json=made, headers={"If-Match": 'W/"1"'})
    for _ in range(SEARCHES):
        name = f"B{uuid.uuid4().hex}"
        body = patient | {"name": [{"family": name}]}
        client.post(f"{url}/Patient", json=body, timeout=30).raise_for_status()
        with searchable.run():
            _until_found(client, f"{url}/Patient?family={name}")
    yield Figure("create, whole platform", "ms", milliseconds(create.wall), at_most=25)
    yield Figure("read, whole platform", "ms", milliseconds(read.wall))
    yield Figure("update with `If-Match`, whole platform", "ms", milliseconds(update.wall))
    yield Figure(
        "written until searchable", "ms", milliseconds(searchable.wall), at_most=1500, judged="p95"
    )


def _until_found(client: requests.Session, url: str) -> None:
    deadline = time.monotonic() + 30
    while not client.get(url, timeout=30).json().get("entry"):
        if time.monotonic() > deadline:
            raise TimeoutError("a write isn't searchable after 30 s")
