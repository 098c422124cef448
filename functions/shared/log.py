"""Logging: JSON lines on standard output, which Lambda sends to CloudWatch Logs."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from typing import Any

logger = logging.getLogger("ai4h")
"""The functions' only logger. `extra={"fields": {...}}` adds members to the line."""


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"level": record.levelname, "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line |= fault(record.exc_info[0], record.exc_info[2])
        return json.dumps(line, default=str)


def fault(kind: type[BaseException], trace: Any) -> dict[str, Any]:
    """What is logged of an exception: type and place. Its message may quote a resource."""
    return {
        "error": kind.__name__,
        "trace": [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)],
    }


def configure() -> None:
    """Called once, by handler modules."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(os.environ.get("LOG_LEVEL", "INFO").upper())
