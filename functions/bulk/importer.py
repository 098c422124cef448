"""The Lambda function that does the steps of imports."""

from __future__ import annotations

from typing import Any

from functions.bulk import imports, steps
from functions.shared.log import configure

configure()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return steps.run(event, context, imports.plan, imports.step)
