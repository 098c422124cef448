"""The reusable components of the AI4H platform, one per module.

    from components import AuthPool, UploadBucket

A module is imported when one of its names is first used: the AWS SDK is large, and who uses one
component needn't wait for the others.

In these modules: no `from __future__ import annotations`, since Pulumi's schema analyzer reads the
annotations of arguments at run time; and relative imports, since the wheel has this package as
`ai4h_platform.components`, beside the `functions` that it deploys.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._access_rules import AccessRule, parse_access_rules
    from ._api_keys import GatewayKeyArgs, GatewayThrottleArgs, parse_api_keys
    from ._challenge_access import ChallengeDatasetsArgs
    from ._evalai import EvalClusterChallengeArgs, EvalClusterEvalAiArgs
    from ._layer import FunctionPlatform
    from .auth_pool import AuthPool, AuthPoolArgs, Mfa
    from .challenge_roles import ChallengeRoles, ChallengeRolesArgs, ChallengeRolesWorkersArgs
    from .dashboard import Dashboard, DashboardArgs
    from .data_store import DataStore, DataStoreArgs, DataStoreSearchArgs
    from .edge import Edge, EdgeArgs, EdgeDomainArgs, PriceClass
    from .eval_cluster import EvalCluster, EvalClusterArgs
    from .gateway import Gateway, GatewayArgs
    from .network import Network, NetworkArgs
    from .upload_bucket import UploadBucket, UploadBucketArgs

__all__ = [
    "AccessRule",
    "AuthPool",
    "AuthPoolArgs",
    "ChallengeDatasetsArgs",
    "ChallengeRoles",
    "ChallengeRolesArgs",
    "ChallengeRolesWorkersArgs",
    "Dashboard",
    "DashboardArgs",
    "DataStore",
    "DataStoreArgs",
    "DataStoreSearchArgs",
    "Edge",
    "EdgeArgs",
    "EdgeDomainArgs",
    "EvalCluster",
    "EvalClusterArgs",
    "EvalClusterChallengeArgs",
    "EvalClusterEvalAiArgs",
    "FunctionPlatform",
    "Gateway",
    "GatewayArgs",
    "GatewayKeyArgs",
    "GatewayThrottleArgs",
    "Mfa",
    "Network",
    "NetworkArgs",
    "PriceClass",
    "UploadBucket",
    "UploadBucketArgs",
    "parse_access_rules",
    "parse_api_keys",
]

__version__ = "0.1.0"
"""Of the wheel and of the component package, by https://semver.org; a release is tagged `v…`."""

_MODULES = {
    "_access_rules": ("AccessRule", "parse_access_rules"),
    "_api_keys": ("GatewayKeyArgs", "GatewayThrottleArgs", "parse_api_keys"),
    "_challenge_access": ("ChallengeDatasetsArgs",),
    "_evalai": ("EvalClusterChallengeArgs", "EvalClusterEvalAiArgs"),
    "_layer": ("FunctionPlatform",),
    "auth_pool": ("AuthPool", "AuthPoolArgs", "Mfa"),
    "challenge_roles": ("ChallengeRoles", "ChallengeRolesArgs", "ChallengeRolesWorkersArgs"),
    "dashboard": ("Dashboard", "DashboardArgs"),
    "data_store": ("DataStore", "DataStoreArgs", "DataStoreSearchArgs"),
    "edge": ("Edge", "EdgeArgs", "EdgeDomainArgs", "PriceClass"),
    "eval_cluster": ("EvalCluster", "EvalClusterArgs"),
    "gateway": ("Gateway", "GatewayArgs"),
    "network": ("Network", "NetworkArgs"),
    "upload_bucket": ("UploadBucket", "UploadBucketArgs"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
