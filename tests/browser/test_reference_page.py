"""The page with the API's reference, under the policy that CloudFront sends."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components._portal import security_headers
from tests.conftest import missing
from tools import api_reference

PORTAL = api_reference.PAGE.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 20


@pytest.fixture
def portal() -> Iterator[str]:
    """The portal's files with the headers of the distribution; the local edge sends none."""
    policy = security_headers("eu-central-1")["content_security_policy"]

    class Files(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy["content_security_policy"])
            super().end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(PORTAL)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def browser(url: str, profile: Path) -> tuple[str, str]:
    """(the page as a browser has it after a while, what the browser's console said)."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    shown = subprocess.run(
        [
            found,
            "--headless",
            "--no-sandbox",  # it is root's, in containers
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            f"--virtual-time-budget={SECONDS * 1000}",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
        check=True,
    )
    said = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    return shown.stdout, "\n".join(said)


def test_a_browser_shows_every_operation_under_the_strict_policy(
    portal: str, tmp_path: Path
) -> None:
    page, console = browser(f"{portal}/reference/index.html", tmp_path)
    document = json.loads(api_reference.DOCUMENT.read_text())
    operations = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(operations) > 30
    assert page.count('class="opblock opblock-') == len(operations)
    assert "Content Security Policy" not in console, console
    assert "Error" not in console, console
