"""What must be noticed, and by whom."""

from policies.rule import needs, rule

RULES = (
    rule(
        "heard-alarms",
        "An alarm tells somebody",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        needs("alarmActions", advice="name a topic, or nobody hears it"),
    ),
    rule(
        "encrypted-backups",
        "Backups are encrypted with a key of one's own",
        "aws:backup/vault:Vault",
        needs("kmsKeyArn", advice="name a KMS key"),
    ),
)
