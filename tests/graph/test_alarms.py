"""Alarms: each watches a metric that AWS has, and leads to a runbook that says what to do."""

import re
from pathlib import Path

import pulumi
import pytest

from components._alarm_catalogue import submissions_alarm
from components._alarms import raise_alarms
from components.auth_pool import AuthPool, Mfa
from components.challenge_roles import ChallengeRoles
from components.data_store import DataStore
from components.edge import Edge
from components.gateway import Gateway
from components.upload_bucket import UploadBucket
from tests.graph.cloudwatch import DOCUMENTED
from tests.graph.stores import MINIMAL, minimal
from tests.graph.strict import ACCOUNT, REGION, Graph, evaluate
from tests.graph.test_challenge_roles import ARGS as ROLES

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
TOPICS = {region: f"arn:aws:sns:{region}:{ACCOUNT}:alarms" for region in (REGION, "us-east-1")}
TOPIC = TOPICS[REGION]
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1"
RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"


@pytest.fixture(scope="module")
def graph() -> Graph:
    """The components that have alarms, with somebody to hear them."""

    def program() -> None:
        Edge(
            "edge",
            {
                "domain": {"name": "ai4h.example.org", "certificate_arn": CERTIFICATE},
                "alarm_topic_arn": TOPICS["us-east-1"],
            },
        )
        AuthPool("auth", {"callback_urls": [], "mfa": Mfa.OPTIONAL, "alarm_topic_arn": TOPIC})
        DataStore(
            "data",
            {
                **MINIMAL,
                "search": {"volume_gib": 100},
                "backup_copy_region": "eu-west-1",
                "alarm_topic_arn": TOPIC,
            },
        )
        UploadBucket(
            "uploads",
            {"issuer": "https://issuer", "client_ids": ["client"], "alarm_topic_arn": TOPIC},
        )
        Gateway(
            "gateway",
            {"user_pool_arn": "arn:pool", "routes": {"ANY /": "arn:api"}, "alarm_topic_arn": TOPIC},
        )
        # Of EvalCluster, whose graph tests/graph/test_containers.py has.
        raise_alarms("evaluation", [submissions_alarm("failed")], TOPIC, pulumi.ResourceOptions())
        ChallengeRoles("roles", {**ROLES, "alarm_topic_arn": TOPIC})

    return evaluate(program)


def test_every_alarm_watches_a_metric_that_there_is(graph: Graph) -> None:
    counted = {
        (made["namespace"], made["name"]): frozenset(made["dimensions"])
        for each in graph.all(FILTER)
        for made in (each.inputs["metricTransformation"],)
    }
    for alarm in graph.all(ALARM):
        namespace, metric = alarm.inputs["namespace"], alarm.inputs["metricName"]
        dimensions = frozenset(alarm.inputs["dimensions"])
        if (namespace, metric) in counted:
            assert dimensions == counted[namespace, metric]
        else:
            assert metric in DOCUMENTED[namespace].metrics
            assert dimensions in DOCUMENTED[namespace].dimensions
        assert all(alarm.inputs["dimensions"].values())
        topic = TOPICS[alarm.inputs.get("region", REGION)]
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] == [topic]
        assert alarm.inputs["datapointsToAlarm"] <= alarm.inputs["evaluationPeriods"]
        # What CloudWatch looks back on is a day at most.
        assert alarm.inputs["evaluationPeriods"] * alarm.inputs["period"] <= 24 * 3600


def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm(graph: Graph) -> None:
    named = set()
    for alarm in graph.all(ALARM):
        found = re.search(r"Runbook: docs/runbooks/([\w-]+)\.md$", alarm.inputs["alarmDescription"])
        assert found, alarm.name
        named.add(found[1])
        text = (RUNBOOKS / f"{found[1]}.md").read_text()
        assert all(f"## {part}" in text for part in ("What it means", "Look", "Act"))
    assert named == {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}


def test_alarms_are_about_their_own_resources(graph: Graph) -> None:
    def dimensions(name: str) -> dict[str, str]:
        return graph.one(ALARM, name).inputs["dimensions"]

    assert dimensions("data-index-lag") == {"FunctionName": "data-indexer-name"}
    assert dimensions("edge-expiring-certificate") == {"CertificateArn": CERTIFICATE}
    assert dimensions("edge-edge-errors")["DistributionId"] == "edge-distribution-id"
    assert dimensions("data-backup-failed-copies") == {"BackupVaultName": "data-backup-name"}
    assert dimensions("data-throttled-writes") == {"TableName": "data-versions-name"}
    assert dimensions("data-search-red")["ClientId"] == ACCOUNT
    assert dimensions("uploads-unverified-uploads") == {"FunctionName": "uploads-completion-name"}
    assert dimensions("auth-failed-sign-ins") == {"FunctionName": "auth-second-factor-name"}
    assert dimensions("gateway-denied-requests") == {"ApiId": "gateway-api-id"}
    assert dimensions("roles-unreconciled-access") == {
        "FunctionName": "roles-challenges-reconciler-name"
    }
    failed = {
        dimensions(f"{name}-failed-events")["QueueName"] for name in ("data", "roles", "uploads")
    }
    assert failed == {f"{name}-failures-name" for name in ("data", "roles-challenges", "uploads")}
    # It is measured twice a day.
    assert graph.one(ALARM, "edge-expiring-certificate").inputs["period"] == 24 * 3600
    # A fifth of 100 GiB, in the metric's MiB.
    assert graph.one(ALARM, "data-search-storage").inputs["threshold"] == 20_480


def test_nobody_to_hear_them_no_alarms() -> None:
    assert not minimal().all(ALARM)
