"""UploadBucket: who may do what with the bytes, and what happens when some arrive."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components._upload_access import PREFIXES
from components.upload_bucket import (
    LARGEST_OBJECT_BYTES,
    PARTS_DAYS,
    UploadBucket,
    UploadBucketArgs,
)
from functions.uploads.bucket import URL_SECONDS
from functions.uploads.quota import PARTS_SECONDS
from functions.uploads.state import object_key
from tests.graph.strict import ACCOUNT, Graph, Registration, evaluate

BUCKET = "aws:s3/bucket:Bucket"
FUNCTION = "aws:lambda/function:Function"
TABLE = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/versions"
CONTROL = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/control"
TABLE_KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/tables"
EVIDENCE = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:reads.fifo"
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a"
MINIMAL: UploadBucketArgs = {
    "table_name": "versions",
    "table_arn": TABLE,
    "control_table_name": "control",
    "control_table_arn": CONTROL,
    "table_key_arn": TABLE_KEY,
    "evidence_queue_arn": EVIDENCE,
    "evidence_queue_url": "https://sqs/reads.fifo",
    "issuer": ISSUER,
    "client_ids": ["browser", "cli"],
}
FULL: UploadBucketArgs = {
    **MINIMAL,
    "consistency_key": "signs tokens",
    "import_role_name": "importer",
    "allowed_origins": ["https://ai4h.example.org", "http://localhost:5173"],
    "max_object_bytes": 1000,
    "quota_bytes_per_user": 5000,
    "log_retention_days": 30,
    "protect": False,
}


def build(args: UploadBucketArgs, preview: bool = False) -> Graph:
    return evaluate(lambda: UploadBucket("uploads", args), preview=preview)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build(MINIMAL)


@pytest.fixture(scope="module")
def full() -> Graph:
    return build(FULL)


def test_same_resources_in_preview_and_update(graph: Graph, full: Graph) -> None:
    for args, update in ((MINIMAL, graph), (FULL, full)):
        assert build(args, preview=True).urns == update.urns
        component = update.one("ai4h:index:UploadBucket")
        assert all(r.parent in update.resources for r in update if r is not component)
        assert set(update.registered_outputs[component.urn]) == {
            *("bucket_name", "bucket_arn", "key_arn", "function_arn", "dashboard")
        }


def test_tables_are_given_together_or_made() -> None:
    assert not build(MINIMAL).all("aws:dynamodb/table:Table")
    own: UploadBucketArgs = {"issuer": ISSUER, "client_ids": ["cli"]}
    made = build(own)
    tables = made.all("aws:dynamodb/table:Table")
    assert [table.name for table in tables] == ["uploads-control", "uploads-versions"]
    assert all(table.protect and table.retain_on_delete for table in tables)
    assert build(own, preview=True).urns == made.urns
    with pytest.raises(ValueError, match="go together"):
        build({**own, "table_name": "versions"})


def datasets(graph: Graph) -> Registration:
    return graph.one(BUCKET, "uploads-datasets")


def test_bytes_and_their_key_are_kept(graph: Graph, full: Graph) -> None:
    for made, kept in ((graph, True), (full, False)):
        for resource in (datasets(made), made.one("aws:kms/key:Key")):
            assert (resource.protect, resource.retain_on_delete) == (kept, kept)


def denials(graph: Graph) -> dict[str, dict[str, Any]]:
    policy = graph.one("aws:s3/bucketPolicy:BucketPolicy", "uploads-datasets").inputs["policy"]
    statements = json.loads(policy)["Statement"]
    assert {(s["Effect"], s["Principal"]["AWS"]) for s in statements} == {("Deny", "*")}
    return {statement["Sid"]: statement for statement in statements}


def test_policy_of_the_bucket(graph: Graph) -> None:
    denied = denials(graph)
    assert set(denied) == {"TlsOnly", "FreshSignatures", "OwnKey", "NoKeyOfTheClient"}
    age = denied["FreshSignatures"]["Condition"]["NumericGreaterThan"]["s3:signatureAge"]
    assert int(age) == URL_SECONDS * 1000 <= 300_000
    key = graph.registered_outputs[graph.one("ai4h:index:UploadBucket").urn]["key_arn"]
    assert denied["OwnKey"]["Condition"] == {
        "Null": {"s3:x-amz-server-side-encryption": "false"},
        "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key},
    }


def test_parts_stay_as_long_as_they_are_awaited(graph: Graph) -> None:
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    [rule] = graph.one(kind, "uploads-datasets").inputs["rules"]
    days = rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
    # S3 counts whole days, from the midnight after the start.
    assert days == PARTS_DAYS == PARTS_SECONDS / 86_400 + 1


def test_objects_are_encrypted_with_the_key(graph: Graph) -> None:
    kind = "BucketServerSideEncryptionConfiguration"
    [rule] = graph.one(f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}", "uploads-datasets").inputs[
        "rules"
    ]
    assert rule["bucketKeyEnabled"] is True
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": graph.registered_outputs[graph.one("ai4h:index:UploadBucket").urn][
            "key_arn"
        ],
    }


def test_pages_of_known_origins_may_send_and_fetch(graph: Graph, full: Graph) -> None:
    token = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
    assert not graph.all(token), "without origins nothing is allowed"
    [rule] = full.one(token).inputs["corsRules"]
    assert rule["allowedOrigins"] == FULL.get("allowed_origins")
    assert set(rule["allowedMethods"]) == {"GET", "HEAD", "PUT"}
    signed = {"content-type", "if-none-match", "x-amz-checksum-sha256"}
    assert signed <= set(rule["allowedHeaders"])
    assert {"ETag", "x-amz-checksum-sha256"} <= set(rule["exposeHeaders"])


def environment(graph: Graph, purpose: str) -> Mapping[str, str]:
    return graph.one(FUNCTION, f"uploads-{purpose}").inputs["environment"]["variables"]


def test_environment(graph: Graph, full: Graph) -> None:
    assert environment(full, "api") == {
        "CONSISTENCY_KEY": "signs tokens",
        "TABLE_NAME": "versions",
        "CONTROL_TABLE_NAME": "control",
        "BUCKET_NAME": "uploads-datasets-bucket",
        "EVIDENCE_QUEUE_URL": "https://sqs/reads.fifo",
        "ISSUER": ISSUER,
        "CLIENT_IDS": "browser,cli",
        "MAX_OBJECT_BYTES": "1000",
        "QUOTA_BYTES_PER_USER": "5000",
    }
    assert "CONSISTENCY_KEY" not in environment(graph, "api")
    assert environment(graph, "api")["MAX_OBJECT_BYTES"] == str(LARGEST_OBJECT_BYTES)
    assert environment(full, "completion") == {
        "CONTROL_TABLE_NAME": "control",
        "BUCKET_NAME": "uploads-datasets-bucket",
    }


@pytest.mark.parametrize("size", [0, LARGEST_OBJECT_BYTES + 1])
def test_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"max_object_bytes: 1 to {LARGEST_OBJECT_BYTES}"):
        build({**MINIMAL, "max_object_bytes": size})


def allowed(graph: Graph, purpose: str, service: str) -> dict[str, set[str]]:
    """Resource -> the actions of a service that a function's role allows on it."""
    policy = graph.one("aws:iam/rolePolicy:RolePolicy", f"uploads-{purpose}-policy")
    found: dict[str, set[str]] = {}
    for statement in json.loads(policy.inputs["policy"])["Statement"]:
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            actions = {a for a in statement["Action"] if a.startswith(f"{service}:")}
            if actions:
                found.setdefault(resource, set()).update(actions)
    return found


