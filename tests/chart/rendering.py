"""The chart as Helm renders it."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tools.go_programs import program

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "evalai"
KUBERNETES = "1.36.0"
VALUE_SETS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
Resource = dict[str, Any]


def helm(*arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Helm, with the text as its standard input."""
    return subprocess.run(
        [program("helm"), *arguments, "--kube-version", KUBERNETES],
        input=text,
        capture_output=True,
        text=True,
    )


def value_file(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"


@cache
def text(name: str, *settings: str, chart: Path = CHART) -> str:
    """What `helm template` prints for one of the value sets, with `--set` arguments on top."""
    done = helm(
        *("template", "evalai", chart, "--namespace", "evalai", "--values", value_file(name)),
        *(argument for setting in settings for argument in ("--set", setting)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def resources(name: str, *settings: str, chart: Path = CHART) -> list[Resource]:
    return parsed(text(name, *settings, chart=chart))


def parsed(manifests: str) -> list[Resource]:
    documents = yaml.load_all(manifests, Loader=yaml.CSafeLoader)
    return [document for document in documents if document]


def named(rendered: list[Resource], kind: str, name: str) -> Resource:
    (found,) = (r for r in rendered if r["kind"] == kind and r["metadata"]["name"] == name)
    return found


def pods(rendered: list[Resource]) -> dict[str, Resource]:
    """Template (metadata and spec) of each pod, by its component."""
    templates = [r if r["kind"] == "Pod" else r["spec"]["template"] for r in rendered if _runs(r)]
    return {t["metadata"]["labels"]["app.kubernetes.io/component"]: t for t in templates}


def _runs(resource: Resource) -> bool:
    return resource["kind"] in {"Deployment", "Job", "Pod"}
