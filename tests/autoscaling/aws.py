"""AWS as Karpenter sees it: moto, and what moto lacks, on loopback ports.

Prices and the names of images come from a server of our own.
"""

import gzip
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import boto3
import requests

from local.processes import Process, free_port
from tests.graph.strict import REGION, ROOT

IMAGES = {
    ("x86_64", "standard"): "ami-00000000000000001",
    ("arm64", "standard"): "ami-00000000000000002",
    ("x86_64", "nvidia"): "ami-00000000000000003",
}
"""By architecture and variant."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
READY_SECONDS = 60


@dataclass(frozen=True)
class Aws:
    """Where the APIs are."""

    url: str
    catalogue_url: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="tests",
            aws_secret_access_key="tests",
        )


@dataclass(frozen=True)
class Seeded:
    """What is there before Karpenter starts."""

    private_subnets: frozenset[str]
    security_group: str
    queue_url: str


@contextmanager
def running(folder: Path) -> Iterator[Aws]:
    images = folder / "images.json"
    listed = [_image(*kind, identifier) for kind, identifier in IMAGES.items()]
    images.write_text(json.dumps(listed), encoding="utf-8")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "tests.autoscaling.moto_server",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    environment = {"PATH": os.environ["PATH"], "MOTO_AMIS_PATH": str(images), **CREDENTIALS}
    moto = Process.start("moto", command, folder / "moto.log", environment, ROOT)
    catalogue = ThreadingHTTPServer(("127.0.0.1", 0), Catalogue)
    threading.Thread(target=catalogue.serve_forever, daemon=True).start()
    aws = Aws(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{catalogue.server_port}")
    try:
        assert moto.await_ready(lambda: _answers(aws.url), READY_SECONDS), moto.last_lines()
        yield aws
    finally:
        catalogue.shutdown()
        moto.stop(10)


def seed(aws: Aws, cluster: str, profile: str, queue: str) -> Seeded:
    """A cluster in a VPC, whose private subnets and security group carry the tag."""
    ec2, iam = aws.client("ec2"), aws.client("iam")
    found = [{"Key": "karpenter.sh/discovery", "Value": cluster}]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets: dict[str, list[str]] = {"private": [], "public": []}
    for index, (kind, zone) in enumerate((k, z) for k in subnets for z in "abc"):
        made = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{index * 16}.0/20", AvailabilityZone=f"{REGION}{zone}"
        )
        subnets[kind].append(made["Subnet"]["SubnetId"])
    group = ec2.create_security_group(GroupName=cluster, Description="nodes", VpcId=vpc)["GroupId"]
    ec2.create_tags(Resources=[*subnets["private"], group], Tags=found)
    role = iam.create_role(RoleName="nodes", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    iam.create_instance_profile(InstanceProfileName=profile)
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName="nodes")
    aws.client("eks").create_cluster(
        name=cluster,
        version="1.36",
        roleArn=role,
        resourcesVpcConfig={"subnetIds": subnets["private"]},
        kubernetesNetworkConfig={"serviceIpv4Cidr": "10.100.0.0/16"},
    )
    url = aws.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
    return Seeded(frozenset(subnets["private"]), group, url)


@cache
def instance_types() -> dict[str, Any]:
    packed = (files("moto.ec2") / "resources" / "instance_types.json.gz").read_bytes()
    return json.loads(gzip.decompress(packed))


def price(instance: dict[str, Any]) -> float:
    """Of an hour, in USD: about what the sizes of real ones cost."""
    cpus, mib = instance["VCpuInfo"]["DefaultVCpus"], instance["MemoryInfo"]["SizeInMiB"]
    return round(cpus * 0.03 + mib / 1024 * 0.004, 4)


class Catalogue(BaseHTTPRequestHandler):
    """Pricing's GetProducts, and Systems Manager's GetParameter for images."""

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        answer = {"GetProducts": _products, "GetParameter": _parameter}[operation](wanted)
        body = json.dumps(answer).encode()
        self.send_response(200 if "__type" not in answer else 400)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: Karpenter's log tells what it asked for."""


@cache
def _price_list() -> list[str]:
    return [
        json.dumps(
            {
                "product": {"attributes": {"instanceType": name}},
                "terms": {
                    "OnDemand": {
                        "t": {"priceDimensions": {"d": {"pricePerUnit": {"USD": str(price(it))}}}}
                    }
                },
            }
        )
        for name, it in instance_types().items()
    ]


def _products(_wanted: Any) -> dict[str, Any]:
    return {"FormatVersion": "aws_v1", "PriceList": _price_list()}


def _parameter(wanted: Any) -> dict[str, Any]:
    *_, architecture, variant, _, _ = wanted["Name"].split("/")
    image = IMAGES.get((architecture, variant))
    if image is None:
        return {"__type": "ParameterNotFound", "message": wanted["Name"]}
    return {"Parameter": {"Name": wanted["Name"], "Type": "String", "Value": image, "Version": 1}}


def _image(architecture: str, variant: str, identifier: str) -> dict[str, Any]:
    return {
        "ami_id": identifier,
        "state": "available",
        "public": True,
        "owner_id": "602401143452",
        "image_location": f"amazon/al2023-{architecture}-{variant}",
        "sriov": "simple",
        "root_device_type": "ebs",
        "root_device_name": "/dev/xvda",
        "description": "EKS node",
        "image_type": "machine",
        "platform": None,
        "architecture": architecture,
        "name": f"amazon-eks-node-al2023-{architecture}-{variant}-1.36-v20261110",
        "virtualization_type": "hvm",
        "hypervisor": "xen",
    }


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/moto-api/", timeout=5).ok
    except requests.RequestException:
        return False
