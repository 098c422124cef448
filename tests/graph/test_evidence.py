"""Evidence in the graph: who may sign and who may append, what is locked, what is in order."""

import json
from typing import Any

import pytest

from components.upload_bucket import UploadBucket, UploadBucketArgs
from functions.shared import evidence
from tests.graph.stores import minimal, small
from tests.graph.strict import Graph, evaluate
from tests.graph.test_upload_bucket import MINIMAL as UPLOADS

KEY = "aws:kms/key:Key"
QUEUE = "aws:sqs/queue:Queue"
POLICY = "aws:iam/rolePolicy:RolePolicy"
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return minimal()


def statements(graph: Graph, name: str) -> list[dict[str, Any]]:
    return json.loads(graph.one(POLICY, name).inputs["policy"])["Statement"]


def test_one_role_signs(graph: Graph) -> None:
    key = graph.one(KEY, "data-evidence-key")
    assert (key.inputs["customerMasterKeySpec"], key.inputs["keyUsage"]) == (
        "ECC_NIST_P256",
        "SIGN_VERIFY",
    )
    assert key.protect
    account, signer = json.loads(key.inputs["policy"])["Statement"]
    assert "kms:Sign" not in account["Action"]
    assert signer["Action"] == "kms:Sign"
    assert signer["Principal"]["AWS"].endswith(":role/data-evidence-role/arn")
    signing = [
        policy.name
        for policy in graph.all(POLICY)
        if any("kms:Sign" in s["Action"] for s in statements(graph, policy.name))
    ]
    assert signing == ["data-evidence-policy"]


def test_seals_are_locked_for_everybody_where_data_are_protected(graph: Graph) -> None:
    for made, mode in ((graph, "COMPLIANCE"), (small(), "GOVERNANCE")):
        lock = made.one(LOCK, "data-evidence-seals")
        retention = lock.inputs["rule"]["defaultRetention"]
        assert retention["mode"] == mode
        assert retention["days"] > 3650
        assert made.one("aws:s3/bucket:Bucket", "data-evidence-seals").inputs["objectLockEnabled"]


def test_reads_come_in_order_and_none_is_lost(graph: Graph) -> None:
    queue, failures = (
        graph.one(QUEUE, f"data-evidence-{which}").inputs for which in ("reads", "failures")
    )
    assert queue["fifoQueue"] is failures["fifoQueue"] is True
    redrive = json.loads(queue["redrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith("data-evidence-failures/arn")
    [mapping] = [
        m
        for m in graph.all("aws:lambda/eventSourceMapping:EventSourceMapping")
        if m.name == "data-evidence-reads"
    ]
    assert mapping.inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    timeout = graph.one("aws:lambda/function:Function", "data-evidence").inputs["timeout"]
    assert queue["visibilityTimeoutSeconds"] >= 6 * timeout


def test_logs_are_appended_to_by_two_functions_and_shortened_by_none(graph: Graph) -> None:
    logs = f"{evidence.PREFIX}*"
    for policy in graph.all(POLICY):
        for statement in statements(graph, policy.name):
            keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
            if logs not in keys.get("dynamodb:LeadingKeys", ()):
                continue
            assert policy.name in ("data-api-policy", "data-evidence-policy")
            assert evidence.UNSEALED in keys["dynamodb:LeadingKeys"]
            assert "dynamodb:DeleteItem" not in statement["Action"]


def test_uploads_of_a_data_store_record_reads() -> None:
    made = evaluate(lambda: UploadBucket("uploads", UPLOADS))
    [sending] = [s for s in statements(made, "uploads-api-policy") if "sqs:SendMessage" in
                 s["Action"] and s["Resource"] == UPLOADS.get("evidence_queue_arn")]  # fmt: skip
    assert sending["Action"] == ["sqs:SendMessage"]
    variables = made.one("aws:lambda/function:Function", "uploads-api").inputs["environment"]
    url = UPLOADS.get("evidence_queue_url")
    assert variables["variables"]["EVIDENCE_QUEUE_URL"] == url
    unrecorded: UploadBucketArgs = {**UPLOADS}
    del unrecorded["evidence_queue_url"]
    with pytest.raises(ValueError, match="nobody reads its datasets unrecorded"):
        evaluate(lambda: UploadBucket("uploads", unrecorded))
