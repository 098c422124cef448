"""UploadBucket: private bytes, the function that lets them in and out, and the check on arrival."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from ._access_rules import AccessRule, rules_environment
from ._alarm_catalogue import egress_alarm, errors_alarm, failures_alarm
from ._alarms import raise_alarms
from ._buckets import bucket_policy, log_access, private_bucket
from ._dashboard_parts import uploads_part
from ._functions import Function, Functions
from ._keys import encryption_key, key_through, log_statement
from ._layer import FunctionPlatform
from ._malware_scan import MalwareScan
from ._order import after
from ._policy_documents import allow
from ._read_trail import ReadTrail
from ._tables import Tables, control_table, versions_table
from ._upload_access import (
    allow_pages,
    object_denials,
    objects,
    read_and_remove,
    reading_policy,
    upload_records,
)

# 10,000 parts of what one PUT carries would be more; S3's own limit was this for long, and one
# object of that size is beyond any imaging file.
LARGEST_OBJECT_BYTES = 5 * 1024**4
PARTS_DAYS = 8
"""How long the parts of an unfinished upload stay: a day longer than they are awaited."""
DEFAULT_QUOTA_BYTES = 1024**4

EGRESS_GIB = 50

GATEWAY_SECONDS = 29  # the gateway waits no longer
# A large object whose checksum S3 doesn't keep is read and hashed: that takes its time.
VERIFICATION_SECONDS = 900
MEMORY_MIB = 1024


class UploadBucketArgs(TypedDict):
    issuer: pulumi.Input[str]
    """`iss` of the ID tokens that the upload function accepts."""
    client_ids: list[pulumi.Input[str]]
    """Clients (`aud`) whose ID tokens it accepts."""
    table_name: NotRequired[pulumi.Input[str]]
    """Table of a DataStore's versions, together with the next four. Default: makes its own."""
    table_arn: NotRequired[pulumi.Input[str]]
    """ARN of that table."""
    control_table_name: NotRequired[pulumi.Input[str]]
    """Table of upload states and quotas."""
    control_table_arn: NotRequired[pulumi.Input[str]]
    """ARN of that table."""
    table_key_arn: NotRequired[pulumi.Input[str]]
    """KMS key that encrypts both tables."""
    evidence_queue_arn: NotRequired[pulumi.Input[str]]
    """The DataStore's queue of reads, needed with its tables: what others read is recorded."""
    evidence_queue_url: NotRequired[pulumi.Input[str]]
    """URL of that queue."""
    consistency_key: NotRequired[pulumi.Input[str]]
    """The DataStore's (secret): writes answer with tokens. Default: they don't."""
    access_rules: NotRequired[dict[str, list[AccessRule]]]
    """What each group may do, as the DataStore has it. Default: functions/shared/access.py."""
    import_role_name: NotRequired[pulumi.Input[str]]
    """The DataStore's: lets its imports read what was uploaded. Default: they can't."""
    allowed_origins: NotRequired[list[pulumi.Input[str]]]
    """Web origins whose pages may send and fetch bytes. Default: none."""
    max_object_bytes: NotRequired[int]
    """Largest upload, in bytes. Default: 5 TiB; what isn't sent in parts ends at 5 GiB."""
    quota_bytes_per_user: NotRequired[int]
    """What one user may store, in bytes, all versions together. Default: 1 TiB."""
    read_trail: NotRequired[bool]
    """Reads by others than its functions become evidence, by CloudTrail. Default: false."""
    malware_scan: NotRequired[bool]
    """Bytes are available only after GuardDuty has scanned them. AWS only. Default: false."""
    function_platform: NotRequired[FunctionPlatform]
    """Where the functions run. Default: AWS Lambda."""
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    """SNS topic that alarms go to. Default: no alarms, since nobody would hear them."""
    egress_alarm_gib: NotRequired[int]
    """An alarm says so when more is read within five minutes, in GiB. Default: 50."""
    log_retention_days: NotRequired[int]
    """How long access logs and the functions' logs are kept, in days. Default: 365."""
    protect: NotRequired[bool]
    """Refuse to delete the bucket, its key and tables of its own. Default: true."""


