"""Graph tests use `tests.graph.strict`; the machine's own AWS settings must not reach them."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_ambient_aws() -> None:
    """Keep the SDK from reading a profile or region of whoever runs the tests."""
    patch = pytest.MonkeyPatch()
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "PULUMI_CONFIG"):
        patch.delenv(name, raising=False)
