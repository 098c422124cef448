"""Keeps the index right: reindex, reconcile, redrive. For operators with AWS credentials.

    python -m functions.index_keeper reconcile \\
        --keeper "$(pulumi stack output index_keeper_function_name)"

`reindex` builds a new index beside the one that is searched and switches to it. `reconcile`
compares table and index, and repairs the index. `redrive` tries what is in quarantine once more.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

SEGMENTS = 8
"""Parts of the table that are worked on at once."""

_TRIES = 5
_WAIT = Config(read_timeout=920, retries={"total_max_attempts": 1}, max_pool_connections=SEGMENTS)


class FailedError(Exception):
    """A function failed again and again; the text is what it said."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("functions.index_keeper", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("operation", choices=["reindex", "reconcile", "redrive"])
    parser.add_argument("--keeper", required=True, help="name of the function index-keeper")
    parser.add_argument("--admin", help="name of the function index-admin, for reindex")
    asked = parser.parse_args(arguments)
    if asked.operation == "reindex" and not asked.admin:
        parser.error("reindex needs --admin")
    lambda_ = boto3.client("lambda", config=_WAIT)
    if asked.operation != "reindex":
        run(lambda_, asked.keeper, asked.operation)
        return
    print(*invoke(lambda_, asked.admin, {"operation": "begin"})["changes"], sep="\n")
    run(lambda_, asked.keeper, "copy")
    print(*invoke(lambda_, asked.admin, {"operation": "switch"})["changes"], sep="\n")


def run(lambda_: Any, keeper: str, operation: str) -> dict[str, int]:
    """Does an operation on all segments; tells its progress and returns the totals."""
    segments = 1 if operation == "redrive" else SEGMENTS
    total = {"seen": 0, "written": 0, "refused": 0}

    def work(segment: int) -> None:
        event = {"operation": operation, "segment": segment, "segments": segments, "after": None}
        while True:
            part = invoke(lambda_, keeper, event)
            for name in total:
                total[name] += part[name]
            told = ", ".join(f"{number} {name}" for name, number in total.items())
            print(f"{operation}: {told}", flush=True)
            if part["after"] is None:
                return
            event["after"] = part["after"]

    with ThreadPoolExecutor(segments) as pool:
        list(pool.map(work, range(segments)))
    return total


def invoke(lambda_: Any, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """The function's answer. A part that failed is repeated, which does no harm."""
    attempt = 0
    while True:
        attempt += 1
        answer = lambda_.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read())
        if "FunctionError" not in answer:
            return content
        print(f"{function}: {content.get('errorType')}, try {attempt}", file=sys.stderr)
        if attempt == _TRIES:
            raise FailedError(f"{function}: {content.get('errorMessage')}")


if __name__ == "__main__":
    main(sys.argv[1:])
