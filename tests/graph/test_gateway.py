"""Gateway: routes, doors, limits and what a change redeploys."""

import json
import re
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components._api_keys import GatewayKeyArgs, parse_api_keys
from components._gateway_responses import RESPONSES
from components._routes import Route, parents, slug
from components.gateway import Gateway, GatewayArgs
from tests.graph.strict import ACCOUNT, REGION, Graph, evaluate

METHOD = "aws:apigateway/method:Method"
INTEGRATION = "aws:apigateway/integration:Integration"
DEPLOYMENT = "aws:apigateway/deployment:Deployment"
PLAN = "aws:apigateway/usagePlan:UsagePlan"
MEMBER = "aws:apigateway/usagePlanKey:UsagePlanKey"
SECRET = "aws:secretsmanager/secret:Secret"
WEB_ACL = "aws:wafv2/webAcl:WebAcl"
POOL = f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{REGION}_1"
API = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:api"
UPLOADS = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:uploads"
MINIMAL: GatewayArgs = {"user_pool_arn": POOL, "routes": {"GET /metadata": API, "ANY /": API}}
FULL: GatewayArgs = {
    "user_pool_arn": POOL,
    "routes": {
        "GET /metadata": API,
        "ANY /": API,
        "ANY /{proxy+}": API,
        "POST /Binary": UPLOADS,
        "ANY /Binary": API,
        "POST /Binary/_search": API,
        "ANY /Binary/{id}": UPLOADS,
        "GET /Binary/{id}/_history": API,
        "GET /Binary/{id}/_history/{vid}": UPLOADS,
        "ANY /Binary/{id}/{operation}": UPLOADS,
    },
    "rest_api_id": "abcdefgh12",
    "rest_api_name": "edge-api",
    "root_resource_id": "root",
    "origin_secrets": ["current", "next"],
    "api_keys": [
        {"name": "portal"},
        {"name": "research", "generations": [2, 3], "throttle": {"rate": 90, "burst": 300}},
    ],
    "throttle": {"rate": 5, "burst": 10, "requests_per_day": 1000},
    "alarm_topic_arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
}


def build(args: GatewayArgs, preview: bool = False) -> Graph:
    return evaluate(lambda: Gateway("gateway", args), preview=preview)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(FULL)


@pytest.fixture(scope="module")
def alone() -> Graph:
    return build(MINIMAL)


def test_same_resources_in_preview_and_update(graph: Graph, alone: Graph) -> None:
    for args, update in ((FULL, graph), (MINIMAL, alone)):
        assert build(args, preview=True).urns == update.urns
        component = update.one("ai4h:index:Gateway")
        assert all(r.parent in update.resources for r in update if r is not component)


def test_every_route_needs_token_and_key_but_the_public_one(graph: Graph) -> None:
    open_methods = {
        r.name
        for r in graph.all(METHOD)
        if r.inputs["authorization"] == "NONE" or not r.inputs.get("apiKeyRequired")
    }
    assert {name for name in open_methods if not name.endswith("-options")} == {
        "gateway-metadata-get"
    }
    closed = graph.one(METHOD, "gateway-Binary-id-any").inputs
    assert closed["authorization"] == "COGNITO_USER_POOLS"
    assert closed["authorizerId"] == "gateway-users-id"
    assert closed["requestParameters"] == {"method.request.path.id": True}
    assert graph.one("aws:apigateway/authorizer:Authorizer").inputs["providerArns"] == [POOL]


def test_routes_reach_their_functions(graph: Graph) -> None:
    uris = {r.name: r.inputs["uri"] for r in graph.all(INTEGRATION) if "uri" in r.inputs}
    assert len(uris) == len(FULL["routes"])
    prefix = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/"
    assert uris["gateway-Binary-post"] == f"{prefix}{UPLOADS}/invocations"
    assert uris["gateway-Binary-any"] == f"{prefix}{API}/invocations"


def test_resource_tree(graph: Graph) -> None:
    parts = {
        r.name: (r.inputs["parentId"], r.inputs["pathPart"])
        for r in graph.all("aws:apigateway/resource:Resource")
    }
    assert parts["gateway-proxy"] == ("root", "{proxy+}")
    assert parts["gateway-Binary-id-_history-vid"] == ("gateway-Binary-id-_history-id", "{vid}")
    assert len(parts) == 8


