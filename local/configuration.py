"""The configuration of a stack, from the project's own files."""

import json
from functools import cache
from typing import Any

import yaml

from local.files import REPOSITORY

PROJECT = "ai4h-mvp"
STACK = "local"


def stack_config(stack: str) -> dict[str, str]:
    """A stack's configuration as the engine hands it over: the defaults, then the stack's file."""
    project = _read("Pulumi.yaml")
    config = {
        key: spec["default"]
        for key, spec in project["config"].items()
        if isinstance(spec, dict) and "default" in spec
    }
    config |= _read(f"Pulumi.{stack}.yaml")["config"]
    return {
        key if ":" in key else f"{PROJECT}:{key}": value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in config.items()
    }


@cache
def _read(name: str) -> dict[str, Any]:
    """One of the project's YAML files."""
    return yaml.load((REPOSITORY / name).read_text("utf-8"), Loader=yaml.CSafeLoader)
