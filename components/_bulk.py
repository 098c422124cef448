"""Bulk jobs: the state machines that run them, their functions, and the bucket of their files."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._buckets import bucket_policy, log_access, private_bucket
from ._bulk_machine import definition
from ._documents import json_document
from ._functions import TRACE_ACTIONS, Function, Functions
from ._layer import FunctionPlatform
from ._order import after
from ._policy_documents import allow, policy_document, service_trust
from ._search_domain import SearchDomain
from ._tables import CHANGE_INDEX, partitions

WORKER_SECONDS = 900  # the longest there is: it says where to go on
PARALLEL_PARTS = {FunctionPlatform.LAMBDA: 20, FunctionPlatform.HOST: 2}
"""Of a job, at the same time; on one machine each takes a process that has to start."""
FILE_DAYS = 3
"""How long files are kept; functions/bulk/jobs.py has it, too."""

# A write that has begun ends within the API's time limit, and the table's index follows it.
SETTLE_SECONDS = 30

# Step Functions manages a log delivery for the machine, and these know no resource.
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
LOG_DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)

PARTITIONS = "bulk#*"
"""Of the control table: jobs and their parts."""


class Bulk:
    """The functions `exporter` and `importer`, each with the machine that runs it, and a bucket."""

    def __init__(
        self,
        name: str,
        *,
        functions: Functions,
        platform: FunctionPlatform,
        domain: SearchDomain,
        key: aws.kms.Key,
        versions: aws.dynamodb.Table,
        control: aws.dynamodb.Table,
        overflow: aws.s3.Bucket,
        reads: aws.sqs.Queue,
        access_rules: Mapping[str, str],
        log_retention_days: int,
        opts: pulumi.ResourceOptions,
        kept: pulumi.ResourceOptions,
    ) -> None:
        """`reads`: evidence's queue. `kept`: options of what must not be deleted by accident."""
        self._name, self._opts, self._key, self._reads = name, opts, key, reads
        self._log_retention_days, self._platform = log_retention_days, platform
        self._domain, self._versions, self._control = domain, versions, control
        self._overflow, self._access_rules = overflow, access_rules
        self._bucket = self._job_bucket(kept)
        self.exporter = self._exporter(functions)
        self.export_machine = self._machine("export", self.exporter, settle_seconds=SETTLE_SECONDS)
        self.importer = self._importer(functions)
        self.import_machine = self._machine("import", self.importer)

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        """What the function that starts jobs must know."""
        return {
            "JOBS_BUCKET": self._bucket.bucket,
            "EXPORT_MACHINE": self.export_machine.arn,
            "IMPORT_MACHINE": self.import_machine.arn,
        }

    @property
    def statements(self) -> Sequence[Mapping[str, Any]]:
        """What the function that starts jobs may do with machines and files."""
        return [
            allow(["states:StartExecution"], [self.export_machine.arn, self.import_machine.arn]),
            allow(
                ["s3:DeleteObject", "s3:GetObject"], pulumi.Output.concat(self._bucket.arn, "/*")
            ),
            allow(["s3:ListBucket"], self._bucket.arn),
        ]

    def _job_bucket(self, kept: pulumi.ResourceOptions) -> aws.s3.Bucket:
        name = f"{self._name}-jobs"
        bucket = private_bucket(
            name,
            key_arn=self._key.arn,
            expire_after_days=FILE_DAYS,
            noncurrent_days=1,
            opts=kept,
        )
        bucket_policy(name, bucket)
        log_access(f"{name}-logs", bucket, opts=self._opts, days=self._log_retention_days)
        return bucket

    def _exporter(self, functions: Functions) -> Function:
        return functions.function(
            "exporter",
            "functions.bulk.exporter.handler",
            description="Steps of exports: the log of versions to files",
            environment={
                "TABLE_NAME": self._versions.name,
                "CONTROL_TABLE_NAME": self._control.name,
                "OVERFLOW_BUCKET": self._overflow.bucket,
                "JOBS_BUCKET": self._bucket.bucket,
                "SEARCH_ENDPOINT": self._domain.url,
                "EVIDENCE_QUEUE_URL": self._reads.url,
                **self._access_rules,
            },
            statements=[
                allow(["dynamodb:BatchGetItem", "dynamodb:GetItem"], self._versions.arn),
                allow(
                    ["dynamodb:Query"],
                    pulumi.Output.concat(self._versions.arn, f"/index/{CHANGE_INDEX}"),
                ),
                partitions(
                    [
                        *("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem"),
                        *("dynamodb:Query", "dynamodb:UpdateItem"),
                    ],
                    self._control.arn,
                    [PARTITIONS, "changes", "dataset#*", "grant#*"],
                ),
                allow(["s3:GetObject"], pulumi.Output.concat(self._overflow.arn, "/*")),
                # Without it, S3 calls an object that is gone forbidden.
                allow(["s3:ListBucket"], self._overflow.arn),
                *self._files(),
                allow(["sqs:SendMessage"], self._reads.arn),
                allow(["es:ESHttpPost"], pulumi.Output.concat(self._domain.arn, "/*/_search")),
            ],
            timeout=WORKER_SECONDS,
            memory=2048,
        )

    def _importer(self, functions: Functions) -> Function:
        return functions.function(
            "importer",
            "functions.bulk.importer.handler",
            description="Steps of imports: uploaded files to versions",
            environment={
                "TABLE_NAME": self._versions.name,
                "CONTROL_TABLE_NAME": self._control.name,
                "OVERFLOW_BUCKET": self._overflow.bucket,
                "JOBS_BUCKET": self._bucket.bucket,
                **self._access_rules,
            },
            statements=[
                allow(
                    [
                        *("dynamodb:ConditionCheckItem", "dynamodb:GetItem"),
                        *("dynamodb:PutItem", "dynamodb:Query"),
                    ],
                    self._versions.arn,
                ),
                partitions(
                    [
                        *("dynamodb:GetItem", "dynamodb:PutItem"),
                        *("dynamodb:Query", "dynamodb:UpdateItem"),
                    ],
                    self._control.arn,
                    [PARTITIONS, "changes"],
                ),
                allow(
                    ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                    pulumi.Output.concat(self._overflow.arn, "/*"),
                ),
                # Without it, S3 calls an object that is gone forbidden.
                allow(["s3:ListBucket"], self._overflow.arn),
                *self._files(),
            ],
            timeout=WORKER_SECONDS,
            memory=2048,
        )

    def _files(self) -> list[Mapping[str, Any]]:
        """Write a job's files, and remove them when it is cancelled."""
        return [
            allow(
                ["s3:DeleteObject", "s3:PutObject"],
                pulumi.Output.concat(self._bucket.arn, "/*"),
            ),
            allow(["s3:ListBucket"], self._bucket.arn),
        ]

    def _machine(
        self, purpose: str, worker: Function, *, settle_seconds: int = 0
    ) -> aws.sfn.StateMachine:
        name = f"{self._name}-{purpose}"
        logs = aws.cloudwatch.LogGroup(
            f"{name}-machine-logs",
            # The prefix lets the service find its permission without a policy per group.
            name_prefix=f"/aws/vendedlogs/states/{pulumi.get_project()}-{pulumi.get_stack()}-",
            retention_in_days=self._log_retention_days,
            kms_key_id=self._key.arn,
            opts=self._opts,
        )
        role = aws.iam.Role(
            f"{name}-machine-role",
            description=f"State machine that runs the jobs of {name}",
            assume_role_policy=service_trust("states.amazonaws.com"),
            opts=self._opts,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-machine-policy",
            role=role.name,
            policy=policy_document(
                [
                    allow(["lambda:InvokeFunction"], worker.resource.arn),
                    allow(LOG_DELIVERY_ACTIONS, "*"),
                    allow(TRACE_ACTIONS, "*"),
                ]
            ),
            opts=self._opts,
        )
        machine = aws.sfn.StateMachine(
            name,
            role_arn=role.arn,
            definition=json_document(
                definition(
                    worker.resource.arn,
                    parallel=PARALLEL_PARTS[self._platform],
                    settle_seconds=settle_seconds,
                )
            ),
            logging_configuration={
                "level": "ERROR",
                "include_execution_data": False,
                "log_destination": pulumi.Output.concat(logs.arn, ":*"),
            },
            tracing_configuration={"enabled": True},
            opts=after(self._opts, policy),
        )
        # A distributed map runs each part as an execution of the machine itself.
        # https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        executions = machine.arn.apply(lambda arn: arn.replace(":stateMachine:", ":execution:"))
        aws.iam.RolePolicy(
            f"{name}-machine-parts",
            role=role.name,
            policy=policy_document(
                [
                    allow(["states:StartExecution"], machine.arn),
                    allow(
                        ["states:DescribeExecution", "states:StopExecution"],
                        pulumi.Output.concat(executions, "/*"),
                    ),
                ]
            ),
            opts=self._opts,
        )
        return machine
