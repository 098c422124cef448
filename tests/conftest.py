"""Marks every test with the tier its folder names: tests/graph -> graph, and so on."""

import gc
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
TIERS = {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith("_")}
TOGETHER = (
    # Whole stacks, whose graphs are evaluated once per process.
    tuple(
        f"graph/test_{n}.py"
        for n in ("account", "costs", "policies", "policy_documents", "program")
    ),
    # Data stores, the same.
    tuple(f"graph/test_{name}.py" for name in ("alarms", "bulk", "data_store", "evidence")),
    # The engine's local AWS, which takes a while to start.
    ("engine/test_changes.py", "engine/test_local.py", "engine/test_wheel.py"),
    # The API server.
    tuple(f"chart/test_{name}.py" for name in ("api_server", "job_controller", "submissions")),
    # The platform, and the cluster.
    ("e2e/",),
    ("autoscaling/",),
)
"""Files and folders whose tests share a process with each other when there are several (`-n`)."""


class Scheduler(LoadScopeScheduling):
    """Gives all tests of a file to one process, as its fixtures ask, those of `TOGETHER` too.

    pytest-xdist's own groups (`--dist loadgroup`) do nothing with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix(f"{TESTS.name}/")
        return next((group[0] for group in TOGETHER if file.startswith(group)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    return Scheduler(config, log)


def pytest_configure() -> None:
    """Looking for garbage among the SDKs' million objects would take a third of the time."""
    gc.disable()


def pytest_unconfigure() -> None:
    """Nor does the interpreter look through them before it ends."""
    gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "graph or unit"` the other tiers needn't be imported."""
    expression = re.sub(r"[()]| and not slow", "", config.getoption("markexpr") or "")
    wanted = set(expression.split()) - {"or"}
    if collection_path.parent == TESTS and collection_path.name in TIERS and wanted <= TIERS:
        return bool(wanted) and collection_path.name not in wanted
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0]
        item.add_marker(getattr(pytest.mark, tier))


def missing(reason: str) -> NoReturn:
    """Ends a test that needs a tool which isn't here: skipped, but in CI failed."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
