"""The pods of EvalAI's chart in the rig: what is applied, scaled and looked at."""

from collections.abc import Callable
from dataclasses import dataclass

from local.processes import wait_until
from tests.autoscaling.cluster import Cluster
from tests.chart.rendering import Resource

NAMESPACE = "evalai"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
COMPONENT = "app.kubernetes.io/component"
# What decides where pods run, and when they may be moved. The rest needs controllers of its own.
KINDS = ("Deployment", "Job", "Pod", "PodDisruptionBudget")


@dataclass(frozen=True)
class Workload:
    """What the chart made of its values, in the cluster."""

    cluster: Cluster
    rendered: list[Resource]

    def install(self) -> None:
        """The resources, as rendered; workers are off, as with nothing in their queues."""
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        for resource in self.rendered:
            if resource["kind"] in KINDS:
                self.cluster.apply(resource)
        for worker in self.workers:
            self.scale(worker, 0)

    @property
    def components(self) -> set[str]:
        """Of all pods but the workers'."""
        made = {r["metadata"]["labels"][COMPONENT] for r in self.rendered if r["kind"] in KINDS}
        return made - set(self.workers)

    @property
    def workers(self) -> list[str]:
        deployed = [r["metadata"]["labels"][COMPONENT] for r in self.rendered
                    if r["kind"] == "Deployment"]  # fmt: skip
        return [component for component in deployed if component.startswith("worker-")]

    def scale(self, component: str, replicas: int) -> None:
        """As KEDA does it."""
        answer = self.cluster.server.call(
            "PATCH",
            f"{DEPLOYMENTS}/evalai-{component}/scale",
            {"spec": {"replicas": replicas}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert answer.ok, answer.text

    def pods(self, component: str) -> list[Resource]:
        """Those that are not about to go."""
        listed = self.cluster.items(PODS, **{COMPONENT: component})
        return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]

    def placed(self, component: str) -> list[str]:
        """Names of the nodes of its pods that run, or have run to their end."""
        return [
            pod["spec"]["nodeName"]
            for pod in self.pods(component)
            if pod["status"]["phase"] in ("Running", "Succeeded")
        ]

    def await_placed(self, component: str, count: int, seconds: float) -> list[str]:
        poll(lambda: len(self.placed(component)) == count, seconds)
        placed = self.placed(component)
        assert len(placed) == count, f"{component}: {len(placed)} of {count} after {seconds} s"
        return placed

    def events(self, about: str = "") -> list[str]:
        """Messages of events; of those about one pod, given its name."""
        listed = self.cluster.items(EVENTS)
        return [
            event["message"]
            for event in listed
            if not about or event["involvedObject"].get("name") == about
        ]


def poll(done: Callable[[], bool], seconds: float) -> bool:
    return wait_until(done, seconds, every=0.5)
