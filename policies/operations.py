"""What must be noticed, and by whom."""

from policies.rule import needs, rule

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"

RULES = (
    rule(
        "heard-alarms",
        "An alarm tells somebody",
        ALARM,
        needs("alarmActions", advice="name a topic, or nobody hears it"),
    ),
)
