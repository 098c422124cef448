"""Marks every test with the tier its folder names: tests/graph -> graph, and so on."""

import gc
import os
from pathlib import Path
from typing import NoReturn

import pytest

TESTS = Path(__file__).parent
TIERS = {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith("_")}


STACKS_GROUP = {"test_account.py", "test_policies.py", "test_program.py"}
"""Files that look at whole stacks, whose graphs are evaluated once per process."""


def pytest_configure() -> None:
    """The SDKs' million objects live as long as the process: looking at them often is a waste."""
    gc.set_threshold(100_000, 50, 50)


def pytest_collection_finish() -> None:
    gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "graph or unit"` the other tiers needn't be imported."""
    expression = (config.getoption("markexpr") or "").removesuffix(" and not slow")
    wanted = set(expression.split()) - {"or"}
    if collection_path.parent == TESTS and collection_path.name in TIERS and wanted <= TIERS:
        return bool(wanted) and collection_path.name not in wanted
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0]
        item.add_marker(getattr(pytest.mark, tier))
        # With `-n` (and `--dist loadgroup`) a file's tests share a process, as its fixtures ask.
        group = "stacks" if item.path.name in STACKS_GROUP else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def missing(reason: str) -> NoReturn:
    """Ends a test that needs a tool which isn't here: skipped, but in CI failed."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
