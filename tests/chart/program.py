"""The chart with the values that the program gives it, for a stack whose images are built."""

import json
from functools import cache
from typing import Any

from tests.chart.rendering import CHART, Resource, helm, parsed
from tests.graph.strict import Graph, evaluate_stack

CHALLENGE = {
    "name": "kidney-ct",
    "challenge_id": 1,
    "queue": "kidney-ct-1-dev-5f0c9d2e",
}


@cache
def graph(stack: str) -> Graph:
    """Of the stack as its file says, with images and a challenge."""
    challenge = {**CHALLENGE, "queue": f"kidney-ct-1-{stack}-5f0c9d2e"}
    built = {"evalaiImageTag": "0f04039-1a2b3c4d", "evalaiChallenges": json.dumps([challenge])}
    return evaluate_stack(stack, config=built)


def release(stack: str) -> Resource:
    """The inputs of EvalAI's release."""
    return dict(graph(stack).one("kubernetes:helm.sh/v3:Release", "evaluation-evalai").inputs)


@cache
def rendered(stack: str) -> list[Resource]:
    values: Any = release(stack)["values"]
    done = helm(
        *("template", "evalai", CHART, "--namespace", "evalai", "--values", "-"),
        text=json.dumps(values),
    )
    assert done.returncode == 0, done.stderr
    return parsed(done.stdout)
