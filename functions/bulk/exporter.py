"""The Lambda function that does the steps of exports."""

from __future__ import annotations

from typing import Any

from functions.bulk import exports, steps
from functions.shared.log import configure

configure()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return steps.run(event, context, exports.plan, exports.step)
