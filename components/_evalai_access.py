"""What EvalAI's pods may do in AWS: roles that service accounts take by IRSA.

EvalAI's botocore knows no Pod Identity. Policies go by the names of the queues that it makes, which
have its environment in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from ._arns import arn
from ._challenge_access import service_account_trust
from ._keys import key_through
from ._policy_documents import allow, policy_document

NAMESPACE = "evalai"
MODELS_NAMESPACE = "evalai-models"
"""Of participants' containers and of what runs them."""
OBJECT_ACTIONS = [
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:PutObject",
    "s3:PutObjectTagging",
]
KEY_ACTIONS = ["kms:Decrypt", "kms:GenerateDataKey"]
FIND_QUEUE = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
TAKE_MESSAGES = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"]


@dataclass(frozen=True)
class Identity:
    """The cluster's identity provider, which the roles trust."""

    provider_arn: pulumi.Output[str]
    issuer: pulumi.Output[str]

    def role(
        self,
        name: str,
        service_accounts: Sequence[str],
        statements: Sequence[Any],
        opts: pulumi.ResourceOptions,
        tags: Mapping[str, str] | None = None,
    ) -> aws.iam.Role:
        """A role that only these service accounts can take: those of EvalAI's namespace by their
        name, others as `namespace:name`."""
        role = aws.iam.Role(
            name,
            description=f"Pods of {', '.join(service_accounts)} in {NAMESPACE}",
            assume_role_policy=self.trust(service_accounts),
            # AWS Budgets may have attached one to it.
            force_detach_policies=True,
            tags=tags,
            opts=opts,
        )
        aws.iam.RolePolicy(
            name,
            role=role.name,
            policy=policy_document(statements),
            opts=opts,
        )
        return role

    def trust(self, service_accounts: Sequence[str]) -> pulumi.Output[str]:
        """Trusts service accounts, of EvalAI's namespace unless they name one: `namespace:name`."""
        accounts = [
            account if ":" in account else f"{NAMESPACE}:{account}" for account in service_accounts
        ]
        return service_account_trust(self.provider_arn, self.issuer, accounts)


@dataclass(frozen=True)
class EvalAiResources:
    """What the statements are about."""

    environment: str
    bucket_arn: pulumi.Output[str]
    task_queue_arn: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def challenge_queues(self) -> pulumi.Output[str]:
        """The queues that EvalAI makes, one per challenge."""
        return queue_arn(f"*-{self.environment}-*")


def queue_arn(name: str) -> pulumi.Output[str]:
    """ARN of a queue of this account and region, by its name."""
    return arn("sqs", name)


def application_statements(
    resources: EvalAiResources, email_sender: str | None
) -> list[dict[str, Any]]:
    """For web, celery, beat and migrations."""
    statements = [
        *_media(resources, OBJECT_ACTIONS),
        allow([*FIND_QUEUE, *TAKE_MESSAGES, "sqs:SendMessage"], resources.task_queue_arn),
        allow(
            [*FIND_QUEUE, "sqs:CreateQueue", "sqs:SendMessage", "sqs:SetQueueAttributes"],
            resources.challenge_queues(),
        ),
        # Celery's transport looks for its queue in a list of all.
        allow(["sqs:ListQueues"], "*"),
    ]
    if email_sender is not None:
        statements += [
            allow(
                ["ses:SendEmail", "ses:SendRawEmail"],
                arn("ses", "identity/*"),
                condition={"StringEquals": {"ses:FromAddress": email_sender}},
            ),
            allow(["ses:GetSendQuota"], "*"),
        ]
    return statements


def worker_statements(
    resources: EvalAiResources, queues: pulumi.Input[str], *, of_evalai: bool = True
) -> list[dict[str, Any]]:
    """For workers: their queue, and results. Datasets are the reconciler's to allow.

    A queue that EvalAI made (`of_evalai`) they set up before they begin.
    """
    setting_up = ["sqs:SetQueueAttributes"] if of_evalai else []
    return [
        *_media(resources, ["s3:GetObject", "s3:PutObject"]),
        allow([*FIND_QUEUE, *TAKE_MESSAGES, *setting_up], queues),
    ]


def _media(resources: EvalAiResources, actions: Sequence[str]) -> list[dict[str, Any]]:
    return [
        allow(actions, pulumi.Output.concat(resources.bucket_arn, "/media/*")),
        allow(["s3:ListBucket"], resources.bucket_arn),
        allow(KEY_ACTIONS, resources.key_arn),
    ]


def secrets_policy(
    secret_arns: Sequence[pulumi.Input[str]], key_arn: pulumi.Input[str]
) -> pulumi.Output[str]:
    """For external-secrets: the two secrets that EvalAI starts with, and no others."""
    reading = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    return policy_document(
        [allow(reading, secret_arns), key_through("secretsmanager", key_arn, ["kms:Decrypt"])]
    )


def scaling_policy(resources: EvalAiResources) -> pulumi.Output[str]:
    """For KEDA: how long the challenges' queues are."""
    return policy_document([allow(["sqs:GetQueueAttributes"], resources.challenge_queues())])
