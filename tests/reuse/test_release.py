"""Versions that are named in more than one place agree."""

import re

import components
from tests.reuse.conftest import ROOT


def test_the_changelog_has_the_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == components.__version__


def test_the_workflows_use_the_cli_of_the_sdk() -> None:
    locked = re.search(r"^pulumi==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert locked
    assert (ROOT / ".pulumi.version").read_text().strip() == locked[1]
