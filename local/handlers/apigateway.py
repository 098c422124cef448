"""API Gateway: a REST API, its stage, keys and plans. What hangs on its paths is in routes.py."""

from typing import Any

from local.handlers.base import Anew, Aws, Handler, Properties, Put, physical_name
from local.handlers.routes import HANDLERS as ROUTES
from local.handlers.routes import SERVICE, api_id

PLAN = {"throttleSettings": "throttle", "quotaSettings": "quota"}
# How MethodSettings are called in a stage's patch.
# https://docs.aws.amazon.com/apigateway/latest/api/patch-operations.html
SETTINGS = {
    "metricsEnabled": "metrics/enabled",
    "loggingLevel": "logging/loglevel",
    "dataTraceEnabled": "logging/dataTrace",
    "throttlingBurstLimit": "throttling/burstLimit",
    "throttlingRateLimit": "throttling/rateLimit",
    "cachingEnabled": "caching/enabled",
    "cacheTtlInSeconds": "caching/ttlInSeconds",
    "cacheDataEncrypted": "caching/dataEncrypted",
}


class RestApi(Handler):
    """A REST API with its root resource."""

    fixed = frozenset({"apiKeySource", "binaryMediaTypes", "body", "endpointConfiguration"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        api = physical_name(name, inputs, longest=128)
        made = aws.call(SERVICE, "create_rest_api", inputs, leave=("name",), name=api)
        return made["id"], {
            "name": api, "rootResourceId": made["rootResourceId"],
            "arn": _arn(aws, f"restapis/{made['id']}", inputs),
            "executionArn": aws.arn("execute-api", made["id"], inputs),
        }  # fmt: skip

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        names = ("name", "description", "minimumCompressionSize", "policy")
        patch = [replaced(name, inputs[name]) for name in names if inputs.get(name) is not None]
        aws.of(SERVICE, inputs).update_rest_api(restApiId=identity, patchOperations=patch)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_rest_api(restApiId=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_rest_api(restApiId=identity)


class Deployment(Anew):
    """A snapshot of the API on AWS; here changes are live, and it is a name for the stage."""

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        made = aws.call(
            SERVICE, "create_deployment", inputs, leave=("triggers", "restApi"),
            restApiId=api_id(inputs),
        )  # fmt: skip
        aws.note("changes are live here without a deployment")
        return made["id"], {"createdDate": made["createdDate"].isoformat()}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_deployment(restApiId=api_id(outputs), deploymentId=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_deployment(
            restApiId=api_id(outputs), deploymentId=identity
        )


class Stage(Handler):
    """A stage, under whose name the API is called."""

    fixed = frozenset({"restApi", "stageName"})
    delete_first = True
    own = ("restApi", "deployment", "accessLogSettings", "xrayTracingEnabled")

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        api, stage = api_id(inputs), inputs["stageName"]
        aws.call(
            SERVICE, "create_stage", inputs, leave=self.own, restApiId=api,
            deploymentId=inputs["deployment"],
            tracingEnabled=bool(inputs.get("xrayTracingEnabled")),
        )  # fmt: skip
        self._log(aws, inputs)
        return f"ags-{api}-{stage}", {
            "arn": _arn(aws, f"restapis/{api}/stages/{stage}", inputs),
            "executionArn": aws.arn("execute-api", f"{api}/{stage}", inputs),
            "invokeUrl": f"{aws.clients.endpoint_url}/_aws/execute-api/{api}/{stage}",
        }  # fmt: skip

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        aws.of(SERVICE, inputs).update_stage(
            restApiId=api_id(inputs), stageName=inputs["stageName"], patchOperations=[
                replaced("deploymentId", inputs["deployment"]),
                replaced("description", inputs.get("description", "")),
                replaced("tracingEnabled", bool(inputs.get("xrayTracingEnabled"))),
                *(replaced(f"variables/{name}", value)
                  for name, value in (inputs.get("variables") or {}).items()),
            ],
        )  # fmt: skip
        self._log(aws, inputs)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_stage(
            restApiId=api_id(outputs), stageName=outputs["stageName"]
        )

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_stage(
            restApiId=api_id(outputs), stageName=outputs["stageName"]
        )

    def _log(self, aws: Aws, inputs: Properties) -> None:
        if settings := inputs.get("accessLogSettings"):
            aws.of(SERVICE, inputs).update_stage(
                restApiId=api_id(inputs), stageName=inputs["stageName"], patchOperations=[
                    replaced(f"accessLogSettings/{name}", value)
                    for name, value in settings.items()
                ],
            )  # fmt: skip
            aws.note("no access log is written here")


class MethodSettings(Put):
    """Limits and logs of a stage's methods; of these, the limits count here."""

    fixed = frozenset({"restApi", "stageName", "methodPath"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        self._patch(aws, inputs, [
            replaced(f"{inputs['methodPath']}/{SETTINGS[setting]}", value)
            for setting, value in inputs["settings"].items() if setting in SETTINGS
        ])  # fmt: skip
        return f"{api_id(inputs)}-{inputs['stageName']}-{inputs['methodPath']}", {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        self._patch(aws, outputs, [{"op": "remove", "path": f"/{outputs['methodPath']}"}])

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_stage(
            restApiId=api_id(outputs), stageName=outputs["stageName"]
        )

    def _patch(self, aws: Aws, properties: Properties, patch: list[dict[str, str]]) -> None:
        aws.of(SERVICE, properties).update_stage(
            restApiId=api_id(properties), stageName=properties["stageName"], patchOperations=patch
        )


class ApiKey(Handler):
    """A key by which requests are metered."""

    fixed = frozenset({"value"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        key = physical_name(name, inputs)
        made = aws.call(
            SERVICE, "create_api_key", inputs, leave=("name", "enabled"), name=key,
            enabled=inputs.get("enabled", True),
        )  # fmt: skip
        arn = _arn(aws, f"apikeys/{made['id']}", inputs)
        return made["id"], {"name": key, "value": made["value"], "arn": arn}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        names = ("name", "description", "enabled", "customerId")
        patch = [replaced(name, inputs[name]) for name in names if inputs.get(name) is not None]
        aws.of(SERVICE, inputs).update_api_key(apiKey=identity, patchOperations=patch)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_api_key(apiKey=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_api_key(apiKey=identity)


class UsagePlan(Handler):
    """Limits for the keys that belong to it."""

    fixed = frozenset({"apiStages"})

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        plan = physical_name(name, inputs)
        made = aws.call(
            SERVICE, "create_usage_plan", inputs, leave=("name",), rename=PLAN, name=plan
        )
        return made["id"], {"name": plan, "arn": _arn(aws, f"usageplans/{made['id']}", inputs)}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        names = ("name", "description")
        patch = [replaced(name, inputs[name]) for name in names if inputs.get(name) is not None]
        patch += [
            replaced(f"{group}/{name}", value)
            for settings, group in PLAN.items()
            for name, value in (inputs.get(settings) or {}).items()
        ]
        aws.of(SERVICE, inputs).update_usage_plan(usagePlanId=identity, patchOperations=patch)
        return {}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_usage_plan(usagePlanId=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_usage_plan(usagePlanId=identity)


class UsagePlanKey(Anew):
    """A key's place in a usage plan."""

    delete_first = True

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        made = aws.call(SERVICE, "create_usage_plan_key", inputs)
        return made["id"], {"name": made["name"], "value": made["value"]}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_usage_plan_key(
            usagePlanId=outputs["usagePlanId"], keyId=outputs["keyId"]
        )

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_usage_plan_key(
            usagePlanId=outputs["usagePlanId"], keyId=outputs["keyId"]
        )


def replaced(path: str, value: Any) -> dict[str, str]:
    """A patch operation; API Gateway takes all values as texts."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"op": "replace", "path": f"/{path}", "value": text}


def _arn(aws: Aws, path: str, properties: Properties) -> str:
    """An ARN of API Gateway's own, without account."""
    region = properties.get("region") or aws.clients.region
    return f"arn:aws:apigateway:{region}::/{path}"


HANDLERS: dict[str, Handler] = {
    "aws:apigateway/restApi:RestApi": RestApi(),
    "aws:apigateway/deployment:Deployment": Deployment(),
    "aws:apigateway/stage:Stage": Stage(),
    "aws:apigateway/methodSettings:MethodSettings": MethodSettings(),
    "aws:apigateway/apiKey:ApiKey": ApiKey(),
    "aws:apigateway/usagePlan:UsagePlan": UsagePlan(),
    "aws:apigateway/usagePlanKey:UsagePlanKey": UsagePlanKey(),
    **ROUTES,
}
