"""Everything the chart renders is what Kubernetes and the operators take."""

import subprocess
from pathlib import Path

import pytest

from tests.chart.rendering import (
    CHART,
    KUBERNETES,
    VALUE_SETS,
    helm,
    resources,
    text,
    value_file,
)
from tests.chart.schemas import write_schemas
from tools.go_programs import program


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    write_schemas(folder, {r["kind"] for name in VALUE_SETS for r in resources(name)})
    return folder


def kubeconform(manifests: str, schemas: Path) -> subprocess.CompletedProcess[str]:
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    return subprocess.run(
        [program("kubeconform"), "-strict", "-summary", "-kubernetes-version", KUBERNETES,
         "-schema-location", location],
        input=manifests, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("name", VALUE_SETS)
def test_lint(name: str) -> None:
    done = helm("lint", CHART, "--strict", "--values", value_file(name))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", VALUE_SETS)
def test_matches_the_schemas(name: str, schemas: Path) -> None:
    done = kubeconform(text(name), schemas)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("terminationGracePeriodSeconds:", "terminationGracePeriod:"),
        ("minReplicaCount:", "minReplicas:"),
        ("secretStoreRef:", "storeRef:"),
        ("podIdentity: {provider: aws}", "podIdentity: {provider: azure}"),
    ],
)
def test_schemas_find_mistakes(right: str, wrong: str, schemas: Path) -> None:
    manifests = text("prod")
    assert right in manifests
    done = kubeconform(manifests.replace(right, wrong), schemas)
    assert done.returncode != 0
    assert "is invalid" in done.stdout
