"""A dashboard for one stage of a REST API."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

NAMESPACE = "AWS/ApiGateway"
PERIOD_SECONDS = 300


def dashboard(
    name: str,
    api_name: pulumi.Input[str],
    stage: pulumi.Input[str],
    region: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Requests, errors and latency of the stage on one page."""
    aws.cloudwatch.Dashboard(
        f"{name}-dashboard",
        dashboard_name=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
        dashboard_body=pulumi.Output.all(api_name, stage, region).apply(
            lambda values: dashboard_body(*values)
        ),
        opts=opts,
    )


def dashboard_body(api_name: str, stage: str, region: str) -> str:
    """The dashboard's definition."""
    dimensions = ["ApiName", api_name, "Stage", stage]

    def widget(title: str, column: int, metrics: list[list[Any]]) -> dict[str, Any]:
        return {
            "type": "metric",
            "x": column * 8,
            "y": 0,
            "width": 8,
            "height": 6,
            "properties": {
                "title": title,
                "region": region,
                "period": PERIOD_SECONDS,
                "view": "timeSeries",
                "metrics": metrics,
            },
        }

    def metric(metric_name: str, statistic: str, label: str) -> list[Any]:
        return [NAMESPACE, metric_name, *dimensions, {"stat": statistic, "label": label}]

    return json.dumps(
        {
            "widgets": [
                widget("Requests", 0, [metric("Count", "Sum", "requests")]),
                widget(
                    "Errors",
                    1,
                    [
                        metric("4XXError", "Sum", "refused (4xx)"),
                        metric("5XXError", "Sum", "failed (5xx)"),
                    ],
                ),
                widget(
                    "Latency (ms)",
                    2,
                    [metric("Latency", "p50", "median"), metric("Latency", "p99", "p99")],
                ),
            ]
        }
    )
