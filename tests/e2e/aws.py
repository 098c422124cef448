"""The platform's AWS as its administrator sees it, for what the API doesn't offer."""

import subprocess
from typing import Any

import boto3


def aws(stack: dict[str, Any], service: str) -> Any:
    """A boto3 client of a service."""
    return boto3.client(
        service,
        region_name=stack["region"],
        endpoint_url=stack["aws_endpoint_url"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


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
