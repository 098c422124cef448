"""The program's graph is evaluated here too, with what the graph tier keeps from it."""

from tests.graph.conftest import no_ambient_aws, pytest_configure  # noqa: F401 (pytest uses both)
