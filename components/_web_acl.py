"""Web application firewalls: AWS managed rules, rate limits, logs without credentials.

What our own rules refuse is answered as the API answers: with an OperationOutcome.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import pulumi
import pulumi_aws as aws

from ._gateway_responses import RESPONSES

# Rules of the core rule set that FHIR traffic sets off rightly: resources are larger than 8 kB and
# carry narrative in XHTML.
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
BODY_RULES = {
    "SizeRestrictions_BODY": "awswaf:managed:aws:core-rule-set:SizeRestrictions_Body",
    "CrossSiteScripting_BODY": "awswaf:managed:aws:core-rule-set:CrossSiteScripting_Body",
}
# Where the browser goes back to after sign-in is an address, with digits in development. Cognito
# itself takes no other than a client's own.
SIGN_IN_RULES = ("GenericRFI_QUERYARGUMENTS",)
KNOWN_ATTACKS = "AWSManagedRulesKnownBadInputsRuleSet"
RATE_WINDOW_SECONDS = 300
KEY_RATE_LIMIT = 60_000  # 200 in a second; a key's own limit is its usage plan's
API_KEY_HEADER = "x-api-key"
# API Gateway takes 10 MB at most: a length of eight digits is beyond that.
TOO_LONG = "^[0-9]{8,}$"
ORIGIN_SECRET_HEADER = "x-origin-secret"  # noqa: S105 the header's name, not the secret
SENSITIVE_HEADERS = ("authorization", "cookie", API_KEY_HEADER, ORIGIN_SECRET_HEADER)

STATUSES = {"REQUEST_TOO_LARGE": 413, "THROTTLED": 429, "WAF_FILTERED": 403}
"""What a request that a rule refuses is answered, by the kind of the gateway's own answers."""

Rule = Mapping[str, Any]


class Scope(Enum):
    """What a firewall stands in front of."""

    EDGE = "CLOUDFRONT"
    REGION = "REGIONAL"


def baseline_rules(api_paths: Sequence[str], rate_limit: int, key_rate_limit: int) -> list[Rule]:
    """Reputation, core and bad-input rules, and requests per address, per key and five minutes.

    Paths that start with one of `api_paths` may carry large bodies with markup, to 10 MB.
    """
    return [
        *_managed_rules(rate_limit, counted=tuple(BODY_RULES)),
        _rule("body-rules-outside-api", 4, _labelled_outside(api_paths), refuse="WAF_FILTERED"),
        _rule("rate-of-key", 5, _rate(key_rate_limit, API_KEY_HEADER), refuse="THROTTLED"),
        _rule("length", 6, _too_long(), refuse="REQUEST_TOO_LARGE"),
    ]


def sign_in_rules(rate_limit: int) -> list[Rule]:
    """The same for a user pool, whose requests are small. Names and passwords never get here.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-waf.html
    """
    return _managed_rules(rate_limit, counted=SIGN_IN_RULES)


def behind_edge_rules(accepted: pulumi.Input[list[str]]) -> list[Rule]:
    """Only what came through the edge, which sends one of the secrets, and no known attacks."""
    return [_origin_secret(accepted), _managed(KNOWN_ATTACKS, 1)]


def _managed_rules(rate_limit: int, counted: Sequence[str]) -> list[Rule]:
    return [
        _rule("rate", 0, _rate(rate_limit), refuse="THROTTLED"),
        _managed("AWSManagedRulesAmazonIpReputationList", 1),
        _managed(KNOWN_ATTACKS, 2),
        _managed("AWSManagedRulesCommonRuleSet", 3, counted=counted),
    ]


def _origin_secret(accepted: pulumi.Input[list[str]]) -> Rule:
    field = {"single_header": {"name": ORIGIN_SECRET_HEADER}}

    def statement(values: list[str]) -> Mapping[str, Any]:
        matches = [_match(value, "EXACTLY", field) for value in values]
        any_match = matches[0] if len(matches) == 1 else {"or_statement": {"statements": matches}}
        return {"not_statement": {"statement": any_match}}

    return _rule(
        "origin-secret",
        0,
        pulumi.Output.from_input(accepted).apply(statement),
        refuse="WAF_FILTERED",
    )


