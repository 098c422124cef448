"""Kubernetes with a scheduler, nodes that kwok plays, and the real Karpenter over a fake EC2."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from local.processes import Process, wait_until
from tests.autoscaling.aws import CREDENTIALS, Aws
from tests.autoscaling.kubelets import daemon_sets, stages
from tests.chart import api_server
from tests.chart.api_server import ApiServer
from tests.chart.rendering import Resource, helm
from tests.graph.strict import REGION
from tools.go_programs import PROGRAMS, SOURCES, program

NAMESPACE = "kube-system"
READY_SECONDS = 180
# What the fake EC2 needs beyond the chart's permissions: it keeps its machines in config maps.
FAKE_RULES = [
    {
        "apiGroups": [""],
        "resources": ["configmaps", "nodes"],
        "verbs": ["get", "watch", "list", "create", "patch", "delete"],
    }
]
PERMISSIONS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@dataclass(frozen=True)
class Cluster:
    """The API server, and what to ask of it."""

    server: ApiServer
    karpenter_log: Path

    def apply(self, resource: Resource) -> Resource:
        answer = self.server.apply(resource)
        assert answer.ok, answer.text
        return answer.json()

    def items(self, path: str, **labels: str) -> list[Resource]:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        answer = self.server.call("GET", path, params={"labelSelector": selector})
        assert answer.ok, answer.text
        return answer.json()["items"]

    def nodes(self, pool: str) -> list[Resource]:
        return self.items("/api/v1/nodes", **{"karpenter.sh/nodepool": pool})

    def machines(self) -> dict[str, Resource]:
        """The fake EC2's running instances by id."""
        maps = self.items(f"/api/v1/namespaces/{NAMESPACE}/configmaps")
        kept = [m for m in maps if m["metadata"]["name"].startswith("kwok-aws-instances-")]
        return {
            instance["InstanceId"]: instance
            for each in kept
            for instance in json.loads(each.get("data", {}).get("instances") or "[]")
        }

    def await_condition(
        self, resource: Resource, kind: str, status: str, seconds: float = READY_SECONDS
    ) -> Resource:
        """The condition, once it has the status."""

        def condition() -> Resource:
            now = self.apply(resource)
            listed = now.get("status", {}).get("conditions") or []
            return next((c for c in listed if c["type"] == kind), {})

        done = wait_until(lambda: condition().get("status") == status, seconds, every=0.5)
        assert done, f"{resource['metadata']['name']} {kind}: {condition()}"
        return condition()


@contextmanager
def running(
    folder: Path, aws: Aws, values: Mapping[str, Any], node_class: Resource
) -> Iterator[Cluster]:
    """All of it, until the block ends; `values` are those of Karpenter's chart."""
    with ExitStack() as stack:
        server = stack.enter_context(api_server.running(folder))
        cluster = Cluster(server, folder / "karpenter.log")
        admin = server.kubeconfig(folder / "admin.kubeconfig")
        for definition in _definitions():
            cluster.apply(definition)
            cluster.await_condition(definition, "Established", "True")
        for name, options in _controllers(folder, admin, node_class).items():
            _start(stack, name, folder, options)
        for resource in daemon_sets():
            cluster.apply(resource)
        rendered = _rendered_chart(folder, values)
        for resource in [*rendered, *_fake_permissions()]:
            if resource["kind"] in PERMISSIONS:
                cluster.apply(resource)
        environment = _environment(rendered, aws, _karpenter_kubeconfig(server, folder))
        karpenter = _start(stack, "karpenter", folder, [], environment)
        ready = karpenter.await_ready(
            lambda: "Starting workers" in cluster.karpenter_log.read_text(), READY_SECONDS
        )
        assert ready, karpenter.last_lines()
        yield cluster


def _start(
    stack: ExitStack, name: str, folder: Path, options: list[str], environment: Any = None
) -> Process:
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environment or {})}
    command = [str(program(name)), *options]
    process = Process.start(name, command, folder / f"{name}.log", own, folder)
    stack.callback(process.stop, 10)
    return process


def _controllers(folder: Path, admin: Path, node_class: Resource) -> dict[str, list[str]]:
    scheduler = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(admin)},
        "leaderElection": {"leaderElect": False},
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 1,
    }
    (folder / "scheduler.json").write_text(json.dumps(scheduler), encoding="utf-8")
    shipped = _module("sigs.k8s.io/kwok") / "kustomize" / "stage"
    (folder / "stages.yaml").write_text(stages(shipped, node_class), encoding="utf-8")
    return {
        "kube-controller-manager": [
            f"--kubeconfig={admin}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--service-account-private-key-file={folder / 'accounts.key'}",
        ],
        "kube-scheduler": [
            f"--config={folder / 'scheduler.json'}",
            "--bind-address=127.0.0.1",
        ],
        "kwok": [
            f"--kubeconfig={admin}",
            f"--config={folder / 'stages.yaml'}",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--node-lease-duration-seconds=40",
        ],
    }


@cache
def _module(module: str) -> Path:
    """Where a Go module lies that one of our programs is built from."""
    done = subprocess.run(
        ["go", "list", "-mod=mod", "-m", "-f", "{{.Dir}}", module],
        cwd=SOURCES / PROGRAMS["kwok"].module,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def provider_source() -> Path:
    """Where the source of Karpenter's provider for AWS lies."""
    return _module("github.com/aws/karpenter-provider-aws")


def _definitions() -> list[Resource]:
    paths = sorted((provider_source() / "pkg" / "apis" / "crds").glob("*.yaml"))
    return [yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader) for path in paths]


def _rendered_chart(folder: Path, values: Mapping[str, Any]) -> list[Resource]:
    (folder / "values.json").write_text(json.dumps(values), encoding="utf-8")
    chart = provider_source() / "charts" / "karpenter"
    done = helm(
        *("template", "karpenter", chart, "--namespace", NAMESPACE),
        *("--values", folder / "values.json"),
    )
    assert done.returncode == 0, done.stderr
    return [r for r in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if r]


def _fake_permissions() -> list[Resource]:
    group, metadata = "rbac.authorization.k8s.io", {"name": "fake-ec2"}
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata}
    return [
        {**role, "rules": FAKE_RULES},
        {
            **role,
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "fake-ec2"},
            "subjects": [{"kind": "ServiceAccount", "name": "karpenter", "namespace": NAMESPACE}],
        },
    ]


def _karpenter_kubeconfig(server: ApiServer, folder: Path) -> Path:
    """With the token of the chart's service account: its permissions are on trial too."""
    answer = server.call(
        "POST",
        f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/karpenter/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    assert answer.ok, answer.text
    path = server.kubeconfig(folder / "karpenter.kubeconfig")
    config = json.loads(path.read_text())
    config["users"][0]["user"] = {"token": answer.json()["status"]["token"]}
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def _environment(rendered: list[Resource], aws: Aws, kubeconfig: Path) -> dict[str, str]:
    """The Deployment's, with this machine's AWS; what names the pod itself is left out."""
    (deployment,) = [r for r in rendered if r["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {
        **{item["name"]: item["value"] for item in container["env"] if "value" in item},
        **CREDENTIALS,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ENDPOINT_URL_PRICING": aws.catalogue_url,
        "AWS_ENDPOINT_URL_SSM": aws.catalogue_url,
        "SYSTEM_NAMESPACE": NAMESPACE,
        "DISABLE_LEADER_ELECTION": "true",
        "KUBECONFIG": str(kubeconfig),
    }
