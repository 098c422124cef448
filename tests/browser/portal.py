"""The portal as a user sees it: what is on the page, by role and label."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import FileChooser, Locator, Page, expect

SECONDS = 1000  # Playwright counts milliseconds
PATIENCE = 120 * SECONDS
"""For what the platform does: it shares the machine with others."""


class Portal:
    """One page of the portal."""

    def __init__(self, page: Page, stack: dict[str, Any]) -> None:
        self.page, self.stack = page, stack
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        self._choosers: list[FileChooser] = []
        page.on("filechooser", lambda chooser: self._choosers.append(chooser))

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"{self.stack['portal_url']}/{fragment}")

    def sign_in(self, group: str, fragment: str = "") -> None:
        """Through the hosted page, as the demo user of a group."""
        self.open(fragment)
        self.button("Sign in").click()
        user = self.stack["users"][group]
        self.page.locator("input[name=username]").fill(user["username"])
        self.page.locator("input[name=password]").fill(user["password"])
        self.page.locator("input[name=password]").press("Enter")
        self.button("Sign out").wait_for()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("heading", name=name, exact=True)

    def make_dataset(self, name: str) -> str:
        """A new dataset; its id."""
        self.page.get_by_label("Name", exact=True).fill(name)
        self.button("Create").click()
        self.heading(name).wait_for()
        return self.page.url.rpartition("/")[2]

    def choose_folder(self, folder: Path) -> None:
        self.button("Choose a folder").click()
        self.choose(folder)

    def choose_files(self, *files: Path) -> None:
        self.button("Choose files").click()
        self.choose(list(files))

    def choose(self, files: Path | list[Path]) -> None:
        """Answers the browser's dialog."""
        self.wait_for(lambda: bool(self._choosers), "a dialog to choose files")
        self._choosers.pop().set_files(files)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE / SECONDS
        while not condition():
            assert time.monotonic() < deadline, what
            self.page.wait_for_timeout(20)  # lets events in

    def expect_uploaded(self, count: int) -> None:
        done = self.page.get_by_text(f"All {count} files are there, verified.")
        expect(done).to_be_visible()

    def share_with(self, username: str) -> None:
        self.page.get_by_label("Name of the user").fill(username)
        self.button("Share").click()
        self.page.get_by_text(f"user {username}").wait_for()

    def reload_until(self, wanted: Locator) -> None:
        """Loads the page anew until something is on it."""
        deadline = time.monotonic() + PATIENCE / SECONDS
        while True:
            self.page.reload()
            self.button("Create").wait_for()
            expect(self.page.get_by_text("Loading…")).to_have_count(0)
            if wanted.count():
                return
            assert time.monotonic() < deadline, "it doesn't come"

    def slow_down(self, bytes_per_second: int) -> None:
        """Makes uploads take long enough to be interrupted."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
        session.send(
            "Network.emulateNetworkConditions", {**limits, "uploadThroughput": bytes_per_second}
        )
