"""API Gateway: paths of a REST API, their methods, and what answers for them."""

from typing import Any

from local.handlers.base import Anew, Aws, Handler, Properties, physical_name

SERVICE = "apigateway"
RENAMED = {
    "restApi": "restApiId",
    "authorization": "authorizationType",
    "timeoutMilliseconds": "timeoutInMillis",
}


class Resource(Anew):
    """A path segment."""

    delete_first = True

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        made = aws.call(SERVICE, "create_resource", inputs, rename=RENAMED)
        return made["id"], {"path": made["path"]}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        aws.of(SERVICE, outputs).delete_resource(restApiId=api_id(outputs), resourceId=identity)

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return aws.of(SERVICE, outputs).get_resource(restApiId=api_id(outputs), resourceId=identity)


class Part(Handler):
    """Something of a method, put as a whole at its place."""

    delete_first = True

    def __init__(self, kind: str, *place: str) -> None:
        """`kind` as in the names of its operations; `place` are the inputs that identify it."""
        self._kind = kind
        self._place = place
        self.fixed = frozenset(place)

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        aws.call(SERVICE, f"put_{self._kind}", inputs, rename=RENAMED)
        return "-".join(["agx", *self.at(inputs).values()]), {}

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = aws.of(SERVICE, inputs)
        before = getattr(client, f"get_{self._kind}")(**self.at(inputs))
        self.create(aws, "", inputs)
        self.restore(client, self.at(inputs), before)
        return {}

    def restore(self, client: Any, at: Properties, before: Properties) -> None:
        """Puts back what belongs to other resources and hung on this one before it was put."""

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        getattr(aws.of(SERVICE, outputs), f"delete_{self._kind}")(**self.at(outputs))

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        return getattr(aws.of(SERVICE, outputs), f"get_{self._kind}")(**self.at(outputs))

    def at(self, properties: Properties) -> Properties:
        return {RENAMED.get(name, name): properties[name] for name in self._place}


class Integration(Part):
    """What answers for a method; its responses hang on it."""

    def restore(self, client: Any, at: Properties, before: Properties) -> None:
        for response in before.get("integrationResponses", {}).values():
            client.put_integration_response(**at, **_without(response))


class Method(Integration):
    """A method of a path; its responses and its integration hang on it."""

    def restore(self, client: Any, at: Properties, before: Properties) -> None:
        for response in before.get("methodResponses", {}).values():
            client.put_method_response(**at, **_without(response))
        if integration := before.get("methodIntegration"):
            own = _without(integration, "integrationResponses")
            # The answer calls the method of the call behind by the name of the route's.
            behind = own.pop("httpMethod", "POST")
            client.put_integration(**at, **own, integrationHttpMethod=behind)
            super().restore(client, at, integration)


class Named(Anew):
    """A part of an API with an id, that methods name."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        own_name = physical_name(name, inputs)
        made = aws.call(
            SERVICE, f"create_{self._kind}", inputs, leave=("name",), rename=RENAMED, name=own_name
        )
        return made["id"], {"name": own_name}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        getattr(aws.of(SERVICE, outputs), f"delete_{self._kind}")(**self._at(identity, outputs))

    def look(self, aws: Aws, identity: str, outputs: Properties) -> Any:
        at = self._at(identity, outputs)
        return getattr(aws.of(SERVICE, outputs), f"get_{self._kind}")(**at)

    def _at(self, identity: str, outputs: Properties) -> Properties:
        return {"restApiId": api_id(outputs), f"{self._kind.replace('_v', 'V')}Id": identity}


def api_id(properties: Properties) -> str:
    """The REST API that something belongs to."""
    return properties["restApi"]


def _without(answer: Properties, *names: str) -> Properties:
    """What an operation answered, as the arguments to put it again."""
    return {
        name: value
        for name, value in answer.items()
        if value is not None and name not in ("ResponseMetadata", *names)
    }


METHOD = ("restApi", "resourceId", "httpMethod")
RESPONSE = (*METHOD, "statusCode")

HANDLERS: dict[str, Handler] = {
    "aws:apigateway/resource:Resource": Resource(),
    "aws:apigateway/method:Method": Method("method", *METHOD),
    "aws:apigateway/integration:Integration": Integration("integration", *METHOD),
    "aws:apigateway/methodResponse:MethodResponse": Part("method_response", *RESPONSE),
    "aws:apigateway/integrationResponse:IntegrationResponse": Part(
        "integration_response", *RESPONSE
    ),
    "aws:apigateway/response:Response": Part("gateway_response", "restApiId", "responseType"),
    "aws:apigateway/authorizer:Authorizer": Named("authorizer"),
    "aws:apigateway/requestValidator:RequestValidator": Named("request_validator"),
}
