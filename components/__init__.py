"""The reusable components of the AI4H platform, one per module.

    from components import AuthPool, UploadBucket

A module is imported when one of its names is first used: the AWS SDK is large, and who uses one
component needn't wait for the others.

No `from __future__ import annotations` in these modules: Pulumi's schema analyzer reads the
annotations of arguments at run time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components._layer import FunctionPlatform
    from components.auth_pool import AuthPool, AuthPoolArgs, Mfa
    from components.data_store import DataStore, DataStoreArgs
    from components.edge import Edge, EdgeArgs, EdgeDomainArgs, PriceClass
    from components.eval_cluster import EvalCluster, EvalClusterArgs
    from components.gateway import Gateway, GatewayArgs, GatewayThrottleArgs
    from components.network import Network, NetworkArgs
    from components.upload_bucket import UploadBucket, UploadBucketArgs

__all__ = [
    "AuthPool",
    "AuthPoolArgs",
    "DataStore",
    "DataStoreArgs",
    "Edge",
    "EdgeArgs",
    "EdgeDomainArgs",
    "EvalCluster",
    "EvalClusterArgs",
    "FunctionPlatform",
    "Gateway",
    "GatewayArgs",
    "GatewayThrottleArgs",
    "Mfa",
    "Network",
    "NetworkArgs",
    "PriceClass",
    "UploadBucket",
    "UploadBucketArgs",
]

_MODULES = {
    "_layer": ("FunctionPlatform",),
    "auth_pool": ("AuthPool", "AuthPoolArgs", "Mfa"),
    "data_store": ("DataStore", "DataStoreArgs"),
    "edge": ("Edge", "EdgeArgs", "EdgeDomainArgs", "PriceClass"),
    "eval_cluster": ("EvalCluster", "EvalClusterArgs"),
    "gateway": ("Gateway", "GatewayArgs", "GatewayThrottleArgs"),
    "network": ("Network", "NetworkArgs"),
    "upload_bucket": ("UploadBucket", "UploadBucketArgs"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
