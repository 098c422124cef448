"""EKS, its machines, and what is installed on them."""

import re
from collections.abc import Iterator

from policies.lifetimes import kubernetes_ended
from policies.network import EVERYWHERE
from policies.rule import UNKNOWN, Resource, both, listed, needs, read, rule

CLUSTER = "eks:index:Cluster"
RELEASE = "kubernetes:helm.sh/v3:Release"
CONTROL_PLANE_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
POD_SECURITY = "pod-security.kubernetes.io/enforce"
VERSION = re.compile(r"v?\d+(\.\d+){1,2}([-+].+)?")


def _open_endpoint(resource: Resource) -> Iterator[str]:
    ranges = resource.inputs.get("publicAccessCidrs")
    public = resource.inputs.get("endpointPublicAccess")
    if UNKNOWN in (ranges, public) or public is False:
        return
    for cidr in listed(ranges or EVERYWHERE[0]):  # AWS's default
        if cidr in EVERYWHERE:
            yield "publicAccessCidrs is the whole internet: name the ranges that may reach it"


def _silent(resource: Resource) -> Iterator[str]:
    logs = resource.inputs.get("enabledClusterLogTypes")
    if logs is not UNKNOWN and (without := set(CONTROL_PLANE_LOGS) - set(listed(logs))):
        yield f"enabledClusterLogTypes lacks {', '.join(sorted(without))}"


def _unlimited(resource: Resource) -> Iterator[str]:
    for path in ("spec.limits", "spec.template.spec.expireAfter"):
        yield from needs(path, advice="a mistake must not rent machines without end")(resource)


def _any_version(resource: Resource) -> Iterator[str]:
    version = resource.inputs.get("version")
    local = not str(resource.inputs.get("chart", "")).startswith(("oci:", "http"))
    from_repository = resource.inputs.get("repositoryOpts")
    if version is UNKNOWN or (local and not from_repository):
        return
    if not version or not VERSION.fullmatch(version):
        yield f"version is {version or 'missing'}: name one, or any day may bring another"


def _lax(resource: Resource) -> Iterator[str]:
    labels = read(resource.inputs, "metadata.labels")
    level = labels if labels is UNKNOWN else (labels or {}).get(POD_SECURITY)
    if level not in ("restricted", UNKNOWN):
        yield f"{POD_SECURITY} isn't restricted: pods could get at their machine"


RULES = (
    rule("supported-kubernetes", "Kubernetes is in standard support", CLUSTER, kubernetes_ended),
    rule("closed-endpoint", "The API server is for known networks", CLUSTER, _open_endpoint),
    rule(
        "private-endpoint",
        "Nodes reach the API server inside the VPC",
        CLUSTER,
        needs("endpointPrivateAccess", True, advice="their traffic would leave the VPC"),
    ),
    rule("logged-control-plane", "The control plane logs all it can", CLUSTER, _silent),
    rule(
        "encrypted-secrets",
        "Kubernetes' secrets are encrypted with a key of one's own",
        CLUSTER,
        needs("encryptionConfigKeyArn", advice="name a KMS key"),
    ),
    rule(
        "access-by-entries",
        "Access to the cluster is a resource, not an object inside",
        CLUSTER,
        needs("authenticationMode", "API", advice="access entries can be seen and reviewed"),
    ),
    rule(
        "metadata-out-of-reach",
        "Pods can't take their machine's role",
        "aws:ec2/launchTemplate:LaunchTemplate",
        both(
            needs("metadataOptions.httpTokens", "required", advice="IMDSv2 only"),
            needs("metadataOptions.httpPutResponseHopLimit", 1, advice="one hop is the machine"),
        ),
    ),
    rule(
        "node-metadata-out-of-reach",
        "Pods can't take the role of a machine that Karpenter starts",
        "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass",
        both(
            needs("spec.metadataOptions.httpTokens", "required", advice="IMDSv2 only"),
            needs("spec.metadataOptions.httpPutResponseHopLimit", 1, advice="one hop"),
        ),
    ),
    rule(
        "private-nodes",
        "Karpenter's machines have no public address",
        "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass",
        needs("spec.associatePublicIPAddress", False, advice="nodes are private"),
    ),
    rule(
        "limited-pools",
        "A node pool ends somewhere, and its machines some day",
        "kubernetes:karpenter.sh/v1:NodePool",
        _unlimited,
    ),
    rule("pinned-charts", "A chart's version is named", RELEASE, _any_version),
    rule("restricted-pods", "Pods are restricted", "kubernetes:core/v1:Namespace", _lax),
)
