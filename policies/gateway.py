"""API Gateway: who is let through, how often, and what is written down."""

from collections.abc import Iterator

from policies.rule import UNKNOWN, Resource, both, needs, rule

METHOD = "aws:apigateway/method:Method"
STAGE = "aws:apigateway/stage:Stage"


def _open(resource: Resource) -> Iterator[str]:
    # A browser asks with OPTIONS before it has anything to prove itself with.
    if resource.inputs.get("httpMethod") != "OPTIONS":
        if resource.inputs.get("authorization") == "NONE":
            yield "authorization is NONE: name an authorizer"
        elif not resource.inputs.get("apiKeyRequired"):
            yield "apiKeyRequired isn't true: without a key there are no limits"


def _body_logged(resource: Resource) -> Iterator[str]:
    settings = resource.inputs.get("settings")
    if settings is not UNKNOWN and (settings or {}).get("dataTraceEnabled"):
        yield "settings.dataTraceEnabled is true: bodies, which are patients', would be logged"


RULES = (
    rule("no-open-method", "A method asks for a token and a key", METHOD, _open),
    rule(
        "validated-requests",
        "The gateway checks requests before a function does",
        METHOD,
        needs("requestValidatorId", advice="name a request validator"),
    ),
    rule(
        "metered-keys",
        "A key has a rate, a burst and a quota",
        "aws:apigateway/usagePlan:UsagePlan",
        both(
            needs("quotaSettings.limit", advice="limit the requests of a day"),
            needs("throttleSettings.rateLimit", advice="limit the requests of a second"),
            needs("throttleSettings.burstLimit", advice="limit the requests at once"),
        ),
    ),
    rule(
        "access-logged",
        "A stage logs and traces its requests",
        STAGE,
        both(
            needs("accessLogSettings.destinationArn", advice="log who asked for what"),
            needs("xrayTracingEnabled", True, advice="trace requests through the functions"),
        ),
    ),
    rule(
        "no-bodies-in-logs",
        "Logs hold no bodies",
        "aws:apigateway/methodSettings:MethodSettings",
        _body_logged,
    ),
)
