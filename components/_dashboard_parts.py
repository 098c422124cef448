"""The parts of a dashboard, one per component: what a newcomer should see of it."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from ._alarm_catalogue import INDEX_LAG_MILLISECONDS, OWN, SLOW_MILLISECONDS, DataNames
from ._dashboard import Chart, Line, blocked, failures, part, waiting
from ._regions import GLOBAL_REGION

UPLOAD_STATES = ("pending", "verifying", "available", "rejected", "expired", "deleted")
"""The states of functions/uploads/state.py."""
HOUR = 3600


def edge_part(
    distribution: aws.cloudfront.Distribution, acl: aws.wafv2.WebAcl
) -> pulumi.Output[str]:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html"""
    dimensions = {"DistributionId": distribution.id, "Region": "Global"}

    def line(label: str, metric: str, statistic: str) -> Line:
        return Line(label, "AWS/CloudFront", metric, dimensions, statistic)

    return part(
        "The edge",
        "What the internet sends to the one public address: pages of the portal and calls of the"
        " API. The firewall stops known attacks and floods before they get any further.",
        [
            Chart("Requests", [line("requests", "Requests", "Sum")], region=GLOBAL_REGION),
            Chart(
                "Answers that are errors (%)",
                [
                    line("the client's (4xx)", "4xxErrorRate", "Average"),
                    line("ours (5xx)", "5xxErrorRate", "Average"),
                ],
                region=GLOBAL_REGION,
            ),
            Chart(
                "Stopped by the firewall",
                [blocked("requests", acl, regional=False)],
                region=GLOBAL_REGION,
            ),
        ],
    )


def sign_in_part(
    pool: aws.cognito.UserPool,
    clients: Sequence[tuple[str, aws.cognito.UserPoolClient]],
    acl: aws.wafv2.WebAcl,
    second_factor: pulumi.Input[str] | None,
) -> pulumi.Output[str]:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/metrics-for-cognito-user-pools.html"""

    def lines(metric: str) -> list[Line]:
        return [
            Line(
                label,
                "AWS/Cognito",
                metric,
                {"UserPool": pool.id, "UserPoolClient": client.id},
            )
            for label, client in clients
        ]

    stopped = [blocked("stopped by the firewall", acl, regional=True)]
    if second_factor is not None:
        stopped.append(failures("second factor couldn't be checked", second_factor))
    return part(
        "Sign-in",
        "Who gets a token. The command line signs in for scripts as well, so it may be busier than"
        " the portal.",
        [
            Chart("Sign-ins", lines("SignInSuccesses")),
            Chart("Tokens renewed", lines("TokenRefreshSuccesses")),
            Chart("Nobody got a token", stopped),
        ],
    )


def gateway_part(
    api_name: pulumi.Input[str],
    api_id: pulumi.Input[str],
    stage: pulumi.Input[str],
    acl: aws.wafv2.WebAcl,
) -> pulumi.Output[str]:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"""
    dimensions = {"ApiName": api_name, "Stage": stage}

    def line(label: str, metric: str, statistic: str = "Sum") -> Line:
        return Line(label, "AWS/ApiGateway", metric, dimensions, statistic)

    return part(
        "The API",
        "Each call of the FHIR API, after the edge. A 4xx is the client's fault: 401 and 403 are"
        " denied access, 429 a key over its limits. A 5xx is ours.",
        [
            Chart("Requests", [line("requests", "Count")]),
            Chart(
                "Errors",
                [
                    line("the client's (4xx)", "4XXError"),
                    Line("… of these denied (401, 403)", OWN, "DeniedRequests", {"ApiId": api_id}),
                    line("ours (5xx)", "5XXError"),
                    blocked("not from the edge", acl, regional=True),
                ],
            ),
            Chart(
                "Time to the answer (ms)",
                [line("half within", "Latency", "p50"), line("99 % within", "Latency", "p99")],
                limit=(SLOW_MILLISECONDS, "slow"),
            ),
        ],
    )


