"""Handlers of the local platform, as far as they can be seen without a server."""

import json
import string
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as _aws  # noqa: F401  registers its types
import pulumi_random as _random  # noqa: F401
import pytest

from local.assets import Contents
from local.handlers import HANDLERS, dynamodb, policies, random_
from local.handlers.base import Aws, Clients, physical_name
from local.handlers.shapes import request

TABLE = {
    "hashKey": "pk",
    "attributes": [{"name": "pk", "type": "S"}, {"name": "shard", "type": "S"}],
    "billingMode": "PAY_PER_REQUEST",
    "streamEnabled": True,
    "streamViewType": "NEW_IMAGE",
    "globalSecondaryIndexes": [
        {"name": "changes", "hashKey": "shard", "projectionType": "KEYS_ONLY"}
    ],
}
READ = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}


@pytest.fixture
def aws(tmp_path: Path) -> Aws:
    """What a handler gets; nothing listens at the addresses."""
    clients = Clients(
        region="eu-central-1",
        account="111122223333",
        endpoint_url="http://127.0.0.1:9",
        access_key="key",
        secret_key="secret",
        search_url="http://127.0.0.1:9",
        edge_url="http://127.0.0.1:9",
    )
    return Aws(clients, Contents(tmp_path))


def test_every_handler_is_for_a_type_that_its_provider_has() -> None:
    for type_ in HANDLERS:
        package, module, _ = type_.split(":")
        found = pulumi.runtime.rpc.get_resource_module(package, module, "")
        assert found, type_
        assert type_ in found.mod_info["classes"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("service", "operation", "properties", "parameters"),
    [
        (
            "s3",
            "put_bucket_lifecycle_configuration",
            {
                "bucket": "b",
                "lifecycleConfiguration": {
                    "rules": [
                        {
                            "id": "old",
                            "filter": {},
                            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1},
                        }
                    ]
                },
            },
            {
                "Bucket": "b",
                "LifecycleConfiguration": {
                    "Rules": [
                        {
                            "ID": "old",
                            "Filter": {},
                            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                        }
                    ]
                },
            },
        ),
        (
            "cloudwatch",
            "put_metric_alarm",
            {"okActions": ["arn"], "threshold": 3, "dimensions": {"ApiName": "fhir"}},
            {
                "OKActions": ["arn"],
                "Threshold": 3.0,
                "Dimensions": [{"Name": "ApiName", "Value": "fhir"}],
            },
        ),
        (
            "lambda",
            "create_event_source_mapping",
            {"destinationConfig": {"onFailure": {"destinationArn": "queue"}}},
            {"DestinationConfig": {"OnFailure": {"Destination": "queue"}}},
        ),
        (
            "apigateway",
            "create_rest_api",
            {"minimumCompressionSize": "1024", "endpointConfiguration": {"types": "REGIONAL"}},
            {"minimumCompressionSize": 1024, "endpointConfiguration": {"types": ["REGIONAL"]}},
        ),
        (
            "kms",
            "create_key",
            {"tags": {"project": "x"}},
            {"Tags": [{"TagKey": "project", "TagValue": "x"}]},
        ),
    ],
)
def test_properties_become_what_the_api_spells_otherwise(
    aws: Aws, service: str, operation: str, properties: Any, parameters: Any
) -> None:
    assert request(aws.of(service), operation, properties) == (parameters, [])


def test_a_property_that_the_api_lacks_is_named_with_its_path(aws: Aws) -> None:
    _, unknown = request(
        aws.of("kms"), "create_key", {"isEnabled": True, "tags": [{"colour": "red"}]}
    )
    assert unknown == ["isEnabled", "tags.colour"]


def test_policies_lose_what_would_lock_everybody_out_and_say_so(aws: Aws) -> None:
    def denial(operator: str, key: str, value: str) -> dict[str, Any]:
        return READ | {"Effect": "Deny", "Condition": {operator: {key: value}}}

    old = denial("NumericGreaterThan", "s3:signatureAge", "300000")
    statements = [
        denial("Bool", "aws:SecureTransport", "false"),
        denial("Null", "s3:if-none-match", "true"),
        READ,
        old,
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    kept = json.loads(policies.enforceable(aws, policy) or "")
    assert kept == {"Version": "2012-10-17", "Statement": [READ, old]}
    assert len(aws.notes) == 3


def test_a_policy_of_which_nothing_is_left_is_none(aws: Aws) -> None:
    tls_only = READ | {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert policies.enforceable(aws, json.dumps({"Statement": tls_only})) is None


def test_a_table_changes_one_thing_at_a_time() -> None:
    assert dynamodb.changes(TABLE, TABLE) == []
    without = {
        name: value
        for name, value in TABLE.items()
        if name not in ("streamEnabled", "streamViewType", "globalSecondaryIndexes")
    }
    assert dynamodb.changes(TABLE, without | {"deletionProtectionEnabled": True}) == [
        {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "changes"}}]},
        {"StreamSpecification": {"StreamEnabled": False}},
        {"DeletionProtectionEnabled": True},
    ]
    changed = {**TABLE, "globalSecondaryIndexes": [
        {"name": "changes", "hashKey": "shard", "projectionType": "ALL"}
    ]}  # fmt: skip
    deletion, creation = dynamodb.changes(TABLE, changed)
    assert deletion["GlobalSecondaryIndexUpdates"] == [{"Delete": {"IndexName": "changes"}}]
    index = creation["GlobalSecondaryIndexUpdates"][0]["Create"]
    assert index["KeySchema"] == [{"AttributeName": "shard", "KeyType": "HASH"}]
    assert index["Projection"] == {"ProjectionType": "ALL"}


def test_random_texts_have_the_length_and_kinds_that_are_asked_for(aws: Aws) -> None:
    inputs = {"length": 40, "special": False, "upper": False, "minNumeric": 39}
    _, outputs = random_.HANDLERS["random:index/randomPassword:RandomPassword"].create(
        aws, "secret", inputs
    )
    text = outputs["result"]
    assert len(text) == 40
    assert sum(character in string.digits for character in text) >= 39
    assert set(text) <= set(string.digits + string.ascii_lowercase)


def test_physical_names_are_given_or_made_up_within_the_limit() -> None:
    assert physical_name("table", {"name": "given"}) == "given"
    assert physical_name("table", {"namePrefix": "/aws/vended-"}).startswith("/aws/vended-")
    first, second = (physical_name("x" * 99, {}, longest=63) for _ in range(2))
    assert first != second
    assert len(first) == 63
