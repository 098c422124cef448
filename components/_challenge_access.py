"""Roles of challenges' workers, and the reconciler that lets them read the attached datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws

from ._alarm_catalogue import failures_alarm, reconciler_alarm
from ._alarms import raise_alarms
from ._arns import arn
from ._functions import Function, Functions, call_on
from ._keys import key_through
from ._layer import FunctionPlatform
from ._policy_documents import allow, policy_document, web_identity_trust
from ._tables import partitions

TAG = "ai4h:challenge"
"""Tag of a challenge's role; its value is the challenge's number."""

PARTITIONS = ("challenge#*", "dataset#*", "grant#challenge#*")
"""Of the control table: attachments, what is withdrawn, and grants to challenges."""

RECONCILED_EVERY = "rate(1 minute)"
RECONCILER_SECONDS = 50  # the next one begins after a minute
LONGEST_ROLE_NAME = 64
LONGEST_NUMBER = 10
DATASET_ACTIONS = ["s3:GetObject", "s3:GetObjectVersion"]


class ChallengeDatasetsArgs(TypedDict):
    """The datasets that challenges may use: outputs of an UploadBucket and its DataStore."""

    bucket_arn: pulumi.Input[str]
    """Bucket of the datasets."""
    key_arn: pulumi.Input[str]
    """Key of that bucket."""
    control_table_name: pulumi.Input[str]
    """Table of grants and attachments."""
    control_table_arn: pulumi.Input[str]
    """ARN of that table."""
    table_key_arn: pulumi.Input[str]
    """Key of that table."""


@dataclass(frozen=True)
class Challenge:
    """A challenge with workers."""

    number: int
    trust: pulumi.Input[str]
    """Who may take the role of its workers: a policy document."""
    statements: Sequence[Mapping[str, Any]] = ()
    """What they may do besides reading datasets."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the role, besides the challenge's number."""


@dataclass(frozen=True)
class Operation:
    """How the reconciler is run."""

    key: aws.kms.Key
    """Encrypts its logs and failures; CloudWatch Logs may use it."""
    platform: FunctionPlatform
    log_retention_days: int
    alarm_topic_arn: pulumi.Input[str] | None


class ChallengeAccess:
    """A role for each challenge, and the function that writes what it may read now.

    The roles have a permissions boundary: whatever their policies say, they do no more than it
    names. The reconciler may write policies of roles that have it, and of no others.
    """

    def __init__(
        self,
        name: str,
        challenges: Sequence[Challenge],
        *,
        limits: Sequence[Mapping[str, Any]],
        datasets: ChallengeDatasetsArgs | None,
        operation: Operation,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """`limits`: what workers may do at most, besides reading datasets; with it no challenge's
        statements do more."""
        self._name, self._opts, self._datasets = name, opts, datasets
        self._prefix = role_prefix(name)
        self.roles: dict[int, aws.iam.Role] = {}
        self.reconciler: Function | None = None
        if not challenges:
            return
        self._boundary = self._limit(limits)
        for challenge in challenges:
            self.roles[challenge.number] = self._role(challenge)
        if datasets is not None:
            self.reconciler = self._reconcile(datasets, operation)

    def _limit(self, limits: Sequence[Mapping[str, Any]]) -> aws.iam.Policy:
        statements = list(limits)
        if self._datasets is not None:
            every = pulumi.Output.concat(self._datasets["bucket_arn"], "/datasets/*")
            statements.append(allow(DATASET_ACTIONS, every))
            statements.append(allow(["kms:Decrypt"], self._datasets["key_arn"]))
        return aws.iam.Policy(
            f"{self._name}-boundary",
            description="The most that workers of challenges may ever do",
            policy=policy_document(statements),
            opts=self._opts,
        )

    def _role(self, challenge: Challenge) -> aws.iam.Role:
        name = f"{self._name}-challenge-{challenge.number}"
        role = aws.iam.Role(
            name,
            # Whoever reads an audit trail finds the challenge by it, as by the tag.
            name=f"{self._prefix}{challenge.number}",
            description=f"Workers of challenge {challenge.number}",
            assume_role_policy=challenge.trust,
            permissions_boundary=self._boundary.arn,
            tags={**challenge.tags, TAG: str(challenge.number)},
            opts=pulumi.ResourceOptions.merge(
                self._opts, pulumi.ResourceOptions(delete_before_replace=True)
            ),
        )
        if challenge.statements:
            aws.iam.RolePolicy(
                name, role=role.name, policy=policy_document(challenge.statements), opts=self._opts
            )
        return role

    def _reconcile(self, datasets: ChallengeDatasetsArgs, operation: Operation) -> Function:
        functions = Functions(
            f"{self._name}-challenges",
            platform=operation.platform,
            key=operation.key,
            log_retention_days=operation.log_retention_days,
            opts=self._opts,
        )
        roles = arn("iam", f"role/{self._prefix}*")
        function = functions.function(
            "reconciler",
            "functions.reconciler.handler.handler",
            description="Writes what the workers of each challenge may read now",
            environment={
                "CONTROL_TABLE_NAME": datasets["control_table_name"],
                "DATASETS_ARN": datasets["bucket_arn"],
                "DATASETS_KEY_ARN": datasets["key_arn"],
                "ROLE_PREFIX": self._prefix,
                "CHALLENGES": ",".join(map(str, sorted(self.roles))),
            },
            statements=[
                partitions(
                    ["dynamodb:BatchGetItem", "dynamodb:Query"],
                    datasets["control_table_arn"],
                    PARTITIONS,
                ),
                key_through("dynamodb", datasets["table_key_arn"], ["kms:Decrypt"]),
                allow(["iam:GetRolePolicy"], roles),
                allow(
                    ["iam:PutRolePolicy"],
                    roles,
                    condition={"StringEquals": {"iam:PermissionsBoundary": self._boundary.arn}},
                ),
            ],
            timeout=RECONCILER_SECONDS,
            memory=512,
            depends_on=list(self.roles.values()),
        )
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-reconcile",
            description="Looks after what workers of challenges may read",
            schedule_expression=RECONCILED_EVERY,
            opts=self._opts,
        )
        call_on(rule, function, f"{self._name}-reconcile", self._opts, told="{}")
        if operation.alarm_topic_arn is not None:
            watched = [
                reconciler_alarm(function.resource.name),
                failures_alarm(functions.failure_queue.name),
            ]
            raise_alarms(self._name, watched, operation.alarm_topic_arn, self._opts)
        return function


def role_prefix(name: str) -> str:
    """Beginning of the roles' names, which the account has once; the challenge's number follows.

    It begins with the component's name, as the names of all roles do.
    """
    prefix = f"{name}-{pulumi.get_project()}-{pulumi.get_stack()}-challenge-"
    if len(prefix) + LONGEST_NUMBER > LONGEST_ROLE_NAME:
        raise ValueError(
            f"{name}: {prefix}… is too long for the name of a role; the names of component, project"
            f" and stack have {LONGEST_ROLE_NAME - LONGEST_NUMBER - len('---challenge-')}"
            " characters together at most"
        )
    return prefix


def service_account_trust(
    provider_arn: pulumi.Input[str], issuer: pulumi.Input[str], accounts: Sequence[str]
) -> pulumi.Output[str]:
    """Trusts service accounts (`namespace:name`) of a cluster, by its identity provider.

    https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
    """
    subjects = [f"system:serviceaccount:{account}" for account in accounts]
    return web_identity_trust(provider_arn, issuer, subjects)