class UploadBucket(pulumi.ComponentResource):
    """A private bucket that only verified uploads stay in.

    Creates: key, bucket with policy, lifecycle and access logs, the upload function (serves
    `/Binary` behind a gateway; signs URLs), the completion function (verifies each object that
    arrives), a queue for events that couldn't be handled, and tables when none are given.
    """

    bucket_name: pulumi.Output[str]
    """Name of the bucket."""
    bucket_arn: pulumi.Output[str]
    """ARN of the bucket."""
    key_arn: pulumi.Output[str]
    """KMS key that encrypts the objects; who reads them needs it too."""
    function_arn: pulumi.Output[str]
    """The upload function, for the gateway's routes below `/Binary`."""
    dashboard: pulumi.Output[str]
    """Its part of a `Dashboard`."""

    def __init__(
        self, name: str, args: UploadBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai4h:index:UploadBucket", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        retention = int(args.get("log_retention_days", 365))
        protect = args.get("protect", True)
        kept = pulumi.ResourceOptions(parent=self, protect=protect, retain_on_delete=protect)

        importers = [args["import_role_name"]] if "import_role_name" in args else []
        trail = ReadTrail(name, kept=args.get("read_trail", False), opts=self._child)
        key = encryption_key(
            f"{name}-key",
            f"Datasets of {name}",
            statements=[log_statement(aws.get_region_output().region), *trail.key_statements],
            opts=kept,
        )
        self._bucket = self._datasets(key, retention, kept)
        self._tables = self._given_tables() or self._own_tables(key, protect, kept)
        functions = Functions(
            name,
            platform=args.get("function_platform", FunctionPlatform.LAMBDA),
            key=key,
            log_retention_days=retention,
            opts=self._child,
        )
        self._scan = MalwareScan(
            name, self._bucket, awaited=args.get("malware_scan", False), opts=self._child
        )
        upload = self._upload(functions)
        completion = self._completion(functions)
        self._verify_arrivals(completion)
        self._scan.start(key.arn, completion)
        trail.start(
            self._bucket,
            key=key,
            functions=functions,
            queue_arn=args.get("evidence_queue_arn", ""),
            queue_url=args.get("evidence_queue_url", ""),
            queue_key_arn=self._tables.table_key_arn,
            own_roles=[upload.role.name, completion.role.name, *self._scan.roles, *importers],
            days=retention,
        )
        for importer in importers:
            aws.iam.RolePolicy(
                f"{name}-import",
                role=importer,
                policy=reading_policy(self._bucket.arn, key.arn),
                opts=self._child,
            )
        topic_arn = args.get("alarm_topic_arn")
        if topic_arn is not None:
            watched = [
                failures_alarm(functions.failure_queue.name),
                errors_alarm(completion.resource.name),
                egress_alarm(
                    name,
                    self._bucket.bucket,
                    gib=int(args.get("egress_alarm_gib", EGRESS_GIB)),
                    opts=self._child,
                ),
            ]
            raise_alarms(name, watched, topic_arn, self._child)

        self.bucket_name = self._bucket.bucket
        self.bucket_arn = self._bucket.arn
        self.key_arn = key.arn
        self.function_arn = upload.resource.arn
        names = [upload.resource.name, completion.resource.name, functions.failure_queue.name]
        self.dashboard = uploads_part(self._bucket.bucket, *names)
        outputs = UploadBucket.__annotations__
        self.register_outputs({output: getattr(self, output) for output in outputs})

    def _given_tables(self) -> Tables | None:
        """The tables that the arguments name; ValueError when they name some things only."""
        names = [field.name for field in dataclasses.fields(Tables)]
        given = {name: value for name in names if (value := self._args.get(name)) is not None}
        if given and len(given) < len(names):
            raise ValueError(f"{', '.join(names)} go together")
        if given and not {"evidence_queue_arn", "evidence_queue_url"} <= set(self._args):
            raise ValueError(
                "evidence_queue_arn, evidence_queue_url: needed with the tables of a DataStore, so"
                " that nobody reads its datasets unrecorded"
            )
        if self._args.get("read_trail") and not given:
            raise ValueError("read_trail: evidence is a DataStore's, so it needs its tables")
        return Tables(**given) if given else None

    def _own_tables(self, key: aws.kms.Key, protect: bool, kept: pulumi.ResourceOptions) -> Tables:
        versions = versions_table(
            f"{self._name}-versions", key_arn=key.arn, protect=protect, opts=kept
        )
        control = control_table(
            f"{self._name}-control", key_arn=key.arn, protect=protect, opts=kept
        )
        return Tables(versions.name, versions.arn, control.name, control.arn, key.arn)

    def _datasets(
        self, key: aws.kms.Key, retention: int, kept: pulumi.ResourceOptions
    ) -> aws.s3.Bucket:
        name = f"{self._name}-datasets"
        bucket = private_bucket(
            name, key_arn=key.arn, abort_uploads_after_days=PARTS_DAYS, opts=kept
        )
        bucket_policy(name, bucket, object_denials(bucket.arn, key.arn))
        log_access(f"{name}-logs", bucket, days=retention, opts=self._child)
        allow_pages(name, bucket, self._args.get("allowed_origins", []), self._child)
        return bucket

    def _upload(self, functions: Functions) -> Function:
        args, tables = self._args, self._tables
        return functions.function(
            "api",
            "functions.uploads.handler.handler",
            description="Binary: signed URLs for uploads and downloads",
            environment={
                **(
                    {"CONSISTENCY_KEY": args["consistency_key"]}
                    if "consistency_key" in args
                    else {}
                ),
                **(
                    {"EVIDENCE_QUEUE_URL": args["evidence_queue_url"]}
                    if "evidence_queue_url" in args
                    else {}
                ),
                **rules_environment(args.get("access_rules")),
                "TABLE_NAME": tables.table_name,
                "CONTROL_TABLE_NAME": tables.control_table_name,
                "BUCKET_NAME": self._bucket.bucket,
                **self._scan.environment,
                "ISSUER": args["issuer"],
                "CLIENT_IDS": pulumi.Output.all(*args["client_ids"]).apply(",".join),
                "MAX_OBJECT_BYTES": str(largest_object(args)),
                "QUOTA_BYTES_PER_USER": str(
                    int(args.get("quota_bytes_per_user", DEFAULT_QUOTA_BYTES))
                ),
            },
            statements=[
                *read_and_remove(self._bucket.arn),
                *self._scan.statements,
                # Deleting a Binary removes all versions and delete markers of its keys.
                allow(["s3:ListBucketVersions"], self._bucket.arn),
                allow(
                    [
                        *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
                        "s3:PutObject",
                    ],
                    objects(self._bucket.arn),
                ),
                allow(
                    [
                        *("dynamodb:ConditionCheckItem", "dynamodb:GetItem"),
                        *("dynamodb:PutItem", "dynamodb:Query"),
                    ],
                    tables.table_arn,
                ),
                upload_records(tables.control_table_arn),
                allow(["dynamodb:BatchGetItem", "dynamodb:Query"], tables.control_table_arn),
                key_through("dynamodb", tables.table_key_arn),
                *self._evidence(tables.table_key_arn),
            ],
            timeout=GATEWAY_SECONDS,
            memory=MEMORY_MIB,
        )

    def _evidence(self, queue_key_arn: pulumi.Input[str]) -> list[Mapping[str, Any]]:
        """Send what is read to the queue, which the tables' key encrypts."""
        if "evidence_queue_arn" not in self._args:
            return []
        queue_arn = self._args["evidence_queue_arn"]
        return [allow(["sqs:SendMessage"], queue_arn), key_through("sqs", queue_key_arn)]

    def _completion(self, functions: Functions) -> Function:
        tables = self._tables
        return functions.function(
            "completion",
            "functions.uploads.completion.handler",
            description="Verifies the objects that arrived",
            environment={
                "CONTROL_TABLE_NAME": tables.control_table_name,
                "BUCKET_NAME": self._bucket.bucket,
                **self._scan.environment,
            },
            statements=[
                *read_and_remove(self._bucket.arn),
                *self._scan.statements,
                # What is put beside the uploads, by whomever, is hidden.
                allow(["s3:DeleteObject"], pulumi.Output.concat(self._bucket.arn, "/*")),
                upload_records(tables.control_table_arn),
                key_through("dynamodb", tables.table_key_arn),
            ],
            timeout=VERIFICATION_SECONDS,
            memory=MEMORY_MIB,
        )

    def _verify_arrivals(self, completion: Function) -> None:
        """S3 reports each new object; Lambda tries three times, then keeps the event in the queue.

        Not an on-failure destination: with the queue that every function of ours has as dead-letter
        queue, it would deliver each failure twice.
        """
        permission = aws.lambda_.Permission(
            f"{self._name}-arrivals",
            action="lambda:InvokeFunction",
            principal="s3.amazonaws.com",
            function=completion.resource.arn,
            source_arn=self._bucket.arn,
            source_account=aws.get_caller_identity_output().account_id,
            opts=self._child,
        )
        aws.s3.BucketNotification(
            f"{self._name}-arrivals",
            bucket=self._bucket.id,
            eventbridge=self._scan.awaited or None,  # by which GuardDuty hears
            lambda_functions=[
                {
                    "lambda_function_arn": completion.resource.arn,
                    "events": ["s3:ObjectCreated:*"],
                }
            ],
            opts=after(self._child, permission),
        )


def largest_object(args: UploadBucketArgs) -> int:
    """`max_object_bytes`, checked. ValueError for a size that no upload can have."""
    size = int(args.get("max_object_bytes", LARGEST_OBJECT_BYTES))
    if not 1 <= size <= LARGEST_OBJECT_BYTES:
        raise ValueError(f"max_object_bytes: 1 to {LARGEST_OBJECT_BYTES}; not {size}")
    return size
