"""Graph tests use `tests.graph.strict`; the machine's own AWS settings must not reach them."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_ambient_aws() -> Iterator[None]:
    """Keep the SDK from reading a profile or region of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "PULUMI_CONFIG"):
            patch.delenv(name, raising=False)
        yield


def pytest_configure(config: pytest.Config) -> None:
    """The SDKs warn on import about resources that only they use."""
    for package in ("pulumi_aws", "pulumi_eks"):
        config.addinivalue_line("filterwarnings", f"ignore::DeprecationWarning:{package}")