def test_functions_reach_what_they_need_and_no_more(graph: Graph) -> None:
    arn = graph.registered_outputs[graph.one("ai4h:index:UploadBucket").urn]["bucket_arn"]
    read = {"s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"}
    uploads = [f"{arn}/{prefix}/*" for prefix in PREFIXES]
    send = {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"}
    assert allowed(graph, "api", "s3") == {
        arn: {"s3:ListBucket", "s3:ListBucketVersions"},
        **dict.fromkeys(uploads, read | send),
    }
    assert allowed(graph, "completion", "s3") == {
        arn: {"s3:ListBucket"},
        f"{arn}/*": {"s3:DeleteObject"},
        **dict.fromkeys(uploads, read),
    }
    records = {f"dynamodb:{verb}Item" for verb in ("Delete", "Get", "Put", "Update")}
    assert allowed(graph, "completion", "dynamodb") == {CONTROL: records}
    assert allowed(graph, "api", "dynamodb") == {
        CONTROL: {*records, "dynamodb:BatchGetItem", "dynamodb:Query"},
        TABLE: {f"dynamodb:{name}" for name in ("ConditionCheckItem", "GetItem", "PutItem")}
        | {"dynamodb:Query"},
    }


def test_imports_read_uploads_and_do_nothing_else(graph: Graph, full: Graph) -> None:
    policy = full.one("aws:iam/rolePolicy:RolePolicy", "uploads-import").inputs
    reading, decrypting = json.loads(policy["policy"])["Statement"]
    assert policy["role"] == "importer"
    assert reading["Action"] == ["s3:GetObject"]
    assert [place.rpartition("datasets/arn")[2] for place in reading["Resource"]] == [
        f"/{prefix}/*" for prefix in PREFIXES
    ]
    assert decrypting["Action"] == ["kms:Decrypt"]
    assert not [r for r in graph if r.name == "uploads-import"]


def test_keys_of_all_uploads_are_within_reach() -> None:
    keys = {object_key("d1", "b1", 1), object_key("", "b1", 1)}
    assert {key.split("/")[0] for key in keys} == set(PREFIXES)


def test_tables_key_is_used_through_tables_and_their_queue_only(graph: Graph) -> None:
    for purpose, services in (("api", ("dynamodb", "sqs")), ("completion", ("dynamodb",))):
        policy = graph.one("aws:iam/rolePolicy:RolePolicy", f"uploads-{purpose}-policy")
        assert [
            s["Condition"]
            for s in json.loads(policy.inputs["policy"])["Statement"]
            if s["Resource"] == TABLE_KEY
        ] == [
            {"StringEquals": {"kms:ViaService": f"{service}.eu-central-1.amazonaws.com"}}
            for service in services
        ]


def test_arrivals_are_verified(graph: Graph) -> None:
    completion = graph.one(FUNCTION, "uploads-completion")
    assert completion.inputs["handler"] == "functions.uploads.completion.handler"
    notification = graph.one("aws:s3/bucketNotification:BucketNotification")
    assert notification.inputs["bucket"] == "uploads-datasets-id"
    [target] = notification.inputs["lambdaFunctions"]
    assert target["events"] == ["s3:ObjectCreated:*"]
    assert graph.waits_for(notification, completion)
    permission = graph.one("aws:lambda/permission:Permission")
    assert graph.waits_for(notification, permission), "S3 tries the function when it is told"
    assert permission.inputs["function"] == target["lambdaFunctionArn"]
    assert permission.inputs["sourceAccount"] == ACCOUNT
    assert permission.inputs["sourceArn"].startswith("arn:aws:s3:")
    failures = graph.one("aws:sqs/queue:Queue")
    assert graph.waits_for(completion, failures)
    assert "uploads-failures" in completion.inputs["deadLetterConfig"]["targetArn"]


def test_logs_end_after_the_days_asked_for(full: Graph) -> None:
    groups = full.all("aws:cloudwatch/logGroup:LogGroup")
    assert {group.inputs["retentionInDays"] for group in groups} == {30}
    lifecycle = full.one(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "uploads-datasets-logs"
    )
    assert {"days": 30} in [rule.get("expiration") for rule in lifecycle.inputs["rules"]]
