"""All alarms, each with the runbook that says what to do: `docs/runbooks/` and its purpose."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from ._alarms import DAY_SECONDS, Alarm

OWN = "AI4H"
"""Namespace of the metrics that our functions and log filters make."""
SERVER_ERROR_SHARE = 0.01
SLOW_MILLISECONDS = 3000
INDEX_LAG_MILLISECONDS = 5 * 60_000
FREE_STORAGE_SHARE = 0.2
DENIED_REQUESTS = 200
EDGE_ERROR_PERCENT = 1
# ACM renews 45 days before the end at the latest.
# https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html
EXPIRING_DAYS = 30


@dataclass(frozen=True)
class DataNames:
    """How metrics call the parts of a DataStore."""

    api: pulumi.Input[str]
    indexer: pulumi.Input[str]
    evidence: pulumi.Input[str]
    """These three are functions, the next three queues."""
    failures: pulumi.Input[str]
    evidence_reads: pulumi.Input[str]
    evidence_failures: pulumi.Input[str]
    versions_table: pulumi.Input[str]
    control_table: pulumi.Input[str]
    export_machine_arn: pulumi.Input[str]
    import_machine_arn: pulumi.Input[str]
    search_domain: pulumi.Input[str]
    search_volume_gib: int
    account_id: pulumi.Input[str]


def data_alarms(names: DataNames) -> list[Alarm]:
    """Of a DataStore."""
    return [
        index_lag_alarm(names.indexer),
        failures_alarm(names.failures),
        throttled_alarm(names.versions_table),
        failed_jobs_alarm("exports", names.export_machine_arn),
        failed_jobs_alarm("imports", names.import_machine_arn),
        *evidence_alarms(names.evidence, names.evidence_failures),
        *search_alarms(names.search_domain, names.account_id, volume_gib=names.search_volume_gib),
    ]


def api_alarms(
    api_name: pulumi.Input[str], api_id: pulumi.Input[str], stage: pulumi.Input[str]
) -> list[Alarm]:
    """Of a REST API's stage.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    """
    dimensions = {"ApiName": api_name, "Stage": stage}
    return [
        Alarm(
            "server-errors",
            "More than 1 % of the API's requests fail on the server's side.",
            "AWS/ApiGateway",
            "5XXError",
            dimensions,
            "Average",
            SERVER_ERROR_SHARE,
            periods=2,
        ),
        Alarm(
            "latency",
            "One in a hundred requests takes longer than 3 seconds.",
            "AWS/ApiGateway",
            "Latency",
            dimensions,
            "p99",
            SLOW_MILLISECONDS,
            periods=3,
        ),
        Alarm(
            "denied-requests",
            f"More than {DENIED_REQUESTS} requests were denied within five minutes, repeatedly.",
            OWN,
            "DeniedRequests",
            {"ApiId": api_id},
            "Sum",
            DENIED_REQUESTS,
            periods=2,
        ),
    ]


def index_lag_alarm(indexer_name: pulumi.Input[str]) -> Alarm:
    """Of the function that follows a table's stream.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    return Alarm(
        "index-lag",
        "Searches don't find what was written more than 5 minutes ago.",
        "AWS/Lambda",
        "IteratorAge",
        {"FunctionName": indexer_name},
        "Maximum",
        INDEX_LAG_MILLISECONDS,
        periods=2,
    )


def failures_alarm(queue_name: pulumi.Input[str]) -> Alarm:
    """Of a queue that keeps the events which no function could handle."""
    return _waits(
        "failed-events",
        "Events could not be handled and wait in the failure queue.",
        queue_name,
    )


def submissions_alarm(queue_name: pulumi.Input[str]) -> Alarm:
    """Of a queue that keeps the messages of EvalAI which neither runner nor worker could handle."""
    return _waits(
        "failed-submissions",
        "Submissions of a challenge could not be handled and wait in its failure queue.",
        queue_name,
    )


def search_alarms(
    domain_name: pulumi.Input[str], account_id: pulumi.Input[str], *, volume_gib: int
) -> list[Alarm]:
    """Of a search domain.

    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/cloudwatch-alarms.html
    """
    dimensions = {"DomainName": domain_name, "ClientId": account_id}
    return [
        Alarm(
            "search-red",
            "A part of the search index is lost to searches.",
            "AWS/ES",
            "ClusterStatus.red",
            dimensions,
            "Maximum",
            0,
        ),
        Alarm(
            "search-storage",
            "Less than a fifth of a search node's disk is free.",
            "AWS/ES",
            "FreeStorageSpace",
            dimensions,
            "Minimum",
            volume_gib * 1024 * FREE_STORAGE_SHARE,  # the metric is in MiB
            below=True,
        ),
    ]


def throttled_alarm(table_name: pulumi.Input[str]) -> Alarm:
    """Of a table.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    """
    return Alarm(
        "throttled-writes",
        "DynamoDB refuses writes for a while.",
        "AWS/DynamoDB",
        "WriteThrottleEvents",
        {"TableName": table_name},
        "Sum",
        0,
        periods=2,
    )


def failed_jobs_alarm(kind: str, machine_arn: pulumi.Input[str]) -> Alarm:
    """Of a state machine that runs the bulk jobs of a kind, `exports` or `imports`.

    https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    """
    return Alarm(
        f"failed-{kind}",
        f"Bulk {kind} end without a result.",
        "AWS/States",
        "ExecutionsFailed",
        {"StateMachineArn": machine_arn},
        "Sum",
        0,
    )


def evidence_alarms(function_name: pulumi.Input[str], queue_name: pulumi.Input[str]) -> list[Alarm]:
    """Of the function that signs datasets' logs, and of the queue of what it couldn't append."""
    return [
        _fails(
            "unsealed-evidence",
            "A dataset's log can't be signed: it may have been altered.",
            function_name,
        ),
        _waits(
            "unrecorded-reads",
            "Reads of datasets could not be appended to their logs and wait in a queue.",
            queue_name,
        ),
    ]


def reconciler_alarm(function_name: pulumi.Input[str]) -> Alarm:
    """Of the function that writes what challenges' workers may read."""
    return _fails(
        "unreconciled-access",
        "Workers of a challenge may read what they may no longer, or not yet what they may.",
        function_name,
        periods=1,
    )


