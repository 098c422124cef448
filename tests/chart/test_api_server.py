"""What a real API server makes of the chart: nothing here is judged by our own rules."""

import subprocess
from copy import deepcopy
from pathlib import Path

import pytest

from components._evalai_chart import chart_version
from tests.chart.api_server import ApiServer
from tests.chart.program import graph, rendered
from tests.chart.rendering import CHART, VALUE_SETS, Resource, named, pods, resources, value_file
from tools.go_programs import program

VERSIONS = sorted((Path(__file__).parent / "versions").glob("*.tgz"))
"""The chart as it was, with values of the time beside it."""


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_resource_is_applied(name: str, server: ApiServer) -> None:
    for resource in resources(name):
        answer = server.apply(resource, dryRun="All")
        assert answer.ok, answer.text
        # A deprecated version or a pod below the standard is a warning here.
        assert "Warning" not in answer.headers, answer.headers["Warning"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_the_program_makes_is_applied(stack: str, server: ApiServer) -> None:
    """The chart with the program's values, and the objects that it makes beside the chart."""
    own = ("v1:Namespace", "storage.k8s.io/v1:StorageClass", "external-secrets.io/v1:SecretStore")
    found = [resource for resource in graph(stack) if resource.type.endswith(own)]
    assert len(found) == len(own)
    objects = [{k: v for k, v in r.inputs.items() if not k.startswith("__")} for r in found]
    for resource in [*objects, *rendered(stack)]:
        answer = server.apply(resource, dryRun="All", force="true")
        assert answer.ok, answer.text
        assert "Warning" not in answer.headers, answer.headers["Warning"]


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_pod_meets_the_restricted_standard(name: str, server: ApiServer) -> None:
    for component, template in pods(resources(name)).items():
        answer = server.create(_pod(component, template), dryRun="All")
        assert answer.status_code == 201, answer.text


def test_a_weaker_pod_is_refused(server: ApiServer) -> None:
    pod = deepcopy(_pod("web", pods(resources("dev"))["web"]))
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    answer = server.create(pod, dryRun="All")
    assert answer.status_code == 403
    assert 'violates PodSecurity "restricted' in answer.json()["message"]


def test_an_unknown_field_is_refused(server: ApiServer) -> None:
    web = deepcopy(named(resources("dev"), "Deployment", "evalai-web"))
    web["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    answer = server.apply(web, dryRun="All")
    assert not answer.ok
    assert "terminationGracePeriod: field not declared in schema" in answer.text


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.stem)
def test_upgrade_from_a_version_before(version: Path, server: ApiServer, tmp_path: Path) -> None:
    """This version goes over that one and its values. Hooks need a cluster that runs pods."""
    config = server.kubeconfig(tmp_path / "kubeconfig")
    _helm(config, "install", version, "--values", version.with_name(f"{version.stem}-values.yaml"))
    try:
        _helm(config, "upgrade", CHART, "--values", value_file("prod"))
        path = "/apis/apps/v1/namespaces/evalai/deployments"
        found = {i["metadata"]["name"]: i for i in server.call("GET", path).json()["items"]}
        assert "evalai-worker-kidney-ct" in found
        web = found["evalai-web"]
        assert web["metadata"]["generation"] == 2
        assert web["metadata"]["labels"]["helm.sh/chart"] == f"evalai-{chart_version()}"
    finally:
        _helm(config, "uninstall")


def test_versions_before_are_kept() -> None:
    """The package of each; else an upgrade from it isn't tested."""
    minors = {int(version.stem.split(".")[1]) for version in VERSIONS}
    assert set(range(1, int(chart_version().split(".")[1]))) <= minors


def _helm(config: Path, command: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [program("helm"), command, "evalai", *arguments, "--namespace", "evalai", "--no-hooks",
         "--kubeconfig", config],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _pod(component: str, template: Resource) -> Resource:
    metadata = {**template["metadata"], "name": component, "namespace": "evalai"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
