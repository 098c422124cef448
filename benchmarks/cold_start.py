"""Cold start: a fresh process until its first authenticated read is answered, and its memory.

Beside it, in turn with it, what any function with boto3 pays: its import and one client.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import function
from benchmarks.figures import Figure, milliseconds
from benchmarks.platform import ROOT

RUNS = 15

_FLOOR = "import boto3; boto3.client('dynamodb')"
_OURS = """
import json, os
from functions.api.handler import handler
answer = handler(json.loads(os.environ["EVENT"]), None)
assert answer["statusCode"] == 200, answer
"""
_TIMED = """
import time; started = time.perf_counter()
{}
took = time.perf_counter() - started
import resource, sys
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
_KILOBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


def figures() -> Iterator[Figure]:
    floor: list[float] = []
    ours: list[float] = []
    memory: list[float] = []
    for _ in range(RUNS):
        floor.append(_run(_FLOOR)[0])
        seconds, megabytes = _run(_OURS)
        ours.append(seconds)
        memory.append(megabytes)
    yield Figure("`import boto3` and one client", "ms", milliseconds(floor))
    yield Figure("cold start to the first authenticated read", "ms", milliseconds(ours))
    relation = [mine / other for mine, other in zip(ours, floor, strict=True)]
    yield Figure("cold start, relative to boto3's", "×", relation, at_most=2.0)
    yield Figure("memory after it", "MB", memory, at_most=90)


def _run(program: str) -> tuple[float, float]:
    """(seconds, resident MB at most) of a program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(program)],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "EVENT": json.dumps(function.event("GET", "/Patient/1")),
            **function.environment(),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seconds, size = done.stderr.split()
    return float(seconds), int(size) * _KILOBYTE / 1e6
