"""moto's server with half of EC2's machine types: all of them are answers that take it minutes.

What is kept are the families of the node pools, in sizes below and above what the pools allow.
"""

from typing import Any

from moto.ec2.models.instance_types import InstanceTypeBackend
from moto.server import main

FAMILIES = ("c", "m", "r", "g5.", "g6.")
LARGEST_CPUS = 32


def is_kept(machine: dict[str, Any]) -> bool:
    cpus = machine["VCpuInfo"]["DefaultVCpus"]
    return machine["InstanceType"].startswith(FAMILIES) and cpus <= LARGEST_CPUS


InstanceTypeBackend.instance_types = [t for t in InstanceTypeBackend.instance_types if is_kept(t)]

if __name__ == "__main__":
    main()
