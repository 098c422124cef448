"""A challenge's budget: once it is used up, its runner takes no further submission.

AWS itself attaches a policy to the runner's role that denies taking messages; submissions in work
go on to their end, and new ones wait in the queue.
https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-controls.html
"""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from ._order import after
from ._policy_documents import allow, deny, policy_document, service_trust


def challenge_budget(
    resource: str,
    *,
    name: str,
    tags: Mapping[str, str],
    usd: int,
    email: str,
    role: aws.iam.Role,
    queue_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> aws.budgets.BudgetAction:
    """The monthly budget of what carries the tags, and what happens when it is used up."""
    budget = aws.budgets.Budget(
        f"{resource}-budget",
        name=name,
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=str(usd),
        limit_unit="USD",
        cost_filters=[
            {
                "name": "TagKeyValue",
                "values": [f"user:{key}${value}" for key, value in tags.items()],
            }
        ],
        tags=tags,
        opts=opts,
    )
    stop = aws.iam.Policy(
        f"{resource}-stop",
        description="Attached by AWS Budgets: no further submission is taken",
        policy=policy_document([deny(["sqs:ReceiveMessage"], queue_arn)]),
        tags=tags,
        opts=opts,
    )
    executor, permissions = _executor(resource, role, stop, opts)
    return aws.budgets.BudgetAction(
        f"{resource}-stop",
        budget_name=budget.name,
        action_type="APPLY_IAM_POLICY",
        approval_model="AUTOMATIC",
        notification_type="ACTUAL",
        action_threshold={
            "action_threshold_type": "PERCENTAGE",
            "action_threshold_value": 100,
        },
        definition={"iam_action_definition": {"policy_arn": stop.arn, "roles": [role.name]}},
        execution_role_arn=executor.arn,
        subscribers=[{"subscription_type": "EMAIL", "address": email}],
        opts=after(opts, permissions),
    )


def _executor(
    resource: str, role: aws.iam.Role, stop: aws.iam.Policy, opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """What Budgets works with: that one policy, on that one role."""
    executor = aws.iam.Role(
        f"{resource}-budget",
        description="AWS Budgets: stops a challenge's submissions",
        assume_role_policy=service_trust("budgets.amazonaws.com"),
        opts=opts,
    )
    statement = allow(
        ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
        role.arn,
        condition={"ArnEquals": {"iam:PolicyARN": stop.arn}},
    )
    permissions = aws.iam.RolePolicy(
        f"{resource}-budget",
        role=executor.name,
        policy=policy_document([statement]),
        opts=opts,
    )
    return executor, permissions
