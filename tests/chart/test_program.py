"""What the program makes of the chart: values that it takes, pods that it places."""

import json
from dataclasses import fields

import pytest

from runner.settings import Settings
from tests.chart.program import CHALLENGE, graph, release, rendered
from tests.chart.rendering import CHART, ROOT, helm, named, parsed, pods
from tests.graph.strict import ACCOUNT, REGION
from tests.graph.test_containers import with_container
from tests.graph.test_evalai import build


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_chart_takes_the_programs_values(stack: str) -> None:
    inputs = release(stack)
    assert (ROOT / inputs["chart"]).resolve() == CHART
    assert f"\nversion: {inputs['version']}\n" in (CHART / "Chart.yaml").read_text("utf-8")
    templates = pods(rendered(stack))
    assert {"web", "celery", "frontend", "migrate", "worker-kidney-ct"} <= set(templates)
    for component, template in templates.items():
        (container,) = template["spec"]["containers"]
        registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/ai4h-mvp-k8s-{stack}/"
        assert container["image"].startswith(registry), component
        assert container["image"].endswith(":0f04039-1a2b3c4d"), component


def test_accounts_are_those_that_roles_trust() -> None:
    accounts = {
        resource["metadata"]["name"]
        for resource in rendered("dev")
        if resource["kind"] == "ServiceAccount"
    }
    trusted: set[str] = set()
    for role in graph("dev").all("aws:iam/role:Role"):
        document = role.inputs["assumeRolePolicy"]
        trusted |= {
            name for name in accounts if f'system:serviceaccount:evalai:{name}"' in document
        }
    assert trusted == accounts == {"evalai-app", "evalai-migrate", "evalai-worker-kidney-ct"}


def test_secrets_come_from_the_programs_store() -> None:
    store = graph("dev").one("kubernetes:external-secrets.io/v1:SecretStore").inputs
    for name in ("evalai", "evalai-migrate"):
        spec = named(rendered("dev"), "ExternalSecret", name)["spec"]
        assert spec["secretStoreRef"] == {"kind": store["kind"], "name": store["metadata"]["name"]}


def test_chart_takes_the_programs_values_for_containers() -> None:
    made = build(with_container()).one("kubernetes:helm.sh/v3:Release", "evaluation-evalai")
    done = helm(
        *("template", "evalai", CHART, "--namespace", "evalai", "--values", "-"),
        text=json.dumps(made.inputs["values"]),
    )
    assert done.returncode == 0, done.stderr
    found = parsed(done.stdout)
    config = named(found, "ConfigMap", "evalai-runner-kidney-ct")["data"]["settings.json"]
    settings = json.loads(config)
    assert settings.keys() == {field.name for field in fields(Settings)}
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/ai4h-mvp-k8s-dev"
    assert settings["repositories"] == [f"{registry}/submissions/kidney-ct"]
    assert settings["image"] == f"{registry}/evalai-runner:0f04039-1"
    assert settings["datasets"] == [{"id": "d1", "manifest": "7c1d/1"}]
    assert settings["failed_queue_arn"].startswith(f"arn:aws:sqs:{REGION}:{ACCOUNT}:")
    assert {"evalai-runner-skin", "evalai-fetch-skin", "evalai-model"} <= {
        r["metadata"]["name"] for r in found if r["kind"] == "ServiceAccount"
    }


def test_a_worker_is_scaled_by_its_challenges_queue() -> None:
    spec = named(rendered("dev"), "ScaledObject", "evalai-worker-kidney-ct")["spec"]
    (trigger,) = spec["triggers"]
    queue = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{CHALLENGE['queue']}"
    assert trigger["metadata"]["queueURL"] == queue
    assert spec["maxReplicaCount"] == 4
