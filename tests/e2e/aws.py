"""The platform's AWS as its administrator sees it, for what the API doesn't offer."""

import os
import subprocess
import sys
from typing import Any

import boto3

from tests.e2e.conftest import ROOT

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def aws(stack: dict[str, Any], service: str) -> Any:
    """A boto3 client of a service."""
    return boto3.client(
        service,
        region_name=stack["region"],
        endpoint_url=stack["aws_endpoint_url"],
        **KEYS,
    )


def run(stack: dict[str, Any], module: str, *words: str, **environment: str) -> str:
    """What one of our modules prints that the administrator runs as a command, and that must end
    well; `environment` is what it needs beyond AWS's address and keys."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={
            **os.environ,
            "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
            **{name.upper(): value for name, value in KEYS.items()},
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def workers(stack: dict[str, Any], function: str) -> list[int]:
    """Processes of a function, children of the platform's AWS."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(stack["pids"]["aws"])],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [int(pid) for pid, args in found if f"lambda-{function}-" in args]
