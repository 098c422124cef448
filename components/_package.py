"""The components as a Pulumi package, which other languages generate their SDKs from."""

import inspect
import json
from typing import Any

import pulumi
from pulumi.provider.experimental.component import ComponentProvider

from . import __version__
from .auth_pool import AuthPool
from .challenge_roles import ChallengeRoles
from .dashboard import Dashboard
from .data_store import DataStore
from .edge import Edge
from .eval_cluster import EvalCluster
from .gateway import Gateway
from .network import Network
from .upload_bucket import UploadBucket

NAME = "ai4h"
"""First part of the components' type tokens."""

COMPONENTS: list[type[pulumi.ComponentResource]] = [
    AuthPool,
    ChallengeRoles,
    Dashboard,
    DataStore,
    Edge,
    EvalCluster,
    Gateway,
    Network,
    UploadBucket,
]
for component in COMPONENTS:
    # The analyzer takes docstrings as they are, and Python dedents them from 3.13 on only.
    component.__doc__ = inspect.getdoc(component)


def schema() -> dict[str, Any]:
    """The package's schema: https://www.pulumi.com/docs/iac/extending-pulumi/schema/"""
    provider = ComponentProvider(COMPONENTS, NAME, version=__version__)
    return json.loads(provider.schema or "{}")
