"""What every bucket and every key of ours has, whichever component makes it."""

import json
from typing import Any

import pulumi
import pytest

from components._buckets import bucket_policy, log_access, private_bucket
from components._keys import encryption_key, log_statement
from tests.graph.strict import ACCOUNT, Graph, Registration, evaluate

KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/k"


def program() -> None:
    opts = pulumi.ResourceOptions()
    bucket = private_bucket("data", key_arn=KEY, noncurrent_days=7, opts=opts)
    bucket_policy("data", bucket)
    log_access("data-logs", bucket, opts=opts, days=90)
    encryption_key("key", "Logs", statements=[log_statement("us-east-1")], opts=opts)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return evaluate(program)


def setting(graph: Graph, kind: str, name: str) -> Registration:
    return graph.one(f"aws:s3/bucket{kind}:Bucket{kind}", name)


def statements(text: str) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}


def test_same_resources_in_preview_and_update(graph: Graph) -> None:
    assert evaluate(program, preview=True).urns == graph.urns


@pytest.mark.parametrize("name", ["data", "data-logs"])
def test_bucket_is_closed(graph: Graph, name: str) -> None:
    block = setting(graph, "PublicAccessBlock", name).inputs
    assert [block[key] for key in sorted(block) if key != "bucket"] == [True] * 4
    assert setting(graph, "OwnershipControls", name).inputs["rule"] == {
        "objectOwnership": "BucketOwnerEnforced"
    }
    assert setting(graph, "Versioning", name).inputs["versioningConfiguration"] == {
        "status": "Enabled"
    }
    tls = statements(setting(graph, "Policy", name).inputs["policy"])["TlsOnly"]
    assert (tls["Effect"], tls["Action"]) == ("Deny", "s3:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    arn = tls["Resource"][0]
    assert tls["Resource"] == [arn, f"{arn}/*"]


def test_lifecycle(graph: Graph) -> None:
    [clean_up] = setting(graph, "LifecycleConfiguration", "data").inputs["rules"]
    assert clean_up["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}
    assert clean_up["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert "expiration" not in clean_up, "objects stay"
    _, expire = setting(graph, "LifecycleConfiguration", "data-logs").inputs["rules"]
    assert expire["expiration"] == {"days": 90}
    lifecycle = setting(graph, "LifecycleConfiguration", "data")
    assert graph.waits_for(lifecycle, setting(graph, "Versioning", "data"))


def test_access_logs(graph: Graph) -> None:
    logging, policy = setting(graph, "Logging", "data-logs"), setting(graph, "Policy", "data-logs")
    assert logging.inputs["bucket"] == "data-id"
    assert graph.waits_for(logging, policy)
    delivery = statements(policy.inputs["policy"])["AccessLogs"]
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert delivery["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert "data/arn" in delivery["Condition"]["ArnLike"]["aws:SourceArn"]


def test_key_rotates_and_serves_logs_of_this_account_only(graph: Graph) -> None:
    key = graph.one("aws:kms/key:Key").inputs
    assert key["enableKeyRotation"] is True
    assert key["deletionWindowInDays"] == 30
    policy = statements(key["policy"])
    assert policy["Account"]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert "kms:PutKeyPolicy" in policy["Account"]["Action"], "or nobody could ever change it"
    logs = policy["Logs"]
    assert logs["Principal"] == {"Service": "logs.us-east-1.amazonaws.com"}
    assert logs["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:*"
    }
