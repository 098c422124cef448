"""What a dashboard shows of each component: charts of metrics, below a heading that explains them.

A component gives its part as JSON, so that a program, also one in another language, can hand the
parts of several to `Dashboard`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from ._documents import json_document

PERIOD_SECONDS = 300


@dataclass(frozen=True)
class Line:
    """A metric in a chart."""

    label: str
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str = "Sum"


@dataclass(frozen=True)
class Chart:
    """Metrics of one unit over time."""

    title: str
    lines: Sequence[Line]
    limit: tuple[float, str] | None = None
    """From where on somebody should look, and why."""
    stacked: bool = False
    region: str | None = None
    """Where the metrics are. Default: the stack's region."""
    period: int = PERIOD_SECONDS


def part(heading: str, text: str, charts: Sequence[Chart]) -> pulumi.Output[str]:
    """Widgets as JSON, without places: https://docs.aws.amazon.com/AmazonCloudWatch/latest/
    APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    region = aws.get_region_output().region
    explained = {"type": "text", "properties": {"markdown": f"## {heading}\n{text}"}}
    return json_document([explained, *(_widget(chart, region) for chart in charts)])


def _widget(chart: Chart, region: pulumi.Input[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "title": chart.title,
        "region": chart.region or region,
        "period": chart.period,
        "view": "timeSeries",
        "stacked": chart.stacked,
        "yAxis": {"left": {"min": 0}},
        "metrics": [_metric(line) for line in chart.lines],
    }
    if chart.limit:
        value, label = chart.limit
        properties["annotations"] = {"horizontal": [{"value": value, "label": label}]}
    return {"type": "metric", "properties": properties}


def _metric(line: Line) -> list[Any]:
    dimensions = [word for pair in line.dimensions.items() for word in pair]
    shown = {"stat": line.statistic, "label": line.label}
    return [line.namespace, line.metric, *dimensions, shown]


def blocked(label: str, acl: aws.wafv2.WebAcl, *, regional: bool) -> Line:
    """Requests that a firewall blocked.

    https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html
    """
    place = {"Region": aws.get_region_output().region} if regional else {}
    dimensions = {"WebACL": acl.visibility_config.metric_name, "Rule": "ALL", **place}
    return Line(label, "AWS/WAFV2", "BlockedRequests", dimensions)


def waiting(label: str, queue_name: pulumi.Input[str]) -> Line:
    """Messages in a queue."""
    return Line(
        label,
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": queue_name},
        "Maximum",
    )


def failures(label: str, function_name: pulumi.Input[str]) -> Line:
    """Calls of a function that ended with an error."""
    return Line(label, "AWS/Lambda", "Errors", {"FunctionName": function_name})
