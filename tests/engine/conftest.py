"""The engine, and a local AWS for what it is to make."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.edge import EdgeServer
from local.files import StateDirectory
from local.handlers.base import Clients
from local.servers import Aws, Search, Settings, await_ready, clients
from tests.conftest import missing
from tests.engine.workspace import Workspace
from tests.reuse.conftest import consumer, wheel  # noqa: F401 (fixtures)
from tools.go_programs import GoError, program

READY_SECONDS = 120


@pytest.fixture(scope="session")
def pulumi() -> Path:
    """The CLI: the one on PATH, or the one built into the cache."""
    if found := shutil.which("pulumi"):
        return Path(found)
    try:
        return program("pulumi")
    except GoError as error:
        missing(f"there is no pulumi on PATH, and it can't be built: {error}")


@pytest.fixture(scope="module")
def recording(pulumi: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose resources are recorded only."""
    return Workspace(tmp_path_factory.mktemp("recording"), pulumi)


@dataclass(frozen=True)
class LocalAws:
    """Running servers, not yet with anything in them."""

    state: StateDirectory
    aws: Aws
    search: Search
    edge: EdgeServer
    clients: Clients


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    state = StateDirectory(tmp_path_factory.mktemp("servers"))
    state.prepare()
    settings = Settings(state)
    edge = EdgeServer(settings.port("edge"))
    search, aws = Search(state, settings), Aws(state, settings)
    try:
        aws = await_ready(aws, lambda: Aws(state, settings), READY_SECONDS)
        search = await_ready(search, lambda: Search(state, settings), READY_SECONDS)
        yield LocalAws(state, aws, search, edge, clients(settings))
    finally:
        edge.stop()
        aws.stop()
        search.stop()


@pytest.fixture(scope="module")
def making(
    pulumi: Path, local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """A workspace whose resources are made on the local AWS."""
    return Workspace(tmp_path_factory.mktemp("making"), pulumi, local_aws.clients)
