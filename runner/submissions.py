"""The life of a challenge's submissions: from a message in the queue to an end that is told.

Nothing is remembered here but the messages that are ours. Where a submission is, the cluster knows:
whoever starts after a runner that was stopped goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .cluster import Cluster
from .evalai import ENDED, EvalAi
from .jobs import LABEL, STEP, Manifest, Step, disk, job, job_name, seconds
from .messages import BadMessageError, Message, Queue, Submission, refusal, submission
from .outcomes import OURS, Ending, Failure, Limits, judge, succeeded
from .settings import Settings

logger = logging.getLogger("runner")


@dataclass(frozen=True)
class Held:
    """A submission whose message is ours."""

    message: Message
    submission: Submission


class Submissions:
    """Those of one challenge."""

    def __init__(self, settings: Settings, queue: Queue, evalai: EvalAi, cluster: Cluster) -> None:
        self._settings, self._queue = settings, queue
        self._evalai, self._cluster = evalai, cluster
        self._held: dict[int, Held] = {}

    @property
    def held(self) -> Sequence[int]:
        """Ids of the submissions in work."""
        return list(self._held)

    def take(self, wait_seconds: int) -> bool:
        """Takes the next message; whether there was one."""
        if len(self._held) >= self._settings.max_parallel:
            return False
        message = self._queue.receive(wait_seconds)
        if message is None:
            return False
        try:
            wanted = submission(message.body, self._settings.challenge_id)
        except BadMessageError as error:
            # It comes again, and is set aside after some times.
            logger.error("%s", error)
            return True
        if wanted is None:
            self._queue.to_workers(message)
        else:
            self._held[wanted.id] = Held(message, wanted)
        return True

    def keep(self) -> None:
        """Keeps the messages in work ours. One that isn't any more comes again."""
        for identity, held in list(self._held.items()):
            if not self._queue.keep(held.message):
                del self._held[identity]

    def release(self) -> None:
        """Gives the messages back: another runner goes on at once."""
        for held in self._held.values():
            self._queue.keep(held.message, 0)
        self._held.clear()

    def advance(self, now: datetime) -> None:
        """Brings each submission in work on as far as it goes. One that fails here (the API is
        away, say) is tried again with the next call, and doesn't stop the others."""
        for held in list(self._held.values()):
            try:
                self._advance(held, now)
            except Exception:
                logger.exception("submission %s", held.submission.id)

    def sweep(self, now: datetime) -> None:
        """Removes what is left of submissions that nobody works on and that have had their time."""
        for found in self._cluster.disks():
            identity = int(found["metadata"]["labels"][LABEL])
            made = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
            if (
                identity not in self._held
                and (now - made).total_seconds() > self._settings.bound_seconds
            ):
                self._cluster.remove(identity)

    def _advance(self, held: Held, now: datetime) -> None:
        wanted = held.submission
        if self._evalai.status(wanted.id) in ENDED:
            # Cancelled by its participant, or told before we were stopped.
            self._done(held)
            return
        if reason := refusal(wanted.image, self._settings.repositories):
            self._fail(held, Failure(Ending.REFUSED, reason), [])
            return
        jobs = {found["metadata"]["labels"][STEP]: found for found in self._cluster.jobs(wanted.id)}
        for step in Step:
            if step not in jobs:
                self._start(wanted, step)
                return
            if succeeded(jobs[step]):
                continue
            pods = [
                pod
                for pod in self._cluster.pods(wanted.id)
                if pod["metadata"]["labels"][STEP] == step
            ]
            if failure := judge(step, jobs[step], pods, self._limits(step), now):
                self._fail(held, failure, pods if step is Step.MODEL else [])
            return
        logger.info("submission %s: handed in", wanted.id)
        self._done(held)

    def _start(self, wanted: Submission, step: Step) -> None:
        if step is Step.FETCH:
            self._cluster.make(disk(self._settings, wanted))
        self._cluster.make(job(self._settings, wanted, step))
        logger.info("submission %s: %s", wanted.id, step)
        if step is Step.MODEL:
            self._evalai.started(
                self._settings.challenge_id, wanted.id, job_name(self._settings, wanted.id, step)
            )

    def _limits(self, step: Step) -> Limits:
        limits = self._settings.resources["limits"]
        return Limits(
            self._settings.start_seconds,
            seconds(self._settings, step),
            limits["memory"],
            limits["ephemeral-storage"],
        )

    def _fail(self, held: Held, failure: Failure, pods: Sequence[Manifest]) -> None:
        wanted = held.submission
        logger.log(
            logging.ERROR if failure.ending in OURS else logging.INFO,
            "submission %s: %s",
            wanted.id,
            failure.ending,
        )
        self._evalai.failed(
            self._settings.challenge_id,
            wanted.phase_id,
            wanted.id,
            reason=f"{failure.ending}: {failure.text}",
            printed=self._printed(wanted, pods),
            details={"ending": failure.ending, "image": wanted.image},
        )
        self._done(held)

    def _printed(self, wanted: Submission, pods: Sequence[Manifest]) -> str:
        """What the model printed, if its phase says that participants may see it: it may have
        printed the datasets."""
        if not self._settings.log_phases or not pods:
            return ""
        phase = self._evalai.phase(self._settings.challenge_id, wanted.phase_id)
        if phase.get("disable_logs") or phase.get("codename") not in self._settings.log_phases:
            return ""
        newest = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
        return self._cluster.printed(newest["metadata"]["name"])

    def _done(self, held: Held) -> None:
        """The message goes first: without it nothing starts anew, and what stays is swept up."""
        self._queue.delete(held.message)
        del self._held[held.submission.id]
        self._cluster.remove(held.submission.id)


def utc_now() -> datetime:
    return datetime.now(UTC)
