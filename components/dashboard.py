"""Dashboard: one page on what the parts of a platform do."""

import json
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ._dashboard_parts import cost_part

COLUMNS = 24
"""Of CloudWatch's grid."""
CHART = (8, 6)
"""Width and height of a chart."""
HEADING_HEIGHT = 2


class DashboardArgs(TypedDict):
    parts: list[pulumi.Input[str]]
    """What components give as `dashboard`, from top to bottom."""
    cost: NotRequired[bool]
    """Show what the account has cost this month, at the end. Default: true."""


class Dashboard(pulumi.ComponentResource):
    """A CloudWatch dashboard of the parts that other components give.

    Creates: the dashboard.
    """

    name: pulumi.Output[str]
    """Name of the dashboard."""

    def __init__(
        self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:Dashboard", name, {}, opts)
        parts = [*args["parts"], *([cost_part()] if args.get("cost", True) else [])]
        made = aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            dashboard_body=pulumi.Output.all(*parts).apply(dashboard_body),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = made.dashboard_name
        self.register_outputs({"name": self.name})


def dashboard_body(parts: list[str]) -> str:
    """The dashboard's definition: each part begins a row with its heading, then charts in rows."""
    placed: list[dict[str, Any]] = []
    top = 0
    for part in parts:
        heading, *charts = json.loads(part)
        placed.append(heading | _place(0, top, COLUMNS, HEADING_HEIGHT))
        top += HEADING_HEIGHT
        width, height = CHART
        in_row = COLUMNS // width
        for number, chart in enumerate(charts):
            row, column = divmod(number, in_row)
            placed.append(chart | _place(column * width, top + row * height, width, height))
        top += -(-len(charts) // in_row) * height
    return json.dumps({"start": "-PT12H", "widgets": placed})


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "width": width, "height": height}
