"""Gateway: the REST API's doors: who may call which path, how often, and what is recorded."""

import json
from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ._alarm_catalogue import OWN, api_alarms
from ._alarms import raise_alarms
from ._api_keys import ApiKeys, GatewayKeyArgs, GatewayThrottleArgs, parse_api_keys, stage_limits
from ._arns import arn
from ._dashboard_parts import gateway_part
from ._gateway_responses import gateway_responses
from ._keys import encryption_key, log_statement
from ._order import after
from ._routes import STAGE, Route, RouteTable, part, triggers
from ._web_acl import KEY_RATE_LIMIT, Scope, baseline_rules, behind_edge_rules, web_acl

# The template of a path, not its query: queries may name patients. No header, so no token.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "api": "$context.apiId",
    "time": "$context.requestTimeEpoch",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "resource": "$context.resourcePath",
    "path": "$context.path",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "latency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "subject": "$context.authorizer.claims.sub",
    "apiKeyId": "$context.identity.apiKeyId",
    "error": "$context.error.responseType",
    "firewall": "$context.wafResponseCode",
    "trace": "$context.xrayTraceId",
}


# The log's values are all texts.
DENIED = '{ ($.status = "401") || ($.status = "403") }'


class GatewayArgs(TypedDict):
    user_pool_arn: pulumi.Input[str]
    """User pool whose ID tokens are accepted."""
    routes: dict[str, pulumi.Input[str]]
    """`"METHOD /path"` (or `ANY`) to the ARN of the function that serves it."""
    public_routes: NotRequired[list[str]]
    """Routes that need neither token nor API key. Default: `GET /metadata`."""
    rest_api_id: NotRequired[pulumi.Input[str]]
    """An empty REST API to use, together with the next two. Default: makes its own."""
    rest_api_name: NotRequired[pulumi.Input[str]]
    """The REST API's name, by which its metrics are found."""
    root_resource_id: NotRequired[pulumi.Input[str]]
    """The REST API's root resource."""
    origin_secrets: NotRequired[pulumi.Input[list[str]]]
    """Requests must have one of these in the header `x-origin-secret`. Default: not asked for."""
    api_keys: NotRequired[list[GatewayKeyArgs]]
    """Who holds API keys. Default: one holder, `default`."""
    throttle: NotRequired[GatewayThrottleArgs]
    """Limits per API key; the stage as a whole has ten times the rate and burst, or what the
    largest key may have if that is more."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that alarms go to. Default: no alarms, since nobody would hear them."""
    log_retention_days: NotRequired[int]
    """How long access and firewall logs are kept, in days. Default: 365."""


