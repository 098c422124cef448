"""The figures in the README, measured anew: `make bench`.

Prints a Markdown table. Machines are noisy: read medians, and compare only figures of one run.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psutil
import requests

ROOT = Path(__file__).resolve().parents[1]
REQUESTS = 200
SEARCHES = 60
PROGRAM = (
    "import time; started = time.perf_counter();"
    "from tests.graph.strict import evaluate_stack; evaluate_stack('dev');"
    "print(time.perf_counter() - started)"
)
Row = tuple[str, str, str]


def quantiles(seconds: list[float]) -> str:
    """p50 / p95 in milliseconds."""
    cuts = statistics.quantiles([value * 1000 for value in seconds], n=20)
    return f"{statistics.median(seconds) * 1000:.1f} / {cuts[18]:.1f} ms"


def program() -> Iterator[Row]:
    """The whole program of stack `dev` under mocks, imports included, in fresh processes."""
    took = [
        float(
            subprocess.run(
                [sys.executable, "-c", PROGRAM],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for _ in range(5)
    ]
    yield (
        "program of stack `dev` under mocks (median of 5)",
        f"{statistics.median(took):.2f} s",
        "3 s",
    )


@contextmanager
def platform(state: Path) -> Iterator[tuple[dict[str, Any], float]]:
    """A local platform of its own, and the seconds it took to be ready with warm caches."""
    command = [sys.executable, "-m", "local"]
    subprocess.run([*command, "up", "--detach", "--state", str(state)], cwd=ROOT, check=True)
    subprocess.run([*command, "down", "--state", str(state)], cwd=ROOT, check=True)
    started = time.perf_counter()
    subprocess.run(
        [*command, "up", "--detach", "--fresh", "--state", str(state)], cwd=ROOT, check=True
    )
    ready = time.perf_counter() - started
    try:
        yield json.loads((state / "stack.json").read_text()), ready
    finally:
        subprocess.run([*command, "down", "--state", str(state)], cwd=ROOT, check=True)


def session(stack: dict[str, Any], group: str) -> requests.Session:
    """A keep-alive HTTP session that is signed in."""
    user = stack["users"][group]
    signed_in = boto3.client(
        "cognito-idp",
        region_name=stack["region"],
        endpoint_url=stack["aws_endpoint_url"],
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the local AWS wants any value
    ).initiate_auth(
        ClientId=stack["cli_client_id"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["username"], "PASSWORD": user["password"]},
    )
    made = requests.Session()
    made.headers.update(
        {
            "Authorization": f"Bearer {signed_in['AuthenticationResult']['IdToken']}",
            "x-api-key": stack["api_key"],
            "Content-Type": "application/fhir+json",
        }
    )
    return made


def memory(stack: dict[str, Any]) -> float:
    """Resident memory of everything that was started, in MB."""
    processes = [psutil.Process(pid) for pid in stack["pids"].values()]
    everyone = {p.pid: p for one in processes for p in [one, *one.children(recursive=True)]}
    return sum(p.memory_info().rss for p in everyone.values()) / 1e6


def api(stack: dict[str, Any]) -> Iterator[Row]:
    """Create, read, update and search through gateway, key, token and function; one in flight."""
    client, url = session(stack, "practitioner"), stack["api_url"]
    patient = {"resourceType": "Patient", "name": [{"family": "Bench"}], "birthDate": "1970-01-01"}
    times: dict[str, list[float]] = {"create": [], "read": [], "update": [], "searchable": []}

    def timed(kind: str, method: str, path: str, **arguments: Any) -> requests.Response:
        started = time.perf_counter()
        answer = client.request(method, url + path, timeout=30, **arguments)
        times[kind].append(time.perf_counter() - started)
        answer.raise_for_status()
        return answer

    for _ in range(20):  # warm up
        client.post(f"{url}/Patient", json=patient, timeout=30).raise_for_status()
    for _ in range(REQUESTS):
        made = timed("create", "POST", "/Patient", json=patient).json()
        path = f"/Patient/{made['id']}"
        timed("read", "GET", path)
        timed("update", "PUT", path, json=made, headers={"If-Match": 'W/"1"'})
    for _ in range(SEARCHES):
        name = f"B{uuid.uuid4().hex}"
        body = patient | {"name": [{"family": name}]}
        client.post(f"{url}/Patient", json=body, timeout=30).raise_for_status()
        written = time.perf_counter()
        while not client.get(f"{url}/Patient?family={name}", timeout=30).json().get("entry"):
            if time.perf_counter() - written > 30:
                raise TimeoutError("a write isn't searchable after 30 s")
        times["searchable"].append(time.perf_counter() - written)
    yield "create, p50 / p95", quantiles(times["create"]), "25 ms (p50)"
    yield "read, p50 / p95", quantiles(times["read"]), "–"
    yield "update with If-Match, p50 / p95", quantiles(times["update"]), "–"
    yield "written until searchable, p50 / p95", quantiles(times["searchable"]), "1,500 ms (p95)"


def main() -> None:
    rows = list(program())
    with (
        tempfile.TemporaryDirectory(prefix="ai4h-bench-") as folder,
        platform(Path(folder)) as (stack, ready),
    ):
        rows.append(("platform ready, empty data, warm caches", f"{ready:.1f} s", "45 s"))
        rows += api(stack)
        rows.append(
            ("memory of the whole platform after that", f"{memory(stack):,.0f} MB", "1,500 MB")
        )
    print("\n| figure | measured | target |\n|---|---|---|")
    for row in rows:
        print("| {} | {} | {} |".format(*row))


if __name__ == "__main__":
    main()
