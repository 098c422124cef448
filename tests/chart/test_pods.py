"""Every pod is hardened, placed and sized, and is replaced when its configuration changes."""

import shutil
from pathlib import Path

import pytest

from tests.chart.rendering import (
    CHART,
    VALUE_SETS,
    named,
    pods,
    resources,
)

DJANGO = {"web", "celery", "migrate", "worker-kidney-ct", "worker-skin-lesions"}
CHECKSUMS = {"checksum/environment", "checksum/settings", "checksum/secrets"}


@pytest.mark.parametrize("name", VALUE_SETS)
def test_hardened(name: str) -> None:
    templates = pods(resources(name))
    assert {"web", "frontend", "celery", "memcached", "migrate", "test"} <= set(templates)
    for component, template in templates.items():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, component
        assert spec["securityContext"]["runAsNonRoot"] is True, component
        assert spec["securityContext"]["runAsUser"] > 10000, component
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, component
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), component
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), component
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, component
            sized = container["resources"]
            assert {"cpu", "memory", "ephemeral-storage"} <= set(sized["requests"]), component
            assert {"memory", "ephemeral-storage"} <= set(sized["limits"]), component


@pytest.mark.parametrize("name", VALUE_SETS)
def test_placed(name: str) -> None:
    for component, template in pods(resources(name)).items():
        pool = template["spec"]["nodeSelector"]["karpenter.sh/nodepool"]
        assert (pool == "platform") is not component.startswith(("isolation-", "worker-"))


@pytest.mark.parametrize("name", VALUE_SETS)
def test_images_are_the_given_ones(name: str) -> None:
    for component, template in pods(resources(name)).items():
        for container in template["spec"]["containers"]:
            assert container["image"].startswith("111122223333.dkr.ecr."), component


def test_writable_is_bounded() -> None:
    for component, template in pods(resources("prod")).items():
        for volume in template["spec"].get("volumes", []):
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], component


def test_probes_name_an_allowed_host() -> None:
    (web,) = pods(resources("prod"))["web"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        headers = web[probe]["httpGet"]["httpHeaders"]
        assert {"name": "Host", "value": "evalai.example.org"} in headers


def test_workers_scale_with_their_queue_from_nothing() -> None:
    rendered = resources("prod")
    scaled = named(rendered, "ScaledObject", "evalai-worker-skin-lesions")["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 10)
    assert scaled["triggers"][0]["metadata"]["queueURL"].endswith("/skin-lesions-2-prod-7a1b3c4d")
    worker = named(rendered, "Deployment", "evalai-worker-skin-lesions")
    # A number here would be fought over by Helm and KEDA.
    assert "replicas" not in worker["spec"]
    assert worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 14400
    assert not any(r["kind"] == "ScaledObject" for r in resources("internal"))
    assert named(resources("internal"), "Deployment", "evalai-worker-retina")["spec"]["replicas"]


def test_each_challenge_has_an_identity_of_its_own() -> None:
    rendered, templates = resources("prod"), pods(resources("prod"))
    roles = set()
    for component in ("worker-kidney-ct", "worker-skin-lesions", "web"):
        account = templates[component]["spec"]["serviceAccountName"]
        metadata = named(rendered, "ServiceAccount", account)["metadata"]
        roles.add(metadata["annotations"]["eks.amazonaws.com/role-arn"])
    assert len(roles) == 3


def test_migration_needs_nothing_that_is_not_there_yet() -> None:
    """Hooks run before the release's own resources exist, so what the job uses are hooks too."""
    rendered = resources("dev")
    hooks = {
        (r["kind"], r["metadata"]["name"]): int(r["metadata"]["annotations"]["helm.sh/hook-weight"])
        for r in rendered
        if "pre-install" in r["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    }
    spec = pods(rendered)["migrate"]["spec"]
    used = {("ServiceAccount", spec["serviceAccountName"])}
    for source in spec["containers"][0]["envFrom"]:
        used.add(("ConfigMap", source["configMapRef"]["name"]))
    for volume in spec["volumes"]:
        if "configMap" in volume:
            used.add(("ConfigMap", volume["configMap"]["name"]))
        if "secret" in volume:
            used.add(("ExternalSecret", volume["secret"]["secretName"]))
    assert len(used) == 4
    assert all(hooks[resource] < hooks["Job", "evalai-migrate"] for resource in used)


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        ("database.host=other.example.org", {"checksum/environment"}),
        ("secrets.externalSecrets.application=other", {"checksum/secrets"}),
        ("memcached.memoryMib=128", set()),
    ],
)
def test_configuration_rolls_pods(setting: str, changed: set[str]) -> None:
    before, after = pods(resources("prod")), pods(resources("prod", setting))
    for component in DJANGO - {"migrate"}:
        old = before[component]["metadata"]["annotations"]
        new = after[component]["metadata"]["annotations"]
        assert {key for key in CHECKSUMS if old[key] != new[key]} == changed, component
    assert before["frontend"] == after["frontend"]


def test_settings_roll_pods(tmp_path: Path) -> None:
    changed = _copy(tmp_path)
    with (changed / "settings" / "ai4h.py").open("a", encoding="utf-8") as settings:
        settings.write("TIME_ZONE = 'Europe/Berlin'\n")
    before, after = pods(resources("prod")), pods(resources("prod", chart=changed))
    for component in DJANGO - {"migrate"}:
        old = before[component]["metadata"]["annotations"]["checksum/settings"]
        assert old != after[component]["metadata"]["annotations"]["checksum/settings"]


def test_upgrade_keeps_what_can_not_change(tmp_path: Path) -> None:
    """The API server refuses a new selector: version labels must stay out of it."""
    changed = _copy(tmp_path)
    description = changed / "Chart.yaml"
    content = description.read_text(encoding="utf-8").replace("version: 0.", "version: 1.")
    description.write_text(content.replace("appVersion: ", "appVersion: next-"), encoding="utf-8")
    before, after = resources("prod"), resources("prod", chart=changed)
    for old in before:
        new = named(after, old["kind"], old["metadata"]["name"])
        assert new["metadata"]["labels"] != old["metadata"]["labels"]
        if old["kind"] in {"Deployment", "Service"}:
            assert new["spec"]["selector"] == old["spec"]["selector"]


def _copy(folder: Path) -> Path:
    return Path(shutil.copytree(CHART, folder / "evalai"))
