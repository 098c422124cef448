"""What the program asks the provider: the account, the region, the zones."""

from typing import Any

from local.errors import LocalError
from local.handlers.base import Clients

PARTITION = {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com",
             "reverseDnsPrefix": "com.amazonaws"}  # fmt: skip


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
        case _:
            raise LocalError("no such function here: add it to local/invokes.py")
    return arguments | answer


def _caller(clients: Clients) -> dict[str, Any]:
    caller = clients.of("sts").get_caller_identity()
    account = caller["Account"]
    return {
        "id": account, "accountId": account, "arn": caller["Arn"], "userId": caller["UserId"]
    }  # fmt: skip


def _region(clients: Clients, region: str) -> dict[str, Any]:
    return {"id": region, "region": region, "name": region, "description": region,
            "endpoint": f"ec2.{region}.amazonaws.com"}  # fmt: skip


def _zones(clients: Clients) -> dict[str, Any]:
    zones = clients.of("ec2").describe_availability_zones()["AvailabilityZones"]
    return {
        "id": clients.region,
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": sorted({zone.get("GroupName", clients.region) for zone in zones}),
    }
