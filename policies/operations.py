"""What must be noticed, and by whom."""

from policies.rule import needs, rule

RULES = (
    rule(
        "heard-alarms",
        "An alarm tells somebody",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        needs("alarmActions", advice="name a topic, or nobody hears it"),
    ),
)
