"""What an alarm is, and how it is raised. `_alarm_catalogue` has all that there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

PERIOD_SECONDS = 300
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Alarm:
    """When somebody must look: a metric of one resource beyond a limit."""

    purpose: str
    """Last part of its name, and the name of its runbook."""
    text: str
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str
    """`Sum`, `Average`, `Maximum`, `Minimum`, or a percentile: `p99`."""
    limit: float
    below: bool = False
    """Whether it is too little that is wrong, not too much."""
    periods: int = 1
    """Periods, of the last three, in which it must be wrong; of the last one if it is a day."""
    seconds: int = PERIOD_SECONDS
    """How long a period is."""


def raise_alarms(
    name: str,
    alarms: Iterable[Alarm],
    topic_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    region: str | None = None,
) -> None:
    """Makes the alarms, which tell the topic that something begins or ends to be wrong.

    Metrics, alarms and topic are of one region: `region`, or the stack's.
    """
    for alarm in alarms:
        percentile = alarm.statistic.startswith("p")
        aws.cloudwatch.MetricAlarm(
            f"{name}-{alarm.purpose}",
            alarm_description=f"{alarm.text} Runbook: docs/runbooks/{alarm.purpose}.md",
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=alarm.dimensions,
            statistic=None if percentile else alarm.statistic,
            extended_statistic=alarm.statistic if percentile else None,
            period=alarm.seconds,
            evaluation_periods=min(3, DAY_SECONDS // alarm.seconds),
            datapoints_to_alarm=alarm.periods,
            comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanThreshold",
            threshold=alarm.limit,
            treat_missing_data="notBreaching",
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            region=region,
            opts=opts,
        )
