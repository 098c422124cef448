"""Alarms and a dashboard for one stage of a REST API."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

NAMESPACE = "AWS/ApiGateway"
PERIOD_SECONDS = 300
SERVER_ERROR_SHARE = 0.01
SLOW_MILLISECONDS = 3000


def alarms(
    name: str,
    api_name: pulumi.Input[str],
    stage: pulumi.Input[str],
    topic_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Alarms on failures and slowness, sent to the topic."""
    actions = [topic_arn]
    aws.cloudwatch.MetricAlarm(
        f"{name}-server-errors",
        alarm_description="More than 1 % of the API's requests fail on the server's side.",
        namespace=NAMESPACE,
        metric_name="5XXError",
        dimensions={"ApiName": api_name, "Stage": stage},
        statistic="Average",
        period=PERIOD_SECONDS,
        evaluation_periods=3,
        datapoints_to_alarm=2,
        comparison_operator="GreaterThanThreshold",
        threshold=SERVER_ERROR_SHARE,
        treat_missing_data="notBreaching",
        alarm_actions=actions,
        ok_actions=actions,
        opts=opts,
    )
    aws.cloudwatch.MetricAlarm(
        f"{name}-latency",
        alarm_description="One in a hundred requests takes longer than 3 seconds.",
        namespace=NAMESPACE,
        metric_name="Latency",
        dimensions={"ApiName": api_name, "Stage": stage},
        extended_statistic="p99",
        period=PERIOD_SECONDS,
        evaluation_periods=3,
        datapoints_to_alarm=3,
        comparison_operator="GreaterThanThreshold",
        threshold=SLOW_MILLISECONDS,
        treat_missing_data="notBreaching",
        alarm_actions=actions,
        ok_actions=actions,
        opts=opts,
    )


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
