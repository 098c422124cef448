"""The steps of a state machine that runs a job, and how long a worker works.

    {"step": "plan", "job": …}                -> {"parts": [numbers]}
    {"step": "work", "job": …, "number": …}   -> {"done": bool}
    {"step": "finish", "job": …}, {"step": "abandon", "job": …} -> {}

Each may be repeated. A worker records what it did after every step, and ends before its time is up:
the machine calls it again, and it goes on from there, as it does after a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from functions.bulk import files, jobs
from functions.bulk.jobs import Job, Part
from functions.shared.log import logger

SPARE_MILLISECONDS = 120_000
"""A worker begins no step with less time than this."""

Plan = Callable[[Job], Iterable[Part]]
Step = Callable[[Job, Part], Part]


def run(event: dict[str, Any], context: Any, plan: Plan, step: Step) -> dict[str, Any]:
    """Answers an event of the machine. Raises when the step should be repeated."""
    found = jobs.find(event["job"])
    is_running = found is not None and found[1] == "running"
    logger.info("bulk", extra={"fields": event})
    match event["step"]:
        case "plan":
            if found and is_running:
                jobs.add_parts(found[0], plan(found[0]))
            return {"parts": [part.number for part in jobs.parts(event["job"])]}
        case "work":
            done = not is_running or _work(event["job"], event["number"], context, step)
            return {"done": done}
        case "finish" | "abandon" as how:
            if found:
                _end(found[0], how)
            return {}
        case other:
            raise ValueError(f"no step {other}")


def _work(job_id: str, number: int, context: Any, step: Step) -> bool:
    """Whether the part is done, or nobody wants it any more."""
    part = jobs.part(job_id, number)
    while not part.done and context.get_remaining_time_in_millis() > SPARE_MILLISECONDS:
        found = jobs.find(job_id)
        if found is None or found[1] != "running":
            return True
        part = jobs.save(found[0], step(found[0], part))
    return part.done


def _end(job: Job, how: str) -> None:
    if how == "abandon":
        jobs.end(job, "failed")
    elif (
        not jobs.end(job, "completed") and (found := jobs.find(job.id)) and found[1] != "completed"
    ):
        files.remove(job)  # it was cancelled; a worker may have written since
