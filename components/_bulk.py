"""Bulk jobs: the state machines that run them, their functions, and the bucket of their files."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._buckets import bucket_policy, log_access, private_bucket
from ._functions import TRACE_ACTIONS, Function, Functions, allow, service_trust
from ._search_domain import SearchDomain
from ._tables import CHANGE_INDEX

WORKER_SECONDS = 900  # the longest there is: it says where to go on
JOB_SECONDS = 24 * 3600
"""After which a job is given up; functions/bulk/jobs.py has it, too."""
FILE_DAYS = 3
"""How long files are kept; functions/bulk/jobs.py has it, too."""
PARALLEL_PARTS = 20

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

# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
RETRY = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 5,
    "BackoffRate": 2,
    "MaxDelaySeconds": 300,
    "MaxAttempts": 8,
    "JitterStrategy": "FULL",
}

PARTITIONS = "bulk#*"
"""Of the control table: jobs and their parts."""


class Bulk:
    """The function `exporter` with the machine that runs it, and the bucket of the jobs' files."""

    def __init__(
        self,
        name: str,
        *,
        functions: Functions,
        domain: SearchDomain,
        key: aws.kms.Key,
        versions: aws.dynamodb.Table,
        control: aws.dynamodb.Table,
        overflow: aws.s3.Bucket,
        log_retention_days: int,
        opts: pulumi.ResourceOptions,
        kept: pulumi.ResourceOptions,
    ) -> None:
        """`kept` are the options of what must not be deleted by accident."""
        self._name, self._opts, self._key = name, opts, key
        self._log_retention_days = log_retention_days
        self._domain, self._versions, self._control = domain, versions, control
        self._overflow = overflow
        self._bucket = self._job_bucket(kept)
        self.exporter = self._exporter(functions)
        self.export_machine = self._machine("export", self.exporter, settle_seconds=SETTLE_SECONDS)

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        """What the function that starts jobs must know."""
        return {"JOBS_BUCKET": self._bucket.bucket, "EXPORT_MACHINE": self.export_machine.arn}

    @property
    def statements(self) -> Sequence[Mapping[str, Any]]:
        """What the function that starts jobs may do with machines and files."""
        return [
            allow(["states:StartExecution"], self.export_machine.arn),
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
                allow(
                    ["s3:DeleteObject", "s3:PutObject"],
                    pulumi.Output.concat(self._bucket.arn, "/*"),
                ),
                allow(["s3:ListBucket"], self._bucket.arn),
                allow(["es:ESHttpPost"], pulumi.Output.concat(self._domain.arn, "/*/_search")),
            ],
            timeout=WORKER_SECONDS,
            memory=2048,
        )

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
            assume_role_policy=pulumi.Output.json_dumps(service_trust("states.amazonaws.com")),
            opts=self._opts,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-machine-policy",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        allow(["lambda:InvokeFunction"], worker.resource.arn),
                        allow(LOG_DELIVERY_ACTIONS, "*"),
                        allow(TRACE_ACTIONS, "*"),
                    ],
                }
            ),
            opts=self._opts,
        )
        machine = aws.sfn.StateMachine(
            name,
            role_arn=role.arn,
            definition=pulumi.Output.json_dumps(
                definition(worker.resource.arn, settle_seconds=settle_seconds)
            ),
            logging_configuration={
                "level": "ERROR",
                "include_execution_data": False,
                "log_destination": pulumi.Output.concat(logs.arn, ":*"),
            },
            tracing_configuration={"enabled": True},
            opts=pulumi.ResourceOptions.merge(
                self._opts, pulumi.ResourceOptions(depends_on=[policy])
            ),
        )
        # A distributed map runs each part as an execution of the machine itself.
        # https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        executions = machine.arn.apply(lambda arn: arn.replace(":stateMachine:", ":execution:"))
        aws.iam.RolePolicy(
            f"{name}-machine-parts",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        allow(["states:StartExecution"], machine.arn),
                        allow(
                            ["states:DescribeExecution", "states:StopExecution"],
                            pulumi.Output.concat(executions, "/*"),
                        ),
                    ],
                }
            ),
            opts=self._opts,
        )
        return machine


def partitions(
    actions: Sequence[str], table_arn: pulumi.Input[str], keys: Sequence[str]
) -> dict[str, Any]:
    """An Allow statement on the items of a table whose hash keys are like one of these."""
    return {
        **allow(actions, table_arn),
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}},
    }


def definition(worker_arn: pulumi.Input[str], *, settle_seconds: int = 0) -> dict[str, Any]:
    """The machine of a job: plan, work on the parts at once, finish; whatever fails, abandon.

    What a part is, and how far it is, is in the control table: the map has numbers only. A worker
    whose time is up is called again until its part is done.
    """
    caught = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Abandon"}]
    wait = {"Settle": {"Type": "Wait", "Seconds": settle_seconds, "Next": "Plan"}}
    return {
        "StartAt": "Settle" if settle_seconds else "Plan",
        "TimeoutSeconds": JOB_SECONDS,
        "States": {
            **(wait if settle_seconds else {}),
            "Plan": {
                **_call(worker_arn, "plan"),
                "ResultSelector": {"parts.$": "$.Payload.parts"},
                "ResultPath": "$.plan",
                "Catch": caught,
                "Next": "Parts",
            },
            "Parts": {
                "Type": "Map",
                "ItemsPath": "$.plan.parts",
                "ItemSelector": {"job.$": "$.job", "number.$": "$$.Map.Item.Value"},
                "MaxConcurrency": PARALLEL_PARTS,
                "ItemProcessor": _part(worker_arn),
                "ResultPath": None,
                "Catch": caught,
                "Next": "Finish",
            },
            "Finish": {
                **_call(worker_arn, "finish"),
                "ResultPath": None,
                "Catch": caught,
                "End": True,
            },
            "Abandon": {**_call(worker_arn, "abandon"), "ResultPath": None, "Next": "Failed"},
            "Failed": {"Type": "Fail", "Error": "JobFailed"},
        },
    }


def _part(worker_arn: pulumi.Input[str]) -> dict[str, Any]:
    work = _call(worker_arn, "work", {"number.$": "$.number"})
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Work",
        "States": {
            "Work": {
                **work,
                "ResultSelector": {"done.$": "$.Payload.done"},
                "ResultPath": "$.result",
                "Next": "Done?",
            },
            "Done?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.result.done", "BooleanEquals": True, "Next": "Over"}],
                "Default": "Work",
            },
            "Over": {"Type": "Pass", "Result": {}, "End": True},
        },
    }


def _call(
    worker_arn: pulumi.Input[str], step: str, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": worker_arn,
            "Payload": {"step": step, "job.$": "$.job", **(more or {})},
        },
        "Retry": [RETRY],
    }
