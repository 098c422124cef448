"""The trail of reads: what it sees, who may write and read its files, and what is no news."""

import json
from typing import Any

import pytest

from components.upload_bucket import UploadBucket
from tests.graph.strict import Graph, evaluate
from tests.graph.test_upload_bucket import MINIMAL

TRAIL = "aws:cloudtrail/trail:Trail"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return evaluate(
        lambda: UploadBucket(
            "uploads",
            {**MINIMAL, "read_trail": True, "malware_scan": True, "import_role_name": "importer"},
        )
    )


def document(graph: Graph, type_: str, name: str) -> list[dict[str, Any]]:
    return json.loads(graph.one(type_, name).inputs["policy"])["Statement"]


def test_every_read_of_a_dataset_is_seen_and_its_files_can_be_validated(graph: Graph) -> None:
    trail = graph.one(TRAIL).inputs
    [selector] = trail["advancedEventSelectors"]
    fields = {field.pop("field"): field for field in map(dict, selector["fieldSelectors"])}
    assert fields["eventName"] == {"equals": ["GetObject"]}
    [prefix] = fields["resources.ARN"]["startsWiths"]
    assert prefix.endswith("/datasets/")
    assert trail["enableLogFileValidation"] is True
    assert trail["kmsKeyId"]


def test_only_the_trail_writes_files_and_uses_the_key(graph: Graph) -> None:
    policy = document(graph, "aws:s3/bucketPolicy:BucketPolicy", "uploads-reads-trail")
    key = document(graph, "aws:kms/key:Key", "uploads-key")
    allowed = [
        s for s in (*policy, *key) if s["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    ]
    assert len(allowed) == 3
    for statement in allowed:
        [source] = statement["Condition"]["ArnLike"].values()
        assert source.endswith(":trail/uploads-reads-trail-*")
    assert not any(s["Effect"] == "Allow" for s in policy if s not in allowed)


def test_new_files_reach_the_function_and_digests_dont(graph: Graph) -> None:
    [listener] = graph.one(
        "aws:s3/bucketNotification:BucketNotification", "uploads-reads-files"
    ).inputs["lambdaFunctions"]
    assert listener["filterPrefix"].startswith("AWSLogs/")
    assert listener["filterPrefix"].endswith("/CloudTrail/")


def test_reads_that_are_recorded_otherwise_are_known(graph: Graph) -> None:
    function = graph.one("aws:lambda/function:Function", "uploads-read-importer")
    own = function.inputs["environment"]["variables"]["OWN_ROLES"].split(",")
    assert "importer" in own
    readers = {"uploads-api", "uploads-completion", "uploads-malware-scan"}
    assert all(any(name.startswith(reader) for name in own) for reader in readers)
    assert len(own) == len(readers) + 1


def test_a_trail_needs_evidence_and_is_none_by_default() -> None:
    plain = evaluate(lambda: UploadBucket("uploads", MINIMAL))
    assert not plain.all(TRAIL)
    with pytest.raises(ValueError, match="read_trail"):
        evaluate(
            lambda: UploadBucket(
                "uploads",
                {"issuer": "https://issuer", "client_ids": ["cli"], "read_trail": True},
            )
        )
