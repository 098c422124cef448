"""Step Functions: state machines, which the local AWS runs, distributed maps included."""

from typing import Any

from local.handlers.base import Aws, Handler, Properties, physical_name


class StateMachine(Handler):
    """A standard state machine. Its role isn't used here: what it calls, it may call."""

    fixed = frozenset({"name", "namePrefix", "type"})
    own = ("name", "namePrefix", "loggingConfiguration")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        machine = physical_name(name, inputs, longest=80)
        made = aws.call(
            "stepfunctions",
            "create_state_machine",
            inputs,
            leave=self.own,
            name=machine,
            **logging(inputs),
        )
        arn = made["stateMachineArn"]
        aws.note("a machine's role isn't assumed here: it may call every function")
        return arn, {"arn": arn, "name": machine, "status": "ACTIVE"}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        aws.call(
            "stepfunctions",
            "update_state_machine",
            inputs,
            leave=(*self.own, "type", "tags"),
            stateMachineArn=identity,
            **logging(inputs),
        )
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("stepfunctions", outputs).delete_state_machine(stateMachineArn=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("stepfunctions", outputs).describe_state_machine(stateMachineArn=identity)


def logging(inputs: Properties) -> Properties:
    """What is logged, in the form of the API, which calls the destination otherwise."""
    given = inputs.get("loggingConfiguration")
    if not given:
        return {}
    group = {"logGroupArn": given["logDestination"]}
    return {
        "loggingConfiguration": {
            "level": given["level"],
            "includeExecutionData": given.get("includeExecutionData", False),
            "destinations": [{"cloudWatchLogsLogGroup": group}],
        }
    }


HANDLERS: dict[str, Handler] = {"aws:sfn/stateMachine:StateMachine": StateMachine()}
