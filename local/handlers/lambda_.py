"""Lambda: functions, layers, what calls them and who may."""

import json
from collections.abc import Iterable
from typing import Any

from local.errors import LocalError
from local.handlers.base import Anew, Aws, Handler, Properties, Put, physical_name
from local.processes import wait_until

SECONDS = 30
EMPTY: Properties = {"description": "", "layers": [], "environment": {}}
"""What an update must be told to forget."""
NO_NETWORK = "runs outside a VPC here"
UNENFORCED = "who may call a function isn't checked here"
RETRIES = "here a failing batch is repeated until its age, undivided"


class Function(Handler):
    """A function from a zip. It runs as a process of MiniStack's own Python."""

    fixed = frozenset({"name", "packageType", "architectures"})
    own = ("name", "code", "vpcConfig", "reservedConcurrentExecutions", "publish", "skipDestroy",
           "sourceCodeHash", "replaceSecurityGroupsOnDestroy")  # fmt: skip
    made_once = ("architectures", "packageType", "tags")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        function = physical_name(name, inputs)
        made = aws.call(
            "lambda", "create_function", inputs, leave=self.own, FunctionName=function,
            Code={"ZipFile": aws.contents.read(inputs["code"]["archive"])},
        )  # fmt: skip
        if inputs.get("vpcConfig"):
            aws.note(NO_NETWORK)
        self._reserve(aws, function, {}, inputs)
        _await_ready(aws, function, inputs)
        return function, {"name": function} | self._outputs(aws, made, inputs)

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        if inputs.get("vpcConfig"):
            aws.note(NO_NETWORK)
        if inputs["code"] != outputs["code"]:
            aws.of("lambda", inputs).update_function_code(
                FunctionName=identity, ZipFile=aws.contents.read(inputs["code"]["archive"])
            )
            _await_ready(aws, identity, inputs)
        made = aws.call(
            "lambda", "update_function_configuration", EMPTY | inputs,
            leave=(*self.own, *self.made_once), FunctionName=identity,
        )  # fmt: skip
        self._reserve(aws, identity, outputs, inputs)
        _await_ready(aws, identity, inputs)
        return self._outputs(aws, made, inputs)

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("lambda", outputs).delete_function(FunctionName=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("lambda", outputs).get_function(FunctionName=identity)

    def _reserve(self, aws: Aws, function: str, old: Properties, inputs: Properties) -> None:
        name = "reservedConcurrentExecutions"
        reserved = inputs.get(name, -1)
        if reserved == old.get(name, -1):
            return
        if reserved < 0:
            aws.of("lambda", inputs).delete_function_concurrency(FunctionName=function)
        else:
            aws.of("lambda", inputs).put_function_concurrency(
                FunctionName=function, ReservedConcurrentExecutions=reserved
            )

    def _outputs(self, aws: Aws, made: Properties, inputs: Properties) -> Properties:
        arn = made["FunctionArn"]
        region = inputs.get("region") or aws.clients.region
        return {
            "arn": arn, "qualifiedArn": f"{arn}:$LATEST", "version": "$LATEST",
            "invokeArn": f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}"
                         "/invocations",
            "codeSha256": made["CodeSha256"], "sourceCodeSize": made["CodeSize"],
            "lastModified": made["LastModified"],
        }  # fmt: skip


class LayerVersion(Anew):
    """A version of a layer; each change makes the next one."""

    own = ("code", "skipDestroy", "sourceCodeHash")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        made = aws.call(
            "lambda", "publish_layer_version", inputs, leave=self.own,
            Content={"ZipFile": aws.contents.read(inputs["code"]["archive"])},
        )  # fmt: skip
        arn = made["LayerVersionArn"]
        return arn, {"arn": arn, "layerArn": made["LayerArn"], "version": str(made["Version"])}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("lambda", outputs).delete_layer_version(
            LayerName=outputs["layerName"], VersionNumber=int(outputs["version"])
        )

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("lambda", outputs).get_layer_version_by_arn(Arn=identity)


class Permission(Anew):
    """Lets a service call a function."""

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        statement = physical_name(name, inputs, given="statementId", prefix="statementIdPrefix")
        aws.call(
            "lambda", "add_permission", inputs, leave=("statementId", "statementIdPrefix"),
            rename={"function": "functionName"}, StatementId=statement,
        )  # fmt: skip
        aws.note(UNENFORCED)
        return statement, {"statementId": statement}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("lambda", outputs).remove_permission(
            FunctionName=outputs["function"], StatementId=identity
        )

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        policy = aws.of("lambda", outputs).get_policy(FunctionName=outputs["function"])["Policy"]
        return any(s["Sid"] == identity for s in json.loads(policy)["Statement"])