def web_acl(
    name: str,
    *,
    scope: Scope,
    rules: Sequence[Rule],
    key_arn: pulumi.Input[str],
    retention_days: int,
    region: str | None = None,
    opts: pulumi.ResourceOptions,
) -> aws.wafv2.WebAcl:
    """A firewall that lets through what no rule blocks, and logs to CloudWatch.

    Credentials and query strings, which may name patients, are redacted.
    """
    acl = aws.wafv2.WebAcl(
        name,
        scope=scope.value,
        default_action={"allow": {}},
        rules=rules,  # type: ignore[arg-type]
        # Metrics know the firewall by this alone, in an account with several stacks as well.
        visibility_config=_visibility(f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"),
        custom_response_bodies=[
            {
                "key": kind,
                "content": RESPONSES[kind].template(),
                "content_type": "APPLICATION_JSON",
            }
            for kind in STATUSES
        ],
        region=region,
        opts=opts,
    )
    child = pulumi.ResourceOptions(parent=acl)
    group = aws.cloudwatch.LogGroup(
        name,
        # WAF only logs to groups of this prefix.
        # https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
        name_prefix=f"aws-waf-logs-{name}-",
        kms_key_id=key_arn,
        retention_in_days=retention_days,
        region=region,
        opts=child,
    )
    aws.wafv2.WebAclLoggingConfiguration(
        name,
        resource_arn=acl.arn,
        log_destination_configs=[group.arn],
        redacted_fields=[
            {"query_string": {}},
            *({"single_header": {"name": header}} for header in SENSITIVE_HEADERS),
        ],
        region=region,
        opts=child,
    )
    return acl


def _rule(name: str, priority: int, statement: Any, *, refuse: str | None = None) -> Rule:
    """A rule that refuses what it matches with one of STATUSES, or does as its group says."""
    rule = {
        "name": name,
        "priority": priority,
        "statement": statement,
        "visibility_config": _visibility(name),
    }
    if refuse is None:
        return rule | {"override_action": {"none": {}}}
    answer: dict[str, Any] = {
        "response_code": STATUSES[refuse],
        "custom_response_body_key": refuse,
    }
    if refuse == "THROTTLED":
        answer["response_headers"] = [{"name": "Retry-After", "value": str(RATE_WINDOW_SECONDS)}]
    return rule | {"action": {"block": {"custom_response": answer}}}


def _managed(group: str, priority: int, counted: Sequence[str] = ()) -> Rule:
    overrides = [{"name": rule, "action_to_use": {"count": {}}} for rule in counted]
    statement = {"vendor_name": "AWS", "name": group, "rule_action_overrides": overrides}
    return _rule(group, priority, {"managed_rule_group_statement": statement})


def _rate(limit: int, header: str | None = None) -> Mapping[str, Any]:
    """Requests of one address, or with the same value of a header, in the window."""
    statement: dict[str, Any] = {
        "aggregate_key_type": "IP" if header is None else "CUSTOM_KEYS",
        "evaluation_window_sec": RATE_WINDOW_SECONDS,
        "limit": limit,
    }
    if header is not None:
        named = {"name": header, "text_transformations": [{"priority": 0, "type": "NONE"}]}
        statement["custom_keys"] = [{"header": named}]
    return {"rate_based_statement": statement}


def _too_long() -> Mapping[str, Any]:
    return {
        "regex_match_statement": {
            "regex_string": TOO_LONG,
            "field_to_match": {"single_header": {"name": "content-length"}},
            "text_transformations": [{"priority": 0, "type": "NONE"}],
        }
    }


def _labelled_outside(paths: Sequence[str]) -> Mapping[str, Any]:
    """Requests that a counted body rule labelled, on any other path."""
    labels = [
        {"label_match_statement": {"scope": "LABEL", "key": label}} for label in BODY_RULES.values()
    ]
    outside = [
        {"not_statement": {"statement": _match(path, "STARTS_WITH", {"uri_path": {}})}}
        for path in paths
    ]
    return {"and_statement": {"statements": [{"or_statement": {"statements": labels}}, *outside]}}


def _match(value: str, constraint: str, field: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "byte_match_statement": {
            "search_string": value,
            "positional_constraint": constraint,
            "field_to_match": field,
            "text_transformations": [{"priority": 0, "type": "NONE"}],
        }
    }


def _visibility(name: str) -> Any:
    return {
        "cloudwatch_metrics_enabled": True,
        "metric_name": name,
        "sampled_requests_enabled": False,
    }
