"""A trail of reads of the datasets that no function allowed, and their way into evidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from ._arns import arn
from ._buckets import bucket_policy, log_access, private_bucket
from ._functions import Functions
from ._keys import key_through
from ._order import after
from ._policy_documents import allow

SERVICE = "cloudtrail.amazonaws.com"
IMPORT_SECONDS = 900  # a log file may have 50 MB, compressed


class ReadTrail:
    """CloudTrail's data events of a bucket's datasets, where they are `kept`; else nothing.

    Creates the trail with validation of its files, their encrypted bucket, and the function that
    sends reads to the queue of evidence.
    """

    def __init__(self, name: str, *, kept: bool, opts: pulumi.ResourceOptions) -> None:
        self._name, self._opts = f"{name}-reads", opts
        self.kept = kept

    @property
    def key_statements(self) -> Sequence[Mapping[str, Any]]:
        """Of the key's policy: CloudTrail encrypts what it writes.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
        """
        if not self.kept:
            return []
        return [
            {
                "Sid": "CloudTrail",
                "Effect": "Allow",
                "Principal": {"Service": SERVICE},
                "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": self._from_the_trail(),
            }
        ]

    def start(
        self,
        bucket: aws.s3.Bucket,
        *,
        key: aws.kms.Key,
        functions: Functions,
        queue_arn: pulumi.Input[str],
        queue_url: pulumi.Input[str],
        queue_key_arn: pulumi.Input[str],
        own_roles: Sequence[pulumi.Input[str]],
        days: int,
    ) -> None:
        """Makes it all. Reads by `own_roles` are recorded otherwise; files are kept for `days`."""
        if not self.kept:
            return
        logs = private_bucket(
            f"{self._name}-trail", key_arn=key.arn, expire_after_days=days, opts=self._opts
        )
        log_access(f"{self._name}-trail-logs", logs, opts=self._opts, days=days)
        policy = bucket_policy(f"{self._name}-trail", logs, self._delivery(logs.arn))
        aws.cloudtrail.Trail(
            f"{self._name}-trail",
            s3_bucket_name=policy.bucket,  # by way of the policy, without which it can't be made
            kms_key_id=key.arn,
            enable_log_file_validation=True,
            include_global_service_events=False,
            advanced_event_selectors=[
                {
                    "name": "Reads of datasets",
                    "field_selectors": [
                        {"field": "eventCategory", "equals": ["Data"]},
                        {"field": "resources.type", "equals": ["AWS::S3::Object"]},
                        {
                            "field": "resources.ARN",
                            "starts_withs": [pulumi.Output.concat(bucket.arn, "/datasets/")],
                        },
                        {"field": "eventName", "equals": ["GetObject"]},
                    ],
                }
            ],
            opts=self._opts,
        )
        importer = functions.function(
            "read-importer",
            "functions.read_importer.handler.handler",
            description="Sends reads that CloudTrail saw to the evidence of datasets",
            environment={
                "BUCKET_NAME": bucket.bucket,
                "EVIDENCE_QUEUE_URL": queue_url,
                "OWN_ROLES": pulumi.Output.all(*own_roles).apply(",".join),
            },
            statements=[
                allow(["s3:GetObject"], pulumi.Output.concat(logs.arn, "/AWSLogs/*")),
                allow(["sqs:SendMessage"], queue_arn),
                key_through("sqs", queue_key_arn),
            ],
            timeout=IMPORT_SECONDS,
            memory=512,
        )
        permission = aws.lambda_.Permission(
            f"{self._name}-files",
            action="lambda:InvokeFunction",
            principal="s3.amazonaws.com",
            function=importer.resource.arn,
            source_arn=logs.arn,
            source_account=aws.get_caller_identity_output().account_id,
            opts=self._opts,
        )
        aws.s3.BucketNotification(
            f"{self._name}-files",
            bucket=logs.id,
            lambda_functions=[
                {
                    "lambda_function_arn": importer.resource.arn,
                    "events": ["s3:ObjectCreated:*"],
                    # Digests of the files lie in CloudTrail-Digest/, which isn't below it.
                    "filter_prefix": pulumi.Output.concat(
                        "AWSLogs/", aws.get_caller_identity_output().account_id, "/CloudTrail/"
                    ),
                    "filter_suffix": ".json.gz",
                }
            ],
            opts=after(self._opts, permission),
        )

    def _delivery(self, logs_arn: pulumi.Input[str]) -> list[Mapping[str, Any]]:
        """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html"""
        allowed = {"Effect": "Allow", "Principal": {"Service": SERVICE}}
        account = aws.get_caller_identity_output().account_id
        place = pulumi.Output.concat(logs_arn, "/AWSLogs/", account, "/*")
        return [
            {
                **allowed,
                "Sid": "TrailLooks",
                "Action": "s3:GetBucketAcl",
                "Resource": logs_arn,
                "Condition": self._from_the_trail(),
            },
            {
                **allowed,
                "Sid": "TrailWrites",
                "Action": "s3:PutObject",
                "Resource": place,
                "Condition": self._from_the_trail(),
            },
        ]

    def _from_the_trail(self) -> Mapping[str, Any]:
        """The trail asks for the policies before it has its whole name."""
        trails = arn("cloudtrail", f"trail/{self._name}-trail-*")
        return {"ArnLike": {"aws:SourceArn": trails}}
