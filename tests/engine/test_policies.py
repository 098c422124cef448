"""The policy pack in a preview, as pull requests get it."""

import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
from pulumi.automation import CommandError

from policies.rules import ACCESS_BLOCK
from tests.engine.workspace import ROOT, Stack, Workspace, add_program, platform

PACK = str(ROOT / "policies")
# What Pulumi's Python host does with a pack; the CLI that is built here comes without hosts.
HOST = """\
#!/bin/sh
for argument; do  # but for the pack's runtime options, which are the host's
  shift
  case $argument in -*) ;; *) set -- "$@" "$argument" ;; esac
done
exec {python} -u -m pulumi.policy "$@"
"""


@pytest.fixture(scope="module")
def stack(recording: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Stack `dev`, not yet deployed, and a host for the pack with the packages that it locks."""
    environment = tmp_path_factory.mktemp("pack") / ".venv"
    uv, python = Path(sys.executable).with_name("uv"), environment / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", f"--python={sys.executable}", environment], check=True)
    requirements = ["-r", str(ROOT / "policies" / "requirements.txt")]
    install = ["pip", "install", "--quiet", f"--python={python}", *requirements]
    subprocess.run([uv, *install], check=True)
    host = recording.programs / "pulumi-analyzer-policy-python"
    add_program(host, HOST.format(python=python))
    return recording.project("dev")


def with_an_open_bucket() -> None:
    """The program after a change that makes one bucket public."""

    def opened(
        resource: pulumi.ResourceTransformArgs,
    ) -> pulumi.ResourceTransformResult | None:
        if resource.type_ != ACCESS_BLOCK or resource.name != "uploads-datasets":
            return None
        return pulumi.ResourceTransformResult(
            {**resource.props, "blockPublicPolicy": False}, resource.opts
        )

    pulumi.runtime.register_resource_transform(opened)
    platform()


def test_a_change_that_opens_a_bucket_is_refused(stack: Stack) -> None:
    with pytest.raises(CommandError) as refused:
        stack.preview(with_an_open_bucket, policy_packs=[PACK])
    assert "blockPublicPolicy is false" in str(refused.value)


def test_the_program_as_it_is_keeps_all_rules(stack: Stack) -> None:
    assert stack.preview(policy_packs=[PACK]).operations == {"create"}
