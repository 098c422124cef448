"""The runner's commands; the image starts with them.

python -m runner serve              # takes submissions until it is told to stop
python -m runner fetch              # trusted steps around a model
python -m runner isolated --wait 120
python -m runner collect 42
python -m runner queue URL FAILED_QUEUE_ARN SECONDS  # before a worker starts
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

from . import isolation, jobs
from .outcomes import NO_OUTPUT_CODE, OPEN_NETWORK_CODE
from .settings import Settings, load

# The SDKs are imported where they are used: the probe before each model needs none of them.

POLL_SECONDS = 5
KEEP_SECONDS = 60
SWEEP_SECONDS = 900
# Where Kubernetes looks for a container's last words.
LAST_WORDS = Path("/dev/termination-log")
SUBMIT_TRIES = 5

logger = logging.getLogger("runner")


def main() -> int:
    parser = argparse.ArgumentParser(prog="runner")
    parser.add_argument("--settings", type=Path, default=Path(jobs.CONFIG))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve")
    commands.add_parser("fetch")
    commands.add_parser("isolated").add_argument("--wait", type=float, default=0)
    commands.add_parser("collect").add_argument("submission", type=int)
    queue = commands.add_parser("queue")
    queue.add_argument("url")
    queue.add_argument("failed_queue_arn")
    queue.add_argument("seconds", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if arguments.command == "isolated":
        return isolated(arguments.wait)
    if arguments.command == "queue":
        return set_up_queue(arguments.url, arguments.failed_queue_arn, arguments.seconds)
    settings = load(arguments.settings)
    if arguments.command == "fetch":
        return fetch(settings)
    if arguments.command == "collect":
        return hand_in(settings, arguments.submission)
    serve(settings)
    return 0


def serve(settings: Settings) -> None:
    """Takes submissions until SIGTERM, then gives back what it holds."""
    from kubernetes import client, config

    from .cluster import Cluster
    from .evalai import EvalAi
    from .messages import Queue, set_up
    from .submissions import Submissions, utc_now

    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    token = Path(jobs.TOKEN)
    while not token.exists() and not stopping.wait(POLL_SECONDS):
        logger.warning("No token of a host yet: see docs/challenge-host.md.")
    config.load_incluster_config()
    sqs = _aws("sqs")
    queue = Queue(sqs, settings.queue_url, settings.scoring_queue_url)
    submissions = Submissions(
        settings,
        queue,
        EvalAi(settings.api_url, settings.api_host, token),
        Cluster(client.ApiClient(), settings.namespace, settings.challenge),
    )
    set_up(sqs, settings.queue_url, settings.failed_queue_arn)
    kept = swept = time.monotonic()
    while not stopping.is_set():
        took = submissions.take(0 if submissions.held else POLL_SECONDS)
        submissions.advance(utc_now())
        if time.monotonic() - kept > KEEP_SECONDS:
            submissions.keep()
            kept = time.monotonic()
        if time.monotonic() - swept > SWEEP_SECONDS:
            submissions.sweep(utc_now())
            swept = time.monotonic()
        if not took:
            stopping.wait(POLL_SECONDS)
    submissions.release()


def fetch(settings: Settings) -> int:
    """Fills a submission's disk."""
    from . import datasets

    try:
        size = datasets.fetch(
            _aws("s3"), settings.dataset_bucket, list(settings.datasets), Path(jobs.DISK)
        )
    except datasets.DatasetError as error:
        logger.error("%s", error)
        return 1
    logger.info("%s bytes", size)
    return 0


def set_up_queue(url: str, failed_queue_arn: str, seconds: int) -> int:
    """Makes EvalAI's queue fit for workers, which never ask for more time."""
    from .messages import WORKER_RECEIVES, set_up

    set_up(
        _aws("sqs"),
        url,
        failed_queue_arn,
        receives=WORKER_RECEIVES,
        visible_after_seconds=seconds,
    )
    return 0


def isolated(wait_seconds: float) -> int:
    """0 when nothing is reached from here and there is nothing to reach it with."""
    still_open = isolation.await_closed(isolation.ways(os.environ), wait_seconds)
    found = [*still_open, *isolation.credentials()]
    for name in found:
        print("open:", name)
    return OPEN_NETWORK_CODE if found else 0


def hand_in(settings: Settings, submission: int) -> int:
    """Gives EvalAI what a model wrote."""
    import requests

    from . import collect
    from .evalai import EvalAi

    evalai = EvalAi(settings.api_url, settings.api_host, Path(jobs.TOKEN))
    try:
        for waited in range(SUBMIT_TRIES):
            with collect.opened(
                Path(jobs.DISK), settings.output, settings.max_output_bytes
            ) as output:
                try:
                    evalai.predicted(settings.challenge_id, submission, settings.output, output)
                    return 0
                except requests.RequestException as error:
                    logger.error("%s", type(error).__name__)
            time.sleep(2**waited)
    except collect.NoOutputError as error:
        LAST_WORDS.write_text(str(error), encoding="utf-8")
        return NO_OUTPUT_CODE
    return 1


def _aws(service: str) -> Any:
    import boto3
    from botocore.config import Config

    retries: Any = {"mode": "standard", "max_attempts": 5}
    return boto3.client(service, config=Config(retries=retries, connect_timeout=5, read_timeout=30))


if __name__ == "__main__":
    sys.exit(main())
