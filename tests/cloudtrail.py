"""Log files as CloudTrail writes them: events of S3's objects, by whom the test says.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-understanding-s3-entries.html
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Sequence
from typing import Any

ACCOUNT = "111122223333"


def role(name: str, session: str = "botocore-session-1769860680") -> dict[str, Any]:
    """The identity of a session of a role that a pod took (IRSA)."""
    return {
        "type": "AssumedRole",
        "principalId": f"AROA{name.upper()[:16]}:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": f"AROA{name.upper()[:16]}",
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "accountId": ACCOUNT,
                "userName": name,
            },
            "webIdFederationData": {
                "federatedProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.example",
                "attributes": {},
            },
            "attributes": {"creationDate": "2026-01-31T11:58:00Z", "mfaAuthenticated": "false"},
        },
    }


def read(bucket: str, key: str, who: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """An event of a GetObject that succeeded, at noon."""
    return {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": "2026-01-31T12:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "10.0.1.7",
        "userAgent": "[Boto3/1.44.1 md/Botocore#1.44.1 ua/2.1 os/linux lang/python#3.9.21]",
        "requestParameters": {
            "bucketName": bucket,
            "Host": f"{bucket}.s3.eu-central-1.amazonaws.com",
            "key": key,
        },
        "responseElements": None,
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": 0,
            "SSEApplied": "SSE_KMS",
            "AuthenticationMethod": "AuthHeader",
            "bytesTransferredOut": 1024.0,
        },
        "requestID": uuid.uuid4().hex[:16].upper(),
        "eventID": str(uuid.uuid4()),
        "readOnly": True,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"},
            {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"},
        ],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Data",
    } | changed


def place() -> str:
    """The key of a log file in a trail's bucket."""
    name = f"{ACCOUNT}_CloudTrail_eu-central-1_20260131T1205Z_{uuid.uuid4().hex[:16]}.json.gz"
    return f"AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/2026/01/31/{name}"


def log_file(events: Sequence[dict[str, Any]]) -> bytes:
    return gzip.compress(json.dumps({"Records": events}).encode())