class EventSourceMapping(Handler):
    """A stream or queue that a function consumes.

    Made anew at each start: MiniStack keeps a mapping's place in a stream over a restart, but not
    the stream, and would skip what comes next."""

    fixed = frozenset({"eventSourceArn", "startingPosition"})
    anew_at_start = True
    delete_first = True
    unkept = ("bisectBatchOnFunctionError", "maximumRetryAttempts", "parallelizationFactor")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        made = aws.call("lambda", "create_event_source_mapping", inputs)
        if any(setting in inputs for setting in self.unkept):
            aws.note(RETRIES)
        arn = aws.arn("lambda", f"event-source-mapping:{made['UUID']}", inputs)
        return made["UUID"], {
            "uuid": made["UUID"], "arn": arn, "functionArn": made["FunctionArn"],
            "state": made["State"],
        }  # fmt: skip

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        made = aws.call(
            "lambda", "update_event_source_mapping", inputs, leave=self.fixed, UUID=identity
        )
        return {"functionArn": made["FunctionArn"], "state": made["State"]}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of("lambda", outputs).delete_event_source_mapping(UUID=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("lambda", outputs).get_event_source_mapping(UUID=identity)


class Invocation(Handler):
    """Runs a function when it is made and when an input changes, as the provider does.

    Raises LocalError with the function's own error when it fails."""

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        result = self._invoke(aws, inputs, "create", None)
        return f"{inputs['functionName']}_{inputs.get('qualifier', '$LATEST')}", {"result": result}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        return {"result": self._invoke(aws, inputs, "update", outputs["input"])}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        if outputs.get("lifecycleScope") == "CRUD":
            self._invoke(aws, outputs, "delete", outputs["input"])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of("lambda", outputs).get_function(FunctionName=outputs["functionName"])

    def _invoke(self, aws: Aws, inputs: Properties, action: str, previous: str | None) -> str:
        event = inputs["input"]
        if inputs.get("lifecycleScope") == "CRUD":
            key = inputs.get("terraformKey", "tf")
            told = {"action": action, "prev_input": previous and json.loads(previous)}
            event = json.dumps(json.loads(event) | {key: told})
        answer = aws.of("lambda", inputs).invoke(
            FunctionName=inputs["functionName"], Payload=event.encode(),
            Qualifier=inputs.get("qualifier", "$LATEST"),
        )  # fmt: skip
        result = answer["Payload"].read().decode()
        if answer.get("FunctionError"):
            raise LocalError(f"{inputs['functionName']} failed: {result}")
        return result


class EventInvokeConfig(Put):
    """What happens to events that a function couldn't handle."""

    fixed = frozenset({"functionName", "qualifier"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        aws.call("lambda", "put_function_event_invoke_config", inputs)
        if (inputs.get("destinationConfig") or {}).get("onSuccess"):
            aws.note("events that succeed aren't delivered to their destination here")
        return ":".join(self._place(inputs).values()), {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        place = self._place(outputs)
        aws.of("lambda", outputs).delete_function_event_invoke_config(**place)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        place = self._place(outputs)
        return aws.of("lambda", outputs).get_function_event_invoke_config(**place)

    def _place(self, properties: Properties) -> dict[str, str]:
        place = {"FunctionName": properties["functionName"]}
        if properties.get("qualifier"):
            place["Qualifier"] = properties["qualifier"]
        return place


def _await_ready(aws: Aws, function: str, properties: Properties) -> None:
    """Until a new function or code can be called: half a second at MiniStack."""
    client = aws.of("lambda", properties)

    def ready() -> bool:
        found = client.get_function_configuration(FunctionName=function)
        return _settled(found.get("State"), ("Active",)) and _settled(
            found.get("LastUpdateStatus"), ("Successful",)
        )

    if not wait_until(ready, SECONDS):
        raise LocalError(f"{function} isn't ready after {SECONDS} s")


def _settled(state: str | None, good: Iterable[str]) -> bool:
    return state is None or state in good


HANDLERS: dict[str, Handler] = {
    "aws:lambda/function:Function": Function(),
    "aws:lambda/layerVersion:LayerVersion": LayerVersion(),
    "aws:lambda/permission:Permission": Permission(),
    "aws:lambda/eventSourceMapping:EventSourceMapping": EventSourceMapping(),
    "aws:lambda/invocation:Invocation": Invocation(),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": EventInvokeConfig(),
}
