"""EvalAI's release: charts/evalai with the values that follow from what the component made."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from ._evalai_access import NAMESPACE
from ._order import after

CHART = Path(__file__).parents[1] / "charts" / "evalai"
RELEASE = STORE = "evalai"
# The migration's deadline, the images' first pull onto new machines, and room to spare.
TIMEOUT_SECONDS = 1800
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Ranges:
    """Addresses for the chart's network policies."""

    public: pulumi.Output[list[str]]
    """Of the subnets that load balancers are in."""
    private: pulumi.Output[list[str]]
    """Of the subnets that the database and interface endpoints are in."""
    storage: pulumi.Output[list[str]]
    """Of S3 in this region."""


def ranges(
    public_subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
    private_subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
) -> Ranges:
    """The ranges of the cluster's subnets, and of S3's gateway endpoint."""
    prefix_list = aws.ec2.get_managed_prefix_list_output(
        name=pulumi.Output.concat("com.amazonaws.", aws.get_region_output().region, ".s3")
    )
    return Ranges(
        public=_subnet_ranges(public_subnet_ids),
        private=_subnet_ranges(private_subnet_ids),
        storage=prefix_list.entries.apply(lambda entries: [entry.cidr for entry in entries]),
    )


def _subnet_ranges(
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]],
) -> pulumi.Output[list[str]]:
    def look_up(identifiers: Sequence[pulumi.Input[str]]) -> pulumi.Output[list[str]]:
        found = [aws.ec2.get_subnet_output(id=identifier) for identifier in identifiers]
        return pulumi.Output.all(*(subnet.cidr_block for subnet in found))

    return pulumi.Output.from_input(subnet_ids).apply(look_up)


def secret_store(name: str, namespace: str, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """Where the chart's ExternalSecrets look: Secrets Manager, as external-secrets' own role."""
    provider = {"aws": {"service": "SecretsManager", "region": aws.get_region_output().region}}
    return pulumi.CustomResource(
        "kubernetes:external-secrets.io/v1:SecretStore",
        name,
        {
            "apiVersion": "external-secrets.io/v1",
            "kind": "SecretStore",
            "metadata": {"name": STORE, "namespace": namespace},
            "spec": {"provider": provider},
        },
        opts,
    )


def image_values(repositories: Mapping[str, pulumi.Input[str]], tag: str) -> dict[str, Any]:
    """The chart's images; their names are those of the repositories, less what all begin with."""
    return {
        name.removeprefix("evalai-"): {"repository": url, "tag": tag}
        for name, url in repositories.items()
    }


def network_values(found: Ranges, *, sends_mail: bool) -> dict[str, Any]:
    """Whom pods reach: workers only the database and AWS inside the VPC, so that nothing leaks."""
    return {
        "loadBalancerCidrs": found.public,
        "databaseCidrs": found.private,
        "awsCidrs": pulumi.Output.all(found.private, found.storage).apply(
            lambda both: [*both[0], *both[1]]
        ),
        # SES is outside, and so is what templates of mails come from.
        "webCidrs": [ANYWHERE] if sends_mail else [],
    }


def chart_version() -> str:
    """The chart's own version: the release notices no other change of it."""
    text = (CHART / "Chart.yaml").read_text(encoding="utf-8")
    (version,) = re.findall(r"^version: (\S+)$", text, re.MULTILINE)
    return version


def release(
    name: str,
    values: Mapping[str, Any],
    *,
    depends_on: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> kubernetes.helm.v3.Release:
    """The chart, installed and upgraded with its hooks."""
    return kubernetes.helm.v3.Release(
        name,
        name=RELEASE,
        # Relative, so that no path of one machine is in the state that others read.
        chart=Path(os.path.relpath(CHART)).as_posix(),
        version=chart_version(),
        namespace=NAMESPACE,
        values=values,
        timeout=TIMEOUT_SECONDS,
        atomic=True,
        opts=after(opts, *depends_on),
    )
