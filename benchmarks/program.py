"""The Pulumi program: how long it takes to say what it wants."""

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.platform import ROOT

RUNS = 5
_PROGRAM = (
    "import time; started = time.perf_counter();"
    "from tests.graph.strict import evaluate_stack; evaluate_stack('dev');"
    "print(time.perf_counter() - started)"
)


def figures() -> Iterator[Figure]:
    """Of stack `dev` under mocks, imports included, in fresh processes."""
    took = [
        float(
            subprocess.run(
                [sys.executable, "-c", _PROGRAM],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for _ in range(RUNS)
    ]
    yield Figure("program of stack `dev` under mocks", "s", took, at_most=3)
