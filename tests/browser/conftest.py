"""A headless Chromium, and the portal of a running platform in it."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

from tests.browser.portal import Portal
from tests.conftest import missing
from tests.e2e.conftest import client, stack, token
from tests.npm import installed

__all__ = ["client", "stack", "token"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP = (1100, 850)
SOURCES = Path(__file__).resolve().parents[2] / "portal"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    with sync_playwright() as playwright:
        # No sandbox: it is root's, in containers.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, stack: dict[str, Any]) -> Iterator[Callable[..., Portal]]:
    """Opens the portal in a browser of its own; in the end, no policy was violated."""
    violations: list[str] = []
    contexts = []

    def listen(page: Page) -> None:
        def hear(message: ConsoleMessage) -> None:
            if re.search("Content.Security.Policy", message.text, re.IGNORECASE):
                violations.append(message.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: violations.append(str(error)))

    def opened(size: tuple[int, int] = DESKTOP, **options: Any) -> Portal:
        viewport = {"width": size[0], "height": size[1]}
        context = chromium.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        context.on("page", listen)
        contexts.append(context)
        return Portal(context.new_page(), stack)

    yield opened
    for context in contexts:
        context.close()
    assert violations == []


@pytest.fixture
def picture() -> Callable[[Portal, str, Locator], None]:
    """Keeps a picture of a part of the page in the folder that AI4H_PICTURES names, if it does."""

    def take(portal: Portal, name: str, part: Locator) -> None:
        if folder := os.environ.get("AI4H_PICTURES"):
            portal.page.mouse.move(0, 0)
            part.screenshot(path=Path(folder) / f"{name}.png")

    return take


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The portal's sources beside the packages that its lock names, installed once."""
    return installed(SOURCES, "portal", "site") / "node_modules"
