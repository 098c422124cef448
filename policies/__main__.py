"""The policy pack: `pulumi preview --policy-pack policies` refuses a stack that breaks a rule."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

# Pulumi runs this folder, not a module of it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policies.exceptions import excepted
from policies.rule import UNKNOWN, Resource, Rule
from policies.rules import (
    RULES,
    Registered,
    unblocked_buckets,
    unfiltered,
    unlogged_buckets,
    unwatched_certificates,
)


def known(value: Any) -> Any:
    """The value with UNKNOWN where the engine's own mapping would raise on reading."""
    if isinstance(value, Mapping):
        return {key: _read(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_read(value, index) for index in range(len(value))]
    return value


def _read(container: Any, key: Any) -> Any:
    try:
        return known(container[key])
    except UnknownValueError:
        return UNKNOWN


def resource_policy(rule: Rule) -> ResourceValidationPolicy:
    """The rule in the pack's terms."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(args.resource_type, known(args.props), args.opts.protect)
        if not excepted(rule.name, args.urn):
            for problem in rule.check(resource):
                report(problem, None)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def registered(args: StackValidationArgs, through: str) -> list[Registered]:
    """The stack's resources, with what each depends on through one of its inputs."""
    return [
        (
            resource.urn,
            resource.resource_type,
            [needed.urn for needed in resource.property_dependencies.get(through, [])],
        )
        for resource in args.resources
    ]


def every_bucket_is_blocked(args: StackValidationArgs, report: ReportViolation) -> None:
    """Reports buckets without a public access block."""
    for urn in unblocked_buckets(registered(args, "bucket")):
        report("the bucket has no BucketPublicAccessBlock: make it with private_bucket", urn)


def every_bucket_is_logged(args: StackValidationArgs, report: ReportViolation) -> None:
    """Reports buckets without an access log."""
    for urn in unlogged_buckets(registered(args, "bucket")):
        report("the bucket has no access log: give it one with log_access", urn)


def every_door_is_filtered(args: StackValidationArgs, report: ReportViolation) -> None:
    """Reports user pools and stages without a firewall."""
    for urn in unfiltered(registered(args, "resourceArn")):
        report("no firewall stands before it: make one with web_acl and a WebAclAssociation", urn)


def every_certificate_is_watched(args: StackValidationArgs, report: ReportViolation) -> None:
    """Reports certificates whose end nobody would notice."""
    resources = [
        (resource.urn, Resource(resource.resource_type, known(resource.props)))
        for resource in args.resources
    ]
    for urn, arn in unwatched_certificates(resources):
        if not excepted("watched-certificates", urn):
            report(f"no alarm watches the end of {arn}: set alarm_topic_arn", urn)


PolicyPack(
    "ai4h",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        *(resource_policy(rule) for rule in RULES),
        StackValidationPolicy(
            "public-access-blocked",
            "Each bucket has a public access block",
            every_bucket_is_blocked,
        ),
        StackValidationPolicy(
            "logged-buckets",
            "Each bucket has an access log, but those of logs",
            every_bucket_is_logged,
        ),
        StackValidationPolicy(
            "filtered-doors",
            "Each user pool and each stage has a firewall",
            every_door_is_filtered,
        ),
        StackValidationPolicy(
            "watched-certificates",
            "Each certificate that ends one day has an alarm before",
            every_certificate_is_watched,
        ),
    ],
)
