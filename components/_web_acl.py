"""Web application firewalls: AWS managed rules, rate limits, logs without credentials."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import pulumi
import pulumi_aws as aws

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
RATE_WINDOW_SECONDS = 300
ORIGIN_SECRET_HEADER = "x-origin-secret"  # noqa: S105 the header's name, not the secret
SENSITIVE_HEADERS = ("authorization", "cookie", "x-api-key", ORIGIN_SECRET_HEADER)

Rule = Mapping[str, Any]


class Scope(Enum):
    """What a firewall stands in front of."""

    EDGE = "CLOUDFRONT"
    REGION = "REGIONAL"


def baseline_rules(api_paths: Sequence[str], rate_limit: int) -> list[Rule]:
    """Reputation, core and bad-input rules, and requests per address and five minutes.

    Paths that start with one of `api_paths` may carry large bodies with markup.
    """
    return [
        *_managed_rules(rate_limit, counted=tuple(BODY_RULES)),
        _rule("body-rules-outside-api", 4, _labelled_outside(api_paths), block=True),
    ]


def sign_in_rules(rate_limit: int) -> list[Rule]:
    """The same for a user pool, whose requests are small. Names and passwords never get here.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-waf.html
    """
    return _managed_rules(rate_limit, counted=SIGN_IN_RULES)


def _managed_rules(rate_limit: int, counted: Sequence[str]) -> list[Rule]:
    return [
        _rule("rate", 0, {"rate_based_statement": _rate(rate_limit)}, block=True),
        _managed("AWSManagedRulesAmazonIpReputationList", 1),
        _managed("AWSManagedRulesKnownBadInputsRuleSet", 2),
        _managed("AWSManagedRulesCommonRuleSet", 3, counted=counted),
    ]


def origin_secret_rule(accepted: pulumi.Input[list[str]]) -> Rule:
    """Blocks requests that didn't come through the edge, which sends one of the secrets."""
    field = {"single_header": {"name": ORIGIN_SECRET_HEADER}}

    def statement(values: list[str]) -> Mapping[str, Any]:
        matches = [_match(value, "EXACTLY", field) for value in values]
        any_match = matches[0] if len(matches) == 1 else {"or_statement": {"statements": matches}}
        return {"not_statement": {"statement": any_match}}

    return _rule(
        "origin-secret", 0, pulumi.Output.from_input(accepted).apply(statement), block=True
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


def _rule(name: str, priority: int, statement: Any, *, block: bool = False) -> Rule:
    action: Mapping[str, Any] = (
        {"action": {"block": {}}} if block else {"override_action": {"none": {}}}
    )
    return {
        "name": name,
        "priority": priority,
        "statement": statement,
        "visibility_config": _visibility(name),
        **action,
    }


def _managed(group: str, priority: int, counted: Sequence[str] = ()) -> Rule:
    overrides = [{"name": rule, "action_to_use": {"count": {}}} for rule in counted]
    statement = {"vendor_name": "AWS", "name": group, "rule_action_overrides": overrides}
    return _rule(group, priority, {"managed_rule_group_statement": statement})


def _rate(limit: int) -> Mapping[str, Any]:
    return {
        "aggregate_key_type": "IP",
        "evaluation_window_sec": RATE_WINDOW_SECONDS,
        "limit": limit,
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
