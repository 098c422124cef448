"""What is refused of EvalAI's arguments before AWS or the chart would."""

import re
from collections.abc import Mapping
from typing import Any

from ._evalai_containers import LONGEST_QUEUE, check_container

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
IMAGE = re.compile(r"[^/:]+(:\d+)?/[^:]+:[\w.-]+")


def check_evalai(args: Mapping[str, Any], *, has_public_subnets: bool) -> None:
    """ValueError names the first argument that AWS or the chart would refuse."""
    if not LABEL.fullmatch(args["environment"]):
        raise ValueError(
            f"evalai.environment: {args['environment']!r} must be 1 to 30 lower-case letters, "
            "digits and -"
        )
    if not has_public_subnets:
        raise ValueError("public_subnet_ids: EvalAI's load balancer needs them")
    challenges = args.get("challenges", [])
    for key in ("name", "challenge_id"):
        given = [str(challenge[key]) for challenge in challenges]
        if len(set(given)) != len(given):
            raise ValueError(f"evalai.challenges: a {key} is given twice in {', '.join(given)}")
    for challenge in challenges:
        _check_challenge(challenge, args["environment"])


def _check_challenge(challenge: Mapping[str, Any], environment: str) -> None:
    place = f"evalai.challenges: {challenge['name']!r}"
    if not LABEL.fullmatch(challenge["name"]):
        raise ValueError(f"{place} must be 1 to 30 lower-case letters, digits and -")
    if "image" in challenge and not IMAGE.fullmatch(challenge["image"]):
        raise ValueError(f"{place}: {challenge['image']!r} must be <registry>/<name>:<tag>")
    # What workers may ever do names their queues by the environment in them.
    if not re.fullmatch(rf"[\w-]+-{environment}-[\w-]+", challenge["queue"]):
        raise ValueError(
            f"{place}: {challenge['queue']!r} is no queue of EvalAI in {environment!r}: those are"
            f" <title>-<id>-{environment}-<more>"
        )
    if len(challenge["queue"]) > LONGEST_QUEUE:
        raise ValueError(f"{place}: its queue's name is longer than {LONGEST_QUEUE}")
    if "container" in challenge:
        check_container(place, challenge, challenge["container"])
