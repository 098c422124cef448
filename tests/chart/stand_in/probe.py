"""Loads the overlay into the stand-in and prints, as JSON, what came of it.

Runs in an environment of its own, with EvalAI's versions of Django, Celery and boto3.
"""

import old_python  # noqa: F401, I001 (first)

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import django

django.setup()

import sentry_sdk  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.files.storage import default_storage  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from evalai.celery import app  # noqa: E402


def answers() -> dict[str, int]:
    """Status by request, as the load balancer, a probe and strangers send them."""
    host, pod = os.environ["HOSTNAME"], os.environ["POD_IP"]
    secure = {"HTTP_X_FORWARDED_PROTO": "https"}
    client = Client(raise_request_exception=False)
    return {
        "probe": client.get("/", HTTP_HOST=host).status_code,
        "load balancer's check": client.get("/", HTTP_HOST=f"{pod}:8000").status_code,
        "visitor": client.get("/api/page", HTTP_HOST=host, **secure).status_code,
        "plain HTTP": client.get("/api/page", HTTP_HOST=host).status_code,
        "other host": client.get("/api/page", HTTP_HOST="eval.ai", **secure).status_code,
    }


def passwords() -> list[str]:
    """The password of a connection, before and after it was rotated."""
    found = [connection.get_connection_params()["password"]]
    Path(os.environ["RDS_PASSWORD_FILE"]).write_text("second", encoding="utf-8")
    return [*found, connection.get_connection_params()["password"]]


def report() -> dict[str, Any]:
    """A report of an error as Sentry would get it."""
    client = sentry_sdk.Hub.current.client
    if client is None or client.dsn is None:
        return {}
    sent: list[dict[str, Any]] = []
    client.transport.capture_event = sent.append
    client.transport.capture_envelope = lambda envelope: sent.append(envelope.get_event())
    try:
        patient = "Jane Doe"
        raise ValueError(len(patient))
    except ValueError:
        sentry_sdk.capture_exception()
    return {"options": {k: client.options[k] for k in ("send_default_pii", "traces_sample_rate")},
            "event": json.dumps(sent, default=str)}  # fmt: skip


call_command("check", deploy=True, fail_level="WARNING", stdout=sys.stderr)
logging.getLogger("django.request").error("a line of the log")
broker = app.connection_for_write()
json.dump(
    {
        "answers": answers(),
        "passwords": passwords(),
        "database": connection.get_connection_params(),
        "media": default_storage.url("submission 1.json"),
        "acl": default_storage.default_acl,
        "celery": {
            "time_limit": app.conf.task_time_limit,
            "soft_time_limit": app.conf.task_soft_time_limit,
            "max_tasks_per_child": app.conf.worker_max_tasks_per_child,
            "transport_options": app.conf.broker_transport_options,
            "keys": [broker.userid, broker.password],
        },
        "cache": settings.CACHES["default"]["LOCATION"],
        "upload": settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        "report": report(),
    },
    sys.stdout,
)
