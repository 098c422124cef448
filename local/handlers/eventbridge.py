"""EventBridge: rules that call functions by the clock."""

from typing import Any

from local.handlers.base import Aws, Handler, Properties, physical_name


class EventRule(Handler):
    """A rule: a schedule, or a pattern of events."""

    fixed = frozenset({"name", "namePrefix", "eventBusName"})
    own = ("name", "namePrefix", "forceDestroy", "isEnabled", "tags")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        rule = physical_name(name, inputs)
        made = aws.call("events", "put_rule", inputs, leave=self.own, Name=rule)
        return rule, {"name": rule, "arn": made["RuleArn"]}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        aws.call("events", "put_rule", inputs, leave=self.own, Name=identity)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("events", outputs).delete_rule(Name=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("events", outputs).describe_rule(Name=identity)


class EventTarget(Handler):
    """What a rule calls."""

    fixed = frozenset({"rule", "targetId", "eventBusName"})
    own = ("rule", "targetId", "eventBusName", "forceDestroy")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        target = physical_name(name, inputs, given="targetId")
        told = {
            member[0].upper() + member[1:]: value
            for member, value in inputs.items()
            if member not in (*self.own, "region")
        }
        aws.of("events", inputs).put_targets(Rule=inputs["rule"], Targets=[{"Id": target, **told}])
        return f"{inputs['rule']}-{target}", {"targetId": target}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self.create(aws, "", {**inputs, "targetId": outputs["targetId"]})
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("events", outputs).remove_targets(Rule=outputs["rule"], Ids=[outputs["targetId"]])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        found = aws.of("events", outputs).list_targets_by_rule(Rule=outputs["rule"])["Targets"]
        return any(target["Id"] == outputs["targetId"] for target in found)


HANDLERS: dict[str, Handler] = {
    "aws:cloudwatch/eventRule:EventRule": EventRule(),
    "aws:cloudwatch/eventTarget:EventTarget": EventTarget(),
}