def egress_alarm(
    name: str, bucket: pulumi.Input[str], *, gib: int, opts: pulumi.ResourceOptions
) -> Alarm:
    """Of a bucket from which more is read within five minutes than its users ever would.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
    """
    metric = aws.s3.BucketMetric(f"{name}-requests", bucket=bucket, name="all", opts=opts)
    return Alarm(
        "unusual-egress",
        f"More than {gib} GiB were read from the datasets within five minutes.",
        "AWS/S3",
        "BytesDownloaded",
        {"BucketName": bucket, "FilterId": metric.name},
        "Sum",
        gib * 1024**3,
    )


def errors_alarm(function_name: pulumi.Input[str]) -> Alarm:
    """Of a function that nobody waits for."""
    return _fails(
        "unverified-uploads",
        "Uploads arrive that can't be verified, so their owners wait.",
        function_name,
    )


def sign_in_alarm(function_name: pulumi.Input[str]) -> Alarm:
    """Of the function that a user pool asks before it signs tokens."""
    return _fails(
        "failed-sign-ins",
        "Users can't sign in, because their second factor can't be looked up.",
        function_name,
    )


def backup_alarms(vault_name: pulumi.Input[str], *, copied: bool) -> list[Alarm]:
    """Of a vault, and of the copies that are made of what is in it.

    https://docs.aws.amazon.com/aws-backup/latest/devguide/cloudwatch.html
    """
    kinds = {"backups": ("Backup", "Backups")}
    if copied:
        kinds["copies"] = ("Copy", "Copies of backups in another region")
    return [
        Alarm(
            f"failed-{purpose}",
            f"{what} could not be made.",
            "AWS/Backup",
            f"NumberOf{kind}JobsFailed",
            {"BackupVaultName": vault_name},
            "Sum",
            0,
        )
        for purpose, (kind, what) in kinds.items()
    ]


def edge_alarm(distribution_id: pulumi.Input[str]) -> Alarm:
    """Of a distribution; its metrics are in us-east-1.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html
    """
    return Alarm(
        "edge-errors",
        f"More than {EDGE_ERROR_PERCENT} % of the requests at the edge fail on the server's side.",
        "AWS/CloudFront",
        "5xxErrorRate",
        {"DistributionId": distribution_id, "Region": "Global"},
        "Average",
        EDGE_ERROR_PERCENT,
        periods=2,
    )


def certificate_alarm(certificate_arn: pulumi.Input[str]) -> Alarm:
    """Of a certificate, which ACM couldn't renew, or which was imported and is renewed by nobody.

    https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html
    """
    return Alarm(
        "expiring-certificate",
        f"A certificate ends within {EXPIRING_DAYS} days and isn't renewed yet.",
        "AWS/CertificateManager",
        "DaysToExpiry",
        {"CertificateArn": certificate_arn},
        "Minimum",
        EXPIRING_DAYS,
        below=True,
        seconds=DAY_SECONDS,  # it is measured twice a day
    )


def _fails(purpose: str, text: str, function_name: pulumi.Input[str], *, periods: int = 2) -> Alarm:
    """Of a function that ends with errors.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    return Alarm(
        purpose,
        text,
        "AWS/Lambda",
        "Errors",
        {"FunctionName": function_name},
        "Sum",
        0,
        periods=periods,
    )


def _waits(purpose: str, text: str, queue_name: pulumi.Input[str]) -> Alarm:
    """Of a queue in which something is.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    return Alarm(
        purpose,
        text,
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": queue_name},
        "Maximum",
        0,
    )
