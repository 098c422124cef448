"""The configuration of a stack, from the project's own files."""

import json

import yaml

from local.files import REPOSITORY

PROJECT = "ai4h-mvp"
STACK = "local"


def stack_config(stack: str) -> dict[str, str]:
    """A stack's configuration as the engine hands it over: the defaults, then the stack's file."""
    project = yaml.safe_load((REPOSITORY / "Pulumi.yaml").read_text())
    config = {
        key: spec["default"]
        for key, spec in project["config"].items()
        if isinstance(spec, dict) and "default" in spec
    }
    config |= yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {
        key if ":" in key else f"{PROJECT}:{key}": value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in config.items()
    }
