"""Alarms, each with the runbook that says what to do: `docs/runbooks/` and the alarm's purpose."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

PERIOD_SECONDS = 300
OWN = "AI4H"
"""Namespace of the metrics that our functions and log filters make."""
SERVER_ERROR_SHARE = 0.01
SLOW_MILLISECONDS = 3000
INDEX_LAG_MILLISECONDS = 5 * 60_000
FREE_STORAGE_SHARE = 0.2
DENIED_REQUESTS = 200


@dataclass(frozen=True)
class Alarm:
    """When somebody must look: a metric of one resource beyond a limit."""

    purpose: str
    """Last part of its name, and the name of its runbook."""
    text: str
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str
    """`Sum`, `Average`, `Maximum`, `Minimum`, or a percentile: `p99`."""
    limit: float
    below: bool = False
    """Whether it is too little that is wrong, not too much."""
    periods: int = 1
    """Periods of five minutes, of the last three, in which it must be wrong."""


def raise_alarms(
    name: str,
    alarms: Iterable[Alarm],
    topic_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Makes the alarms, which tell the topic that something begins or ends to be wrong."""
    for alarm in alarms:
        percentile = alarm.statistic.startswith("p")
        aws.cloudwatch.MetricAlarm(
            f"{name}-{alarm.purpose}",
            alarm_description=f"{alarm.text} Runbook: docs/runbooks/{alarm.purpose}.md",
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=alarm.dimensions,
            statistic=None if percentile else alarm.statistic,
            extended_statistic=alarm.statistic if percentile else None,
            period=PERIOD_SECONDS,
            evaluation_periods=3,
            datapoints_to_alarm=alarm.periods,
            comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanThreshold",
            threshold=alarm.limit,
            treat_missing_data="notBreaching",
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            opts=opts,
        )


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
    """Of a queue that keeps the events which no function could handle.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    return Alarm(
        "failed-events",
        "Events could not be handled and wait in the failure queue.",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": queue_name},
        "Maximum",
        0,
    )


def submissions_alarm(queue_name: pulumi.Input[str]) -> Alarm:
    """Of a queue that keeps the messages of EvalAI which neither runner nor worker could handle."""
    return Alarm(
        "failed-submissions",
        "Submissions of a challenge could not be handled and wait in its failure queue.",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": queue_name},
        "Maximum",
        0,
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
    """Of the function that signs datasets' logs, and of the queue of what it couldn't append.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    return [
        Alarm(
            "unsealed-evidence",
            "A dataset's log can't be signed: it may have been altered.",
            "AWS/Lambda",
            "Errors",
            {"FunctionName": function_name},
            "Sum",
            0,
            periods=2,
        ),
        Alarm(
            "unrecorded-reads",
            "Reads of datasets could not be appended to their logs and wait in a queue.",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": queue_name},
            "Maximum",
            0,
        ),
    ]


def reconciler_alarm(function_name: pulumi.Input[str]) -> Alarm:
    """Of the function that writes what challenges' workers may read.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    return Alarm(
        "unreconciled-access",
        "Workers of a challenge may read what they may no longer, or not yet what they may.",
        "AWS/Lambda",
        "Errors",
        {"FunctionName": function_name},
        "Sum",
        0,
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
    """Of a function that nobody waits for.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    return Alarm(
        "unverified-uploads",
        "Uploads arrive that can't be verified, so their owners wait.",
        "AWS/Lambda",
        "Errors",
        {"FunctionName": function_name},
        "Sum",
        0,
        periods=2,
    )


def sign_in_alarm(function_name: pulumi.Input[str]) -> Alarm:
    """Of the function that a user pool asks before it signs tokens.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    return Alarm(
        "failed-sign-ins",
        "Users can't sign in, because their second factor can't be looked up.",
        "AWS/Lambda",
        "Errors",
        {"FunctionName": function_name},
        "Sum",
        0,
        periods=2,
    )
