"""CloudWatch: log groups, alarms and dashboards."""

from typing import Any

from local.handlers.base import Aws, Handler, Properties, Put, physical_name


class LogGroup(Handler):
    """A group of log streams. The local AWS can't change its key in place."""

    fixed = frozenset({"name", "namePrefix", "logGroupClass", "kmsKeyId"})
    delete_first = True
    own = ("name", "namePrefix", "retentionInDays", "skipDestroy")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        group = physical_name(name, inputs, longest=512)
        aws.call("logs", "create_log_group", inputs, leave=self.own, logGroupName=group)
        self._retain(aws, group, inputs)
        return group, {"name": group, "arn": aws.arn("logs", f"log-group:{group}", inputs)}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self._retain(aws, identity, inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("logs", outputs).delete_log_group(logGroupName=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        found = aws.of("logs", outputs).describe_log_groups(logGroupNamePrefix=identity)
        return next((g for g in found["logGroups"] if g["logGroupName"] == identity), None)

    def read(self, aws: Aws, identity: str, outputs: Properties) -> Properties | None:
        group = self.look(aws, identity, outputs)
        if group is None:
            return None
        seen = {"retentionInDays": group.get("retentionInDays", 0)}
        return outputs | (seen if "retentionInDays" in outputs else {})

    def _retain(self, aws: Aws, group: str, inputs: Properties) -> None:
        logs = aws.of("logs", inputs)
        if days := inputs.get("retentionInDays"):
            logs.put_retention_policy(logGroupName=group, retentionInDays=days)
        else:
            logs.delete_retention_policy(logGroupName=group)


class LogResourcePolicy(Put):
    """Lets AWS services write to log groups."""

    fixed = frozenset({"policyName"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        aws.call("logs", "put_resource_policy", inputs)
        return inputs["policyName"], {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("logs", outputs).delete_resource_policy(policyName=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        found = aws.of("logs", outputs).describe_resource_policies()["resourcePolicies"]
        return any(policy["policyName"] == identity for policy in found)


class MetricAlarm(Handler):
    """An alarm on a metric, put as a whole."""

    fixed = frozenset({"name"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        alarm = physical_name(name, inputs, longest=255)
        self._put(aws, alarm, inputs)
        return alarm, {"name": alarm, "arn": aws.arn("cloudwatch", f"alarm:{alarm}", inputs)}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self._put(aws, identity, inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("cloudwatch", outputs).delete_alarms(AlarmNames=[identity])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("cloudwatch", outputs).describe_alarms(AlarmNames=[identity])["MetricAlarms"]

    def _put(self, aws: Aws, alarm: str, inputs: Properties) -> None:
        rename = {"metricQueries": "metrics"}
        aws.call(
            "cloudwatch", "put_metric_alarm", inputs, leave=("name",), rename=rename,
            AlarmName=alarm,
        )  # fmt: skip


class Dashboard(Handler):
    """A dashboard, put as a whole."""

    fixed = frozenset({"dashboardName"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        aws.call("cloudwatch", "put_dashboard", inputs)
        dashboard = inputs["dashboardName"]
        arn = f"arn:aws:cloudwatch::{aws.clients.account}:dashboard/{dashboard}"
        return dashboard, {"dashboardArn": arn}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        aws.call("cloudwatch", "put_dashboard", inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("cloudwatch", outputs).delete_dashboards(DashboardNames=[identity])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("cloudwatch", outputs).get_dashboard(DashboardName=identity)


HANDLERS: dict[str, Handler] = {
    "aws:cloudwatch/logGroup:LogGroup": LogGroup(),
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": LogResourcePolicy(),
    "aws:cloudwatch/metricAlarm:MetricAlarm": MetricAlarm(),
    "aws:cloudwatch/dashboard:Dashboard": Dashboard(),
}