class Gateway(pulumi.ComponentResource):
    """A REST API's stage: tokens and API keys checked, requests metered, filtered and logged.

    Creates: authorizer, resources, methods, integrations, CORS answers, gateway responses as
    OperationOutcome, deployment and stage, API keys with usage plans and secrets, firewall, access
    log with a count of denied requests, alarms when there is a topic, and a REST API when none is
    given.
    """

    stage_url: pulumi.Output[str]
    """Address of the stage itself; with an origin secret, only the edge may use it."""
    api_key_ids: pulumi.Output[dict[str, str]]
    """Id of each holder's newest API key."""
    api_keys: pulumi.Output[dict[str, str]]
    """Value of each holder's newest API key (secret)."""
    api_key_secret_arns: pulumi.Output[dict[str, str]]
    """The secret of each holder, whose value is their newest API key."""
    usage_plan_id: pulumi.Output[str]
    """The usage plan of all holders without limits of their own."""
    dashboard: pulumi.Output[str]
    """Its part of a `Dashboard`."""

    def __init__(
        self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:Gateway", name, {}, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._region = aws.get_region_output().region
        self._retention = int(args.get("log_retention_days", 365))
        functions = {Route.parse(text): arn for text, arn in args["routes"].items()}
        public = [Route.parse(text) for text in args.get("public_routes", ["GET /metadata"])]

        self._api_id, self._api_name, root_id = self._rest_api(args)
        key = encryption_key(
            f"{name}-logs",
            f"Access and firewall logs and API keys of {name}",
            statements=[log_statement(self._region)],
            opts=self._child,
        )
        deployment = self._deployment(functions, public, root_id, args["user_pool_arn"])
        holders = parse_api_keys(args.get("api_keys", [{"name": "default"}]))
        throttle = args.get("throttle", {})
        stage = self._stage(deployment, key, stage_limits(throttle, holders))
        self._permissions(functions)
        acl = self._firewall(stage, key, args.get("origin_secrets"))
        keys = ApiKeys(
            name,
            holders,
            api_id=self._api_id,
            stage=stage,
            throttle=throttle,
            key=key,
            opts=self._child,
        )
        topic_arn = args.get("alarm_topic_arn")
        if topic_arn is not None:
            alarms = api_alarms(self._api_name, self._api_id, STAGE)
            raise_alarms(name, alarms, topic_arn, self._child)

        self.stage_url = pulumi.Output.concat(
            "https://", self._api_id, ".execute-api.", self._region, ".amazonaws.com/", STAGE
        )
        self.api_key_ids = pulumi.Output.all(**{n: each.id for n, each in keys.newest.items()})
        self.api_keys = pulumi.Output.secret(
            pulumi.Output.all(**{n: each.value for n, each in keys.newest.items()})
        )
        self.api_key_secret_arns = pulumi.Output.all(
            **{n: each.arn for n, each in keys.secrets.items()}
        )
        self.usage_plan_id = keys.plan.id
        self.dashboard = gateway_part(self._api_name, self._api_id, STAGE, acl)
        self.register_outputs(
            {
                "stage_url": self.stage_url,
                "api_key_ids": self.api_key_ids,
                "api_keys": self.api_keys,
                "api_key_secret_arns": self.api_key_secret_arns,
                "usage_plan_id": self.usage_plan_id,
                "dashboard": self.dashboard,
            }
        )

    def _rest_api(
        self, args: GatewayArgs
    ) -> tuple[pulumi.Input[str], pulumi.Input[str], pulumi.Input[str]]:
        """Id, name and root resource of the REST API."""
        given = [args.get(key) for key in ("rest_api_id", "rest_api_name", "root_resource_id")]
        api_id, api_name, root_id = given
        if api_id is not None and api_name is not None and root_id is not None:
            return api_id, api_name, root_id
        if any(value is not None for value in given):
            raise ValueError("rest_api_id, rest_api_name and root_resource_id go together")
        api = aws.apigateway.RestApi(
            f"{self._name}-api",
            description=f"FHIR API of {pulumi.get_project()} ({pulumi.get_stack()})",
            endpoint_configuration={"types": "REGIONAL"},
            minimum_compression_size="1024",
            opts=self._child,
        )
        return api.id, api.name, api.root_resource_id

    def _deployment(
        self,
        functions: Mapping[Route, pulumi.Input[str]],
        public: list[Route],
        root_id: pulumi.Input[str],
        user_pool_arn: pulumi.Input[str],
    ) -> aws.apigateway.Deployment:
        authorizer = part(
            aws.apigateway.Authorizer,
            f"{self._name}-users",
            self._child,
            rest_api=self._api_id,
            type="COGNITO_USER_POOLS",
            provider_arns=[user_pool_arn],
            identity_source="method.request.header.Authorization",
        )
        validator = part(
            aws.apigateway.RequestValidator,
            f"{self._name}-parameters",
            self._child,
            rest_api=self._api_id,
            validate_request_parameters=True,
        )
        table = RouteTable(
            name=self._name,
            rest_api_id=self._api_id,
            root_resource_id=root_id,
            authorizer_id=authorizer.resource.id,
            validator_id=validator.resource.id,
            opts=self._child,
        )
        uris = {route: self._invocation_uri(arn) for route, arn in functions.items()}
        parts = [
            authorizer,
            validator,
            *table.build(uris, public),
            *gateway_responses(self._name, self._api_id, self._child),
        ]
        return aws.apigateway.Deployment(
            f"{self._name}-deployment",
            rest_api=self._api_id,
            triggers=triggers(parts),
            opts=after(self._child, *(item.resource for item in parts)),
        )

    def _invocation_uri(self, function_arn: pulumi.Input[str]) -> pulumi.Output[str]:
        path = ("path/2015-03-31/functions/", function_arn, "/invocations")
        return arn("apigateway", *path, account="lambda")

    def _permissions(self, functions: Mapping[Route, pulumi.Input[str]]) -> None:
        """The gateway may call each function for its own routes only."""
        stage_arn = arn("execute-api", self._api_id, "/", STAGE)
        for route, function_arn in functions.items():
            aws.lambda_.Permission(
                f"{self._name}-{route.label}",
                action="lambda:InvokeFunction",
                principal="apigateway.amazonaws.com",
                function=function_arn,
                source_arn=pulumi.Output.concat(stage_arn, "/", route.arn_suffix),
                opts=self._child,
            )

    def _stage(
        self,
        deployment: aws.apigateway.Deployment,
        key: aws.kms.Key,
        limits: tuple[float, int],
    ) -> aws.apigateway.Stage:
        access = aws.cloudwatch.LogGroup(
            f"{self._name}-access",
            kms_key_id=key.arn,
            retention_in_days=self._retention,
            opts=self._child,
        )
        aws.cloudwatch.LogMetricFilter(
            f"{self._name}-denied",
            log_group_name=access.name,
            pattern=DENIED,
            metric_transformation={
                "namespace": OWN,
                "name": "DeniedRequests",
                "value": "1",
                "unit": "Count",
                "dimensions": {"ApiId": "$.api"},
            },
            opts=self._child,
        )
        # API Gateway would make this group itself, unencrypted and kept forever.
        errors = aws.cloudwatch.LogGroup(
            f"{self._name}-errors",
            name=pulumi.Output.concat("API-Gateway-Execution-Logs_", self._api_id, "/", STAGE),
            kms_key_id=key.arn,
            retention_in_days=self._retention,
            opts=self._child,
        )
        stage = aws.apigateway.Stage(
            f"{self._name}-stage",
            rest_api=self._api_id,
            deployment=deployment.id,
            stage_name=STAGE,
            access_log_settings={
                "destination_arn": access.arn,
                "format": json.dumps(ACCESS_LOG, separators=(",", ":")),
            },
            xray_tracing_enabled=True,
            opts=after(self._child, errors),
        )
        aws.apigateway.MethodSettings(
            f"{self._name}-settings",
            rest_api=self._api_id,
            stage_name=stage.stage_name,
            method_path="*/*",
            settings={
                "logging_level": "ERROR",
                "data_trace_enabled": False,
                "metrics_enabled": True,
                "throttling_rate_limit": limits[0],
                "throttling_burst_limit": limits[1],
            },
            opts=self._child,
        )
        return stage

    def _firewall(
        self,
        stage: aws.apigateway.Stage,
        key: aws.kms.Key,
        origin_secrets: pulumi.Input[list[str]] | None,
    ) -> aws.wafv2.WebAcl:
        """Behind an edge, the secret tells its requests; without one, the stage is the edge."""
        if origin_secrets is None:
            rules = baseline_rules([f"/{STAGE}"], rate_limit=2000, key_rate_limit=KEY_RATE_LIMIT)
        else:
            rules = behind_edge_rules(origin_secrets)
        acl = web_acl(
            f"{self._name}-firewall",
            scope=Scope.REGION,
            rules=rules,
            key_arn=key.arn,
            retention_days=self._retention,
            opts=self._child,
        )
        aws.wafv2.WebAclAssociation(
            f"{self._name}-firewall",
            resource_arn=stage.arn,
            web_acl_arn=acl.arn,
            opts=self._child,
        )
        return acl
