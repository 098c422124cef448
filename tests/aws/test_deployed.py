"""What only real AWS can show: firewall, origin, signatures' age, keys, sign-in, search domain."""

import base64
import hashlib
import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.auth
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from cli.api import Api
from cli.evidence import fetch, verify
from cli.stack import Stack
from tests.aws.conftest import TIMEOUT

CONTENT = b"four score and seven years"
OLDEST_SIGNATURE = timedelta(minutes=5)
# A string that the firewall's rules for known bad inputs are there for.
BAD_INPUT = "${jndi:ldap://example.org/a}"

pytestmark = pytest.mark.aws


@pytest.fixture(scope="module")
def binary(api: Api) -> dict[str, Any]:
    """A Binary whose bytes are announced, with where and how to send them."""
    declared = {
        "resourceType": "Binary",
        "contentType": "text/plain",
        "size": len(CONTENT),
        "sha256": base64.b64encode(hashlib.sha256(CONTENT).digest()).decode(),
    }
    return api.call("POST", "/Binary", declared)


@pytest.fixture(scope="module")
def sent(binary: dict[str, Any], outputs: dict[str, Any]) -> str:
    """The key of its object, once the bytes are there."""
    url = binary["presignedPutUrl"]
    answer = requests.put(url, data=CONTENT, headers=binary["uploadHeaders"], timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text
    return urlsplit(url).path.lstrip("/").removeprefix(outputs["bucket_name"] + "/")


def test_the_api_is_reached_through_the_edge_only(
    http: requests.Session, outputs: dict[str, Any]
) -> None:
    assert http.get(f"{outputs['api_url']}/Patient?_count=1", timeout=TIMEOUT).status_code == 200
    beside = http.get(f"{outputs['stage_url']}/Patient?_count=1", timeout=TIMEOUT)
    assert beside.status_code == 403


def test_answers_are_compressed_for_whom_they_may_be(http: requests.Session, stack: Stack) -> None:
    address = f"{stack.api_url}/metadata"
    packed = http.get(address, headers={"Accept-Encoding": "gzip"}, timeout=TIMEOUT)
    assert packed.headers["Content-Encoding"] == "gzip"
    plain = http.get(address, headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT)
    assert "Content-Encoding" not in plain.headers
    assert plain.content == packed.content


def test_the_firewall_stops_known_attacks(http: requests.Session, stack: Stack) -> None:
    address = f"{stack.api_url}/Patient?_count=1"
    attack = http.get(address, headers={"User-Agent": BAD_INPUT}, timeout=TIMEOUT)
    assert attack.status_code == 403
    assert http.get(address, timeout=TIMEOUT).status_code == 200


def test_objects_are_encrypted_with_the_stacks_key(
    aws: boto3.Session, outputs: dict[str, Any], sent: str
) -> None:
    found = aws.client("s3").head_object(Bucket=outputs["bucket_name"], Key=sent)
    assert found["ServerSideEncryption"] == "aws:kms"
    key = aws.client("kms").describe_key(KeyId=found["SSEKMSKeyId"])["KeyMetadata"]
    assert key["KeyManager"] == "CUSTOMER"


def test_old_signatures_are_refused_however_long_they_say_they_live(
    aws: boto3.Session, outputs: dict[str, Any], sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = aws.client("s3", config=Config(signature_version="s3v4"))

    def signed(age: timedelta) -> int:
        at = datetime.now(UTC) - age
        monkeypatch.setattr(
            botocore.auth,
            "get_current_datetime",
            lambda remove_tzinfo=True: at.replace(tzinfo=None),
        )
        url = s3.generate_presigned_url(
            "get_object", {"Bucket": outputs["bucket_name"], "Key": sent}, ExpiresIn=3600
        )
        return requests.get(url, timeout=TIMEOUT).status_code

    assert signed(timedelta(seconds=5)) == 200
    assert signed(OLDEST_SIGNATURE + timedelta(minutes=1)) == 403


def test_the_search_domain_is_out_of_reach(outputs: dict[str, Any]) -> None:
    host = urlsplit(outputs["search_endpoint"]).hostname
    assert host
    with pytest.raises(OSError):
        socket.create_connection((host, 443), timeout=5).close()


def test_production_asks_for_a_second_factor(aws: boto3.Session, outputs: dict[str, Any]) -> None:
    cognito = aws.client("cognito-idp")
    pool = cognito.describe_user_pool(UserPoolId=outputs["user_pool_id"])["UserPool"]
    tags = pool.get("UserPoolTags", {})
    assert pool["MfaConfiguration"] == ("ON" if tags.get("stack") == "prod" else "OPTIONAL")
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"]
    checked = "PreTokenGenerationConfig" in pool.get("LambdaConfig", {})
    assert checked == (pool["MfaConfiguration"] == "OPTIONAL")
    assert "WebACL" in aws.client("wafv2").get_web_acl_for_resource(ResourceArn=pool["Arn"])


def test_a_bad_record_of_the_stream_blocks_no_others(
    aws: boto3.Session, outputs: dict[str, Any]
) -> None:
    (mapping,) = aws.client("lambda").list_event_source_mappings(
        FunctionName=outputs["indexer_function_name"]
    )["EventSourceMappings"]
    assert mapping["State"] == "Enabled"
    assert mapping["BisectBatchOnFunctionError"]
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"]


def test_evidence_verifies_and_is_signed_by_its_function_alone(
    api: Api, stack: Stack, aws: boto3.Session
) -> None:
    dataset = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "application/json"}}],
    }
    made = api.call("POST", "/DocumentReference", dataset)["id"]
    lines = list(fetch(api, made))
    assert verify(lines, stack.evidence_public_key, made).records[0]["event"] == "created"
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.client("kms").sign(
            KeyId=json.loads(lines[-1])["key"],
            Message=b"{}",
            SigningAlgorithm="ECDSA_SHA_256",
        )
