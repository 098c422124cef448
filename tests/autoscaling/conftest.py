"""The rig: pools and machines as the program's own graph has them, under the real Karpenter."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.autoscaling import aws as services
from tests.autoscaling import cluster as kubernetes
from tests.autoscaling.aws import Aws, Seeded
from tests.autoscaling.cluster import Cluster
from tests.autoscaling.network import NoNamespaceError, own_network
from tests.autoscaling.workload import NAMESPACE, Workload
from tests.chart.program import graph as program_graph
from tests.chart.program import rendered
from tests.chart.rendering import Resource
from tests.conftest import missing
from tests.graph.conftest import no_ambient_aws, pytest_configure  # noqa: F401 (pytest uses both)
from tests.graph.strict import Graph
from tools.go_programs import program

STACK = "dev"
RELEASE = "evaluation-karpenter-karpenter"
GPU = "nvidia.com/gpu"
PROGRAMS = (
    *("etcd", "helm", "karpenter", "kube-apiserver", "kube-controller-manager"),
    *("kube-scheduler", "kwok"),
)


@dataclass(frozen=True)
class Rig:
    """A cluster whose pools are ours, and the AWS below it."""

    cluster: Cluster
    aws: Aws
    seeded: Seeded
    node_class: Resource
    pools: dict[str, Resource]


@pytest.fixture(scope="session")
def graph() -> Graph:
    if shutil.which("go") is None:
        missing("Karpenter and Kubernetes are built with Go, and there is no go on PATH")
    return program_graph(STACK)


@pytest.fixture(scope="session")
def rig(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    for name in PROGRAMS:
        program(name)  # before the network is gone, from which what they are built of comes
    folder = tmp_path_factory.mktemp("autoscaling")
    values = graph.one("kubernetes:helm.sh/v3:Release", RELEASE).inputs["values"]
    settings = values["settings"]
    node_class = _manifest(graph, "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")[0]
    try:
        with own_network(), services.running(folder) as aws:
            seeded = services.seed(
                aws,
                settings["clusterName"],
                node_class["spec"]["instanceProfile"],
                settings["interruptionQueue"],
            )
            with kubernetes.running(folder, aws, values, node_class) as cluster:
                pools = _manifest(graph, "kubernetes:karpenter.sh/v1:NodePool")
                for resource in (node_class, *pools):
                    cluster.apply(resource)
                    cluster.await_condition(resource, "Ready", "True")
                named = {pool["metadata"]["name"]: pool for pool in pools}
                yield Rig(cluster, aws, seeded, node_class, named)
    except NoNamespaceError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def models(rig: Rig) -> list[str]:
    """Names of pods that want a GPU: one more than there are."""
    pool = rig.pools["evaluation-gpu"]["spec"]
    resources = {"limits": {GPU: "1"}, "requests": {"cpu": "1", "memory": "2Gi"}}
    names = [f"model-{number}" for number in range(int(pool["limits"][GPU]) + 1)]
    for name in names:
        rig.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "nodeSelector": {"karpenter.sh/nodepool": "evaluation-gpu"},
                    "tolerations": pool["template"]["spec"]["taints"],
                    "containers": [
                        {"name": name, "image": "example.org/none", "resources": resources}
                    ],
                },
            }
        )
    return names


@pytest.fixture(scope="session")
def evalai(rig: Rig, request: pytest.FixtureRequest) -> Workload:
    """The chart's pods and models, which find their first nodes while other tests run."""
    workload = Workload(rig.cluster, rendered(STACK))
    workload.install()
    request.getfixturevalue("models")
    return workload


def _manifest(graph: Graph, type_: str) -> list[Resource]:
    keys = ("apiVersion", "kind", "metadata", "spec")
    return [{key: resource.inputs[key] for key in keys} for resource in graph.all(type_)]
