"""The `eks` package's cluster, a component that its own plugin makes: here it is recorded.

It has its inputs, which policies judge, and the cluster itself as its child, so that protection,
deletion and what isn't known before the first `up` are as they are on AWS.
"""

from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from local.errors import LocalError
from local.plugins import version

AWS_VERSION = version("aws")
CLUSTER = "eks:index:Cluster"
CHILD_INPUTS = ("name", "version", "tags", "deletionProtection", "enabledClusterLogTypes")
OUTPUTS = ("clusterSecurityGroupId", "eksCluster", "kubeconfig", "kubeconfigJson",
           "oidcIssuer", "oidcProviderArn", "oidcProviderUrl")  # fmt: skip


def construct(request: Any) -> Any:
    """Registers the component and its child with the engine. Raises LocalError for another type."""
    if request.type != CLUSTER:
        raise LocalError(f"{request.type} isn't made here: see local/eks_cluster.py")
    monitor = resource_pb2_grpc.ResourceMonitorStub(grpc.insecure_channel(request.monitorEndpoint))
    component = monitor.RegisterResource(
        resource_pb2.RegisterResourceRequest(
            type=request.type, name=request.name, parent=request.parent, object=request.inputs,
            acceptSecrets=True, protect=request.protect, aliases=request.aliases,
            dependencies=request.dependencies,
        )
    )  # fmt: skip
    inputs = Struct()
    inputs.update({k: request.inputs[k] for k in CHILD_INPUTS if k in request.inputs})
    child = monitor.RegisterResource(
        resource_pb2.RegisterResourceRequest(
            type="aws:eks/cluster:Cluster", name=f"{request.name}-eksCluster", custom=True,
            parent=component.urn, object=inputs, acceptSecrets=True, protect=request.protect,
            version=AWS_VERSION, dependencies=request.dependencies,
        )
    )  # fmt: skip
    state = Struct()
    state.update(_outputs(child) if child.id else dict.fromkeys(OUTPUTS, rpc.UNKNOWN))
    monitor.RegisterResourceOutputs(
        resource_pb2.RegisterResourceOutputsRequest(urn=component.urn, outputs=state)
    )
    dependencies = provider_pb2.ConstructResponse.PropertyDependencies(urns=[child.urn])
    return provider_pb2.ConstructResponse(
        urn=component.urn, state=state, stateDependencies=dict.fromkeys(OUTPUTS, dependencies)
    )


def _outputs(child: Any) -> dict[str, Any]:
    """Outputs that name the recorded cluster."""
    digest = child.id.rpartition("-")[2]
    _, _, _, region, account, *_ = child.object["arn"].split(":")
    issuer = f"oidc.eks.{region}.amazonaws.com/id/{digest.upper()}"
    return {
        "eksCluster": {
            rpc._special_sig_key: rpc._special_resource_sig,
            "urn": child.urn,
            "id": child.id,
            "packageVersion": AWS_VERSION,
        },
        "clusterSecurityGroupId": f"sg-{digest}",
        "kubeconfig": {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": []},
        "kubeconfigJson": '{"apiVersion":"v1","kind":"Config","clusters":[],"users":[]}',
        "oidcIssuer": issuer,
        "oidcProviderUrl": f"https://{issuer}",
        "oidcProviderArn": f"arn:aws:iam::{account}:oidc-provider/{issuer}",
    }
