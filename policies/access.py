"""Who may do what: IAM and resource policies, and what role may be taken by whom."""

import re
from collections.abc import Iterator
from typing import Any

from policies.rule import UNKNOWN, Resource, allowed, listed, rule

UNSCOPED = re.compile(
    "|".join(
        (
            # Descriptions, which know no resource.
            r"(ec2|elasticloadbalancing):(Describe|Get)\w+",
            r"(cloudwatch|events|tag):(Get|List)\w+",
            r"ecr:GetAuthorizationToken",
            r"pricing:GetProducts",
            r"ses:GetSendQuota",
            r"sqs:ListQueues",
            r"dynamodb:ListStreams",
            r"iam:ListInstanceProfiles",
            # Lambda asks for these on all, and X-Ray has no resources.
            r"ec2:(Assign|Unassign)PrivateIpAddresses",
            r"ec2:(Create|Delete)NetworkInterface",
            r"xray:Put(TelemetryRecords|TraceSegments)",
            # Step Functions manages the delivery of its logs with the machine's role.
            r"logs:(Create|Delete|Get|Update)LogDelivery",
            r"logs:(ListLogDeliveries|PutResourcePolicy|Describe(LogGroups|ResourcePolicies))",
            # Scoped by a condition on the service.
            r"iam:CreateServiceLinkedRole",
        )
    )
)
"""Actions that AWS doesn't let one restrict to resources, by the Service Authorization Reference.
https://docs.aws.amazon.com/service-authorization/latest/reference/"""

IDENTITY_POLICIES = (
    *("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy", "aws:iam/userPolicy:UserPolicy"),
)


def _lets_everybody(resource: Resource) -> Iterator[str]:
    for key, statement in allowed(resource):
        if _is_anybody(statement.get("Principal")):
            yield f"{key} lets everybody {statement['Action']}: name the principal"


def _is_anybody(principal: Any) -> bool:
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return "*" in listed(named)


def _allows_all_actions(resource: Resource) -> Iterator[str]:
    for key, statement in allowed(resource):
        if "NotAction" in statement:
            yield f"{key} allows all but some actions: name those that are needed"
        for action in listed(statement.get("Action")):
            if "*" in action:
                yield f"{key} allows {action}: name the actions that are needed"


def _allows_on_everything(resource: Resource) -> Iterator[str]:
    for key, statement in allowed(resource):
        if "*" not in listed(statement.get("Resource")):
            continue
        for action in listed(statement.get("Action")):
            if not UNSCOPED.fullmatch(action):
                yield f"{key} allows {action} on every resource: name those that are meant"


def _trusts_a_whole_provider(resource: Resource) -> Iterator[str]:
    for key, statement in allowed(resource):
        principal = statement.get("Principal")
        federated = isinstance(principal, dict) and "Federated" in principal
        if federated and not statement.get("Condition"):
            yield f"{key} trusts all identities of the provider: name the subject in a condition"


def _is_a_user(resource: Resource) -> Iterator[str]:
    yield "people sign in through roles, and machines have roles: a user has keys that don't end"


def _no_role(resource: Resource) -> Iterator[str]:
    principal = resource.inputs.get("principalArn")
    if principal is not UNKNOWN and re.search(r":root$|:user/|\*", principal or "*"):
        yield f"{principal} isn't a role: give access to the cluster to roles only"


RULES = (
    rule("no-public-policy", "No policy lets everybody in", (), _lets_everybody),
    rule("no-action-wildcard", "Policies name each action", IDENTITY_POLICIES, _allows_all_actions),
    rule(
        "no-resource-wildcard",
        "Policies name their resources where AWS lets them",
        IDENTITY_POLICIES,
        _allows_on_everything,
    ),
    rule(
        "narrow-federation",
        "A role trusts certain identities of a provider, not all",
        "aws:iam/role:Role",
        _trusts_a_whole_provider,
    ),
    rule(
        "no-users",
        "There are no IAM users and no access keys",
        ("aws:iam/user:User", "aws:iam/accessKey:AccessKey"),
        _is_a_user,
    ),
    rule(
        "cluster-access-by-role",
        "Access entries of the cluster are roles",
        "aws:eks/accessEntry:AccessEntry",
        _no_role,
    ),
)