def test_functions_may_be_called_for_their_routes_only(graph: Graph) -> None:
    permissions = graph.all("aws:lambda/permission:Permission")
    allowed = {(r.inputs["function"], r.inputs["sourceArn"].split(":", 5)[5]) for r in permissions}
    assert (UPLOADS, "abcdefgh12/api/*/Binary/*") in allowed
    assert (API, "abcdefgh12/api/GET/metadata") in allowed
    assert len(allowed) == len(FULL["routes"])
    assert {r.inputs["principal"] for r in permissions} == {"apigateway.amazonaws.com"}


def test_preflight_is_answered_on_every_path(graph: Graph) -> None:
    answers = graph.all("aws:apigateway/integrationResponse:IntegrationResponse")
    assert len(answers) == 9
    for answer in answers:
        headers = answer.inputs["responseParameters"]
        allowed = headers["method.response.header.Access-Control-Allow-Headers"]
        assert "X-Api-Key" in allowed
        assert "Authorization" in allowed
        assert "method.response.header.Access-Control-Allow-Credentials" not in headers


def test_own_answers_are_operation_outcomes(graph: Graph) -> None:
    responses = {
        r.inputs["responseType"]: r.inputs for r in graph.all("aws:apigateway/response:Response")
    }
    assert set(responses) == set(RESPONSES)
    for inputs in responses.values():
        outcome = json.loads(inputs["responseTemplates"]["application/json"])
        assert outcome["resourceType"] == "OperationOutcome"
        assert "$" not in json.dumps(outcome), "nothing of the request is quoted"
        header = inputs["responseParameters"]
        assert header["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"
    statuses = {kind: inputs.get("statusCode") for kind, inputs in responses.items()}
    assert (statuses["UNAUTHORIZED"], statuses["THROTTLED"]) == ("401", "429")
    assert (statuses["REQUEST_TOO_LARGE"], statuses["DEFAULT_4XX"]) == ("413", None)
    throttled = responses["THROTTLED"]["responseParameters"]
    assert throttled["gatewayresponse.header.Retry-After"] == "'1'"


def test_deployment_waits_for_everything_it_serves(graph: Graph) -> None:
    deployment = graph.one(DEPLOYMENT)
    for kind in ("method:Method", "integration:Integration", "response:Response"):
        for part in graph.all(f"aws:apigateway/{kind}"):
            assert part.urn in deployment.depends_on
    stage = graph.one("aws:apigateway/stage:Stage")
    assert deployment.urn in stage.depends_on
    assert stage.inputs["stageName"] == "api"
    assert stage.inputs["xrayTracingEnabled"] is True


@pytest.fixture(scope="module")
def baseline(alone: Graph) -> dict[str, str]:
    return alone.one(DEPLOYMENT).inputs["triggers"]


def trigger(args: GatewayArgs) -> dict[str, str]:
    return build(args).one(DEPLOYMENT).inputs["triggers"]


CHANGES: dict[str, GatewayArgs] = {
    "function": {**MINIMAL, "routes": {"GET /metadata": API, "ANY /": UPLOADS}},
    "route": {**MINIMAL, "routes": {**MINIMAL["routes"], "GET /x": API}},
    "method": {**MINIMAL, "routes": {"GET /metadata": API, "GET /": API}},
    "public": {**MINIMAL, "public_routes": []},
    "user pool": {**MINIMAL, "user_pool_arn": POOL + "x"},
}


@pytest.mark.parametrize("args", CHANGES.values(), ids=CHANGES.keys())
def test_redeploys_on(args: GatewayArgs, baseline: dict[str, str]) -> None:
    assert trigger(args) != baseline


UNCHANGED: dict[str, GatewayArgs] = {
    "same": MINIMAL,
    "order": {**MINIMAL, "routes": dict(reversed(MINIMAL["routes"].items()))},
    "limits": {**MINIMAL, "throttle": {"rate": 1}, "api_keys": [{"name": "other"}]},
}


@pytest.mark.parametrize("args", UNCHANGED.values(), ids=UNCHANGED.keys())
def test_does_not_redeploy_on(args: GatewayArgs, baseline: dict[str, str]) -> None:
    assert trigger(args) == baseline


def test_a_changed_answer_redeploys(
    monkeypatch: pytest.MonkeyPatch, baseline: dict[str, str]
) -> None:
    changed = RESPONSES["THROTTLED"].__class__(429, "throttled", "Slow down.")
    monkeypatch.setitem(RESPONSES, "THROTTLED", changed)
    after = trigger(MINIMAL)
    assert {part for part in after if after[part] != baseline[part]} == {
        "Response gateway-throttled"
    }


def test_keys_and_limits(graph: Graph) -> None:
    plans = {plan.name: plan.inputs for plan in graph.all(PLAN)}
    assert plans["gateway-plan"]["throttleSettings"] == {"rateLimit": 5, "burstLimit": 10}
    assert plans["gateway-plan"]["quotaSettings"] == {"limit": 1000, "period": "DAY"}
    own = plans["gateway-plan-research"]
    assert own["throttleSettings"] == {"rateLimit": 90, "burstLimit": 300}
    assert own["quotaSettings"] == {"limit": 1000, "period": "DAY"}, "as for the others"
    members = {member.inputs["keyId"]: member.inputs["usagePlanId"] for member in graph.all(MEMBER)}
    assert members == {
        "gateway-key-portal-id": "gateway-plan-id",
        "gateway-key-research.2-id": "gateway-plan-research-id",
        "gateway-key-research.3-id": "gateway-plan-research-id",
    }
    settings = graph.one("aws:apigateway/methodSettings:MethodSettings").inputs["settings"]
    assert settings["throttlingRateLimit"] == 90, "the stage isn't slower than one key may be"
    assert settings["throttlingBurstLimit"] == 300
    assert settings["dataTraceEnabled"] is False


def test_outputs_and_secrets_are_the_newest_keys(graph: Graph) -> None:
    outputs = graph.registered_outputs[graph.one("ai4h:index:Gateway").urn]
    assert outputs["api_key_ids"] == {
        "portal": "gateway-key-portal-id",
        "research": "gateway-key-research.3-id",
    }
    assert set(outputs["api_keys"]) == set(outputs["api_key_secret_arns"]) == {"portal", "research"}
    assert outputs["api_keys"]["research"] == "gateway-key-research.3-value"
    for label in ("portal", "research"):
        secret = graph.one(SECRET, f"gateway-key-{label}")
        assert secret.inputs["kmsKeyId"].endswith("gateway-logs/arn")
        version = graph.one("aws:secretsmanager/secretVersion:SecretVersion", secret.name)
        assert version.inputs["secretString"] == outputs["api_keys"][label]
        assert "secretString" in version.secrets


def names_of_keys(*generations: int) -> set[str]:
    holder: GatewayKeyArgs = {"name": "a", "generations": list(generations)}
    graph = build({**MINIMAL, "api_keys": [holder]})
    members = {member.name for member in graph.all(MEMBER)}
    keys = {key.name for key in graph.all("aws:apigateway/apiKey:ApiKey")}
    assert members == keys
    return keys


def test_rotation_adds_a_key_before_it_takes_one_out() -> None:
    """The same resource keeps its value: what was valid stays so until it is taken out."""
    first, both, second = names_of_keys(1), names_of_keys(1, 2), names_of_keys(2)
    assert both == first | second
    assert first == {"gateway-key-a"}
    assert not first & second


WRONG_KEYS: dict[str, tuple[Any, str]] = {
    "names alone": (["portal"], "'portal' isn't a holder; one is {name: hospital-a}"),
    "one name": ("portal", "a list is wanted"),
    "no name": ([{}], "isn't a holder"),
    "a name of the wrong form": ([{"name": "Hospital A"}], "small letters"),
    "twice": ([{"name": "a"}, {"name": "a"}], "a is there twice"),
    "unknown": ([{"name": "a", "generation": 2}], "a: generation isn't known; there are name"),
    "none valid": ([{"name": "a", "generations": []}], "a: generations are numbers that rise"),
    "the wrong order": ([{"name": "a", "generations": [2, 1]}], "the newest last"),
    "no number": ([{"name": "a", "generations": ["1"]}], "a: generations: whole numbers"),
    "half a request": ([{"name": "a", "throttle": {"burst": 1.5}}], "a: burst: whole numbers"),
    "no rate": ([{"name": "a", "throttle": {"rate": 0}}], "a: rate is a number above 0"),
    "no such limit": ([{"name": "a", "throttle": {"daily": 1}}], "a: throttle: daily isn't known"),
}


@pytest.mark.parametrize(("given", "message"), WRONG_KEYS.values(), ids=WRONG_KEYS.keys())
def test_wrong_holders_are_explained(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_api_keys(given)


def test_access_log_holds_no_credentials(graph: Graph) -> None:
    settings = graph.one("aws:apigateway/stage:Stage").inputs["accessLogSettings"]
    record = json.loads(settings["format"])
    assert record["status"] == "$context.status"
    assert not any(
        word in value.lower()
        for value in record.values()
        for word in ("authorization", "header", "querystring", 'identity.apikey"')
    )
    groups = graph.all("aws:cloudwatch/logGroup:LogGroup")
    assert len(groups) == 3
    assert all(r.inputs["kmsKeyId"] and r.inputs["retentionInDays"] == 365 for r in groups)


def matches(statement: dict[str, Any]) -> list[str]:
    inner = statement["notStatement"]["statement"]
    found = inner["orStatement"]["statements"] if "orStatement" in inner else [inner]
    for match in found:
        header = match["byteMatchStatement"]["fieldToMatch"]["singleHeader"]["name"]
        assert header == "x-origin-secret"
        assert match["byteMatchStatement"]["positionalConstraint"] == "EXACTLY"
    return [match["byteMatchStatement"]["searchString"] for match in found]


def test_behind_an_edge_only_its_requests_pass(graph: Graph) -> None:
    acl = graph.one(WEB_ACL)
    rule, attacks = acl.inputs["rules"]
    assert attacks["name"] == "AWSManagedRulesKnownBadInputsRuleSet"
    assert rule["action"]["block"]["customResponse"]["responseCode"] == 403
    assert matches(rule["statement"]) == ["current", "next"]
    association = graph.one("aws:wafv2/webAclAssociation:WebAclAssociation")
    assert graph.waits_for(association, graph.one("aws:apigateway/stage:Stage"))


def test_without_an_edge_the_stage_filters_itself(alone: Graph) -> None:
    names = {rule["name"] for rule in alone.one(WEB_ACL).inputs["rules"]}
    assert {"rate", "AWSManagedRulesCommonRuleSet"} <= names
    assert "origin-secret" not in names


def test_one_secret_is_enough_and_stays_secret() -> None:
    secrets = pulumi.Output.secret(["only"])
    acl = build({**FULL, "origin_secrets": secrets}).one(WEB_ACL)
    assert matches(acl.inputs["rules"][0]["statement"]) == ["only"]
    assert "rules" in acl.secrets


def test_no_alarm_without_a_listener(alone: Graph) -> None:
    assert not alone.all("aws:cloudwatch/metricAlarm:MetricAlarm")


def test_alarms_name_the_api(graph: Graph) -> None:
    alarms = graph.all("aws:cloudwatch/metricAlarm:MetricAlarm")
    watched = {r.inputs["metricName"]: r.inputs["dimensions"] for r in alarms}
    stage = {"ApiName": "edge-api", "Stage": "api"}
    denied = {"ApiId": "abcdefgh12"}
    assert watched == {"5XXError": stage, "Latency": stage, "DeniedRequests": denied}
    for alarm in alarms:
        assert alarm.inputs["alarmActions"] == [FULL.get("alarm_topic_arn")]


def test_makes_its_own_api_only_when_none_is_given(graph: Graph) -> None:
    token = "aws:apigateway/restApi:RestApi"
    assert not graph.all(token)
    assert len(build(MINIMAL).all(token)) == 1
    with pytest.raises(ValueError, match="go together"):
        build({**MINIMAL, "rest_api_id": "abcdefgh12"})


@pytest.mark.parametrize("text", ["/x", "FETCH /x", "GET x", "GET /x/", "GET /a b", "GET "])
def test_bad_route_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="route"):
        Route.parse(text)


def test_paths() -> None:
    assert parents("/") == []
    assert parents("/a/{b}/c") == ["/a", "/a/{b}", "/a/{b}/c"]
    assert slug("/a/{b+}") == "a-b"
    assert Route("ANY", "/{proxy+}").arn_suffix == "*/*"
    assert Route("ANY", "/{proxy+}").parameters == {"method.request.path.proxy": True}


def test_references_carry_through_outputs() -> None:
    """What other components give are outputs, unknown in a preview."""

    def program() -> None:
        pool = aws.cognito.UserPool("pool")
        function = aws.lambda_.Function("api", role="arn:aws:iam::1:role/r")
        Gateway("gateway", {"user_pool_arn": pool.arn, "routes": {"ANY /": function.arn}})

    preview, update = evaluate(program, preview=True), evaluate(program)
    assert preview.urns == update.urns
    permission = update.one("aws:lambda/permission:Permission")
    assert update.waits_for(permission, update.one("aws:lambda/function:Function"))
