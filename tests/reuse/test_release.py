"""Versions that are named in more than one place agree."""

import re

import components
from tests.reuse.conftest import ROOT


def test_the_changelog_has_the_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == components.__version__


def test_every_release_says_what_data_to_migrate() -> None:
    releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    assert releases
    for release in releases:
        assert re.search(r"^### Data\n\n\S", release, re.MULTILINE), release.splitlines()[0]


def test_program_policies_and_cli_have_one_version() -> None:
    versions = {(ROOT / ".pulumi.version").read_text().strip()}
    for lock in (ROOT / "requirements.txt", ROOT / "policies" / "requirements.txt"):
        locked = re.search(r"^pulumi==(\S+)", lock.read_text(), re.MULTILINE)
        versions.add(locked[1] if locked else f"none in {lock}")
    assert len(versions) == 1, versions
