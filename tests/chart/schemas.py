"""What kubeconform holds the chart's resources against: Kubernetes' schemas and the operators'."""

import json
import re
import subprocess
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import KUBERNETES, Resource

# Go modules that hold the custom resources of the chart: checksum of Go's database, and files.
CRDS = {
    "github.com/kedacore/keda/v2@v2.21.0": (
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        [
            "config/crd/bases/keda.sh_scaledobjects.yaml",
            "config/crd/bases/keda.sh_triggerauthentications.yaml",
        ],
    ),
    "github.com/external-secrets/external-secrets@v1.3.2": (
        "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        [
            "config/crds/bases/external-secrets.io_externalsecrets.yaml",
            "config/crds/bases/external-secrets.io_secretstores.yaml",
        ],
    ),
}

REFERENCE = re.compile(r'"(?:/api/_definitions\.json)?#/\$defs/([^"]+)"')


def write_schemas(folder: Path, kinds: Iterable[str]) -> None:
    """Strict JSON schemas for kubeconform: of the given kinds, and of the custom resources."""
    source = files("kubernetes_validate") / f"kubernetes-json-schema/v{KUBERNETES}-local-strict"
    definitions = json.loads((source / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    for path in source.iterdir():
        if path.name.partition("-")[0] in {kind.lower() for kind in kinds}:
            schema = _self_contained(path.read_text(encoding="utf-8"), definitions)
            (folder / path.name).write_text(json.dumps(schema), encoding="utf-8")
    for definition in custom_resource_definitions():
        spec = definition["spec"]
        group, kind = spec["group"].split(".")[0], spec["names"]["kind"].lower()
        for version in spec["versions"]:
            schema = _closed(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            path = folder / f"{kind}-{group}-{version['name']}.json"
            path.write_text(json.dumps(schema), encoding="utf-8")


def _self_contained(content: str, definitions: Resource) -> Resource:
    """A schema with the definitions that it uses, instead of references to a web server.

    Only with those: kubeconform would compile all thousand of them for every kind.
    """
    used: Resource = {}
    queue = [content]
    while queue:
        for name in set(REFERENCE.findall(queue.pop())) - set(used):
            used[name] = definitions[name]
            queue.append(json.dumps(definitions[name]))
    local = json.loads(REFERENCE.sub(r'"#/$defs/\1"', json.dumps({"$defs": used})))
    return {**json.loads(REFERENCE.sub(r'"#/$defs/\1"', content)), **local, "$id": "urn:ai4h"}


def custom_resource_definitions() -> list[Resource]:
    """Definitions of the custom resources that the chart uses, from the operators' modules."""
    definitions = []
    for module, (checksum, paths) in CRDS.items():
        done = subprocess.run(
            ["go", "mod", "download", "-json", module], capture_output=True, text=True, cwd="/"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        downloaded = json.loads(done.stdout)
        assert downloaded["Sum"] == checksum, f"{module} is not what it was"
        for path in paths:
            content = Path(downloaded["Dir"], path).read_text(encoding="utf-8")
            definitions.append(yaml.load(content, Loader=yaml.CSafeLoader))
    return definitions


def _closed(schema: Any) -> Any:
    """An OpenAPI schema that refuses members it doesn't know, as the API server does."""
    if isinstance(schema, list):
        return [_closed(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed
