"""What the program asks the provider: the account, the region, the zones.

They are facts of the local AWS, known without asking it: a preview needs no server."""

import base64
import hashlib
import textwrap
import zlib
from typing import Any

from local.errors import LocalError
from local.handlers.base import Clients

PARTITION = {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com",
             "reverseDnsPrefix": "com.amazonaws"}  # fmt: skip

STORAGE_RANGE = "192.0.2.0/24"  # of S3, where there is one; reserved for documentation


def invoke(clients: Clients, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer to a provider's function. Raises LocalError for one that isn't known here."""
    match token:
        case "aws:index/getCallerIdentity:getCallerIdentity":
            answer = _caller(clients)
        case "aws:index/getRegion:getRegion":
            answer = _region(clients, arguments.get("region") or clients.region)
        case "aws:index/getPartition:getPartition":
            answer = PARTITION
        case "aws:index/getAvailabilityZones:getAvailabilityZones":
            answer = _zones(clients)
        case "aws:ec2/getSubnet:getSubnet":
            answer = {"cidrBlock": _range(arguments["id"])}
        case "aws:ec2/getManagedPrefixList:getManagedPrefixList":
            answer = {"entries": [{"cidr": STORAGE_RANGE, "description": ""}]}
        case "aws:kms/getPublicKey:getPublicKey":
            answer = _public_key(clients, arguments["keyId"])
        case _:
            raise LocalError("no such function here: add it to local/invokes.py")
    return arguments | answer


def _public_key(clients: Clients, key: str) -> dict[str, Any]:
    """The only one of these that the local AWS is asked for, where there is one."""
    if not clients.endpoint_url:
        return _recorded_public_key(key)
    found = clients.of("kms").get_public_key(KeyId=key)
    lines = textwrap.wrap(base64.b64encode(found["PublicKey"]).decode(), 64)
    pem = "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])
    return {"id": found["KeyId"], "arn": found["KeyId"], "publicKeyPem": pem,
            "keyUsage": found["KeyUsage"], "customerMasterKeySpec": found["KeySpec"]}  # fmt: skip


def _recorded_public_key(key: str) -> dict[str, Any]:
    """Of a key that is only recorded: the same each time, and nothing is signed with it."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    secret = int.from_bytes(hashlib.sha256(key.encode()).digest()[1:])
    public = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"id": key, "arn": key, "publicKeyPem": pem,
            "keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "ECC_NIST_P256"}  # fmt: skip


def _range(subnet: str) -> str:
    """Subnets are only recorded: a range of its own for each."""
    number = zlib.crc32(subnet.encode())
    return f"10.{number >> 8 & 255}.{number & 255}.0/24"


def _caller(clients: Clients) -> dict[str, Any]:
    account = clients.account
    return {"id": account, "accountId": account, "arn": f"arn:aws:iam::{account}:root",
            "userId": account}  # fmt: skip


def _region(clients: Clients, region: str) -> dict[str, Any]:
    return {"id": region, "region": region, "name": region, "description": region,
            "endpoint": f"ec2.{region}.amazonaws.com"}  # fmt: skip


def _zones(clients: Clients) -> dict[str, Any]:
    return {
        "id": clients.region,
        "names": [f"{clients.region}{zone}" for zone in "abc"],
        "zoneIds": [f"{clients.region}-az{number}" for number in (1, 2, 3)],
        "groupNames": [f"{clients.region}-zg-1"],
    }
