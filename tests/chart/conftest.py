"""A real API server for all that is applied to it. The program's graph is evaluated here too, with
what the graph tier keeps from it."""

from collections.abc import Iterator

import pytest

from local.processes import wait_until
from tests.chart import api_server
from tests.chart.api_server import ApiServer
from tests.chart.rendering import Resource
from tests.chart.schemas import custom_resource_definitions
from tests.graph.conftest import no_ambient_aws, pytest_configure  # noqa: F401 (pytest uses both)

NAMESPACES = ("evalai", "evalai-models")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """With the custom resources, and namespaces that take only pods of the strictest standard."""
    with api_server.running(tmp_path_factory.mktemp("api-server")) as server:
        for resource in [*map(_namespace, NAMESPACES), *custom_resource_definitions()]:
            answer = server.apply(resource)
            assert answer.ok, answer.text
        for definition in custom_resource_definitions():
            _await_established(server, definition["metadata"]["name"])
        yield server


def _namespace(name: str) -> Resource:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }


def _await_established(server: ApiServer, name: str) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"

    def established() -> bool:
        # Null until the server has looked at it.
        conditions = server.call("GET", path).json().get("status", {}).get("conditions") or []
        return {"type": "Established", "status": "True"} in [
            {key: condition[key] for key in ("type", "status")} for condition in conditions
        ]

    assert wait_until(established, 30), name