def data_part(names: DataNames) -> pulumi.Output[str]:
    """Functions, queues, tables and search domain of a DataStore."""
    domain = {"DomainName": names.search_domain, "ClientId": names.account_id}
    return part(
        "The data",
        "Writes go to DynamoDB; the indexer brings them to search from the table's stream. While it"
        " lags, reading by id is right and searching finds older data. What waits in a failure"
        " queue waits for you: its runbook says what to do.",
        [
            Chart(
                "How far search lags behind (ms)",
                [
                    Line(
                        "oldest write that isn't found yet",
                        "AWS/Lambda",
                        "IteratorAge",
                        {"FunctionName": names.indexer},
                        "Maximum",
                    )
                ],
                limit=(INDEX_LAG_MILLISECONDS, "alarm"),
            ),
            Chart(
                "Waiting in queues",
                [
                    waiting("reads to be recorded", names.evidence_reads),
                    waiting("events that failed", names.failures),
                    waiting("reads that couldn't be recorded", names.evidence_failures),
                ],
            ),
            Chart(
                "Failures of functions",
                [
                    failures("API", names.api),
                    failures("indexer", names.indexer),
                    failures("evidence", names.evidence),
                ],
            ),
            Chart(
                "Time of a search in the engine (ms)",
                [Line("average", "AWS/ES", "SearchLatency", domain, "Average")],
            ),
            Chart(
                "Free disk of the fullest search node (MiB)",
                [Line("free", "AWS/ES", "FreeStorageSpace", domain, "Minimum")],
            ),
            Chart(
                "Writes that DynamoDB refused for a while",
                [
                    Line(label, "AWS/DynamoDB", "WriteThrottleEvents", {"TableName": table})
                    for label, table in (
                        ("resources", names.versions_table),
                        ("control", names.control_table),
                    )
                ],
            ),
        ],
    )


def uploads_part(
    bucket: pulumi.Input[str],
    function: pulumi.Input[str],
    completion: pulumi.Input[str],
    queue: pulumi.Input[str],
) -> pulumi.Output[str]:
    """Uploads by the state they come to: lines that the functions log are their metrics."""
    return part(
        "Uploads",
        "An upload is `pending` until its bytes arrive, `verifying` while they are checked against"
        " what was declared, then `available` or `rejected`; one whose bytes never came is"
        " `expired`. As many should become available as are verified.",
        [
            Chart(
                "Uploads that came to a state",
                [
                    Line(state, OWN, "Uploads", {"BucketName": bucket, "Status": state})
                    for state in UPLOAD_STATES
                ],
            ),
            Chart(
                "Failures of functions",
                [failures("URLs", function), failures("verification", completion)],
            ),
            Chart("Waiting in queues", [waiting("arrivals that failed", queue)]),
        ],
    )


def cluster_part(
    cluster_name: pulumi.Input[str], pools: Sequence[str], tasks: pulumi.Input[str] | None
) -> pulumi.Output[str]:
    """https://docs.aws.amazon.com/eks/latest/userguide/cloudwatch.html"""
    pods = [
        Line(label, "AWS/EKS", metric, {"ClusterName": cluster_name}, "Maximum")
        for label, metric in (
            ("waiting for a machine", "scheduler_pending_pods_UNSCHEDULABLE"),
            ("waiting in all", "scheduler_pending_pods"),
        )
    ]
    charts = [
        Chart(
            "Machines",
            [
                Line(pool, OWN, "Nodes", {"ClusterName": cluster_name, "NodePool": pool}, "Maximum")
                for pool in pools
            ],
            stacked=True,
        ),
        Chart("Pods without a machine", pods),
    ]
    if tasks is not None:
        charts.append(Chart("Waiting in queues", [waiting("EvalAI's tasks", tasks)]))
    return part(
        "The evaluation cluster",
        "Machines come with the work and go with it: `evaluation` runs submissions, `platform`"
        " EvalAI itself, `system` what the cluster needs. Pods that wait for a machine longer than"
        " some minutes have met a limit.",
        charts,
    )


def cost_part() -> pulumi.Output[str]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/monitor_estimated_charges_with_cloudwatch.html"""
    charges = Line(
        "since the first of the month",
        "AWS/Billing",
        "EstimatedCharges",
        {"Currency": "USD"},
        "Maximum",
    )
    return part(
        "Cost",
        "Of the whole AWS account, all its stacks together. Empty until *Receive CloudWatch billing"
        " alerts* is on in the account's billing preferences.",
        [Chart("Charges (USD)", [charges], region=GLOBAL_REGION, period=6 * HOUR)],
    )
