"""Datasets sent from the portal: whole files, files in parts, and any interruption."""

import hashlib
import os
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Locator, Page, Request, Response, Route, expect

from cli.datasets import Entry
from tests.browser.portal import Portal

MIB = 1024**2
LARGE = 66 * MIB  # goes in parts: 8 of 8 MiB, and the rest
PARTS = set(range(1, 10))
SLOWLY = 24 * MIB  # bytes per second


class Parts:
    """The parts that pages put to the store."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()
        self.acknowledged: list[int] = []

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.begun.update(_part(request)))
        page.on("response", self._answered)

    def _answered(self, response: Response) -> None:
        if response.ok:
            self.acknowledged += _part(response.request)


def _part(request: Request) -> list[int]:
    number = parse_qs(urlsplit(request.url).query).get("partNumber")
    return [int(number[0])] if number and request.method == "PUT" else []


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four files, one of which is large."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "labels").mkdir()
    (folder / "labels" / "truth.csv").write_text("scan,finding\nslice,nodule\n")
    (folder / "slice.dcm").write_bytes(bytes(128) + b"DICM" + os.urandom(200_000))
    (folder / "README").write_text("Synthetic.\n")
    (folder / ".hidden").write_text("stays here")
    (folder / "volume.raw").write_bytes(os.urandom(LARGE))
    return folder


def files_of(api: Any, dataset: str) -> dict[str, Entry]:
    """The entries of a dataset's manifest, by path, as the command `ai4h` reads them."""
    attachment = api.get(f"/DocumentReference/{dataset}").json()["content"][0]["attachment"]
    manifest = api.get(f"/{attachment['url']}").json()
    files = requests.get(manifest["presignedGetUrl"], timeout=10).json()["files"]
    return {file["path"]: Entry(**file) for file in files}


def assert_stored(api: Any, dataset: str, folder: Path, paths: set[str]) -> None:
    """The dataset has these files of a folder, and the store their bytes."""
    entries = files_of(api, dataset)
    assert set(entries) == paths
    for path, entry in entries.items():
        digest = hashlib.sha256((folder / path).read_bytes()).digest()
        assert entry.sha256 == b64encode(digest).decode()
        binary = api.get(f"/Binary/{entry.binary}/_history/{entry.version}").json()
        stored = requests.get(binary["presignedGetUrl"], timeout=60).content
        assert hashlib.sha256(stored).digest() == digest, path


def test_an_upload_goes_on_after_its_tab_was_closed(
    visit: Callable[..., Portal],
    client: Callable[[str], Any],
    picture: Callable[[Portal, str, Locator], None],
    scans: Path,
) -> None:
    portal, parts = visit(), Parts()
    portal.sign_in("data-owner")
    dataset = portal.make_dataset("Closed in between")
    parts.watch(portal.page)
    portal.slow_down(SLOWLY)
    portal.choose_folder(scans)
    portal.wait_for(lambda: len(parts.acknowledged) > 2, "parts sent")
    section = portal.page.locator("section").filter(has=portal.heading("Upload"))
    picture(portal, "portal-upload", section)
    portal.page.close()
    before = set(parts.acknowledged)
    assert before < PARTS

    again = Portal(portal.page.context.new_page(), portal.stack)
    parts.watch(again.page)
    again.sign_in("data-owner", f"#/datasets/{dataset}")
    expect(again.heading("Not finished")).to_be_visible()
    expect(again.page.get_by_text("volume.raw")).to_be_visible()
    again.choose_folder(scans)
    again.expect_uploaded(4)
    expect(again.heading("Not finished")).to_have_count(0)
    expect(again.page.get_by_role("cell", name="labels/truth.csv", exact=True)).to_be_visible()

    assert set(parts.begun) == PARTS
    assert all(parts.begun[number] == 1 for number in before), "sent twice"
    paths = {"labels/truth.csv", "slice.dcm", "README", "volume.raw"}
    assert_stored(client("data-owner"), dataset, scans, paths)


def test_an_upload_outlives_a_cut_line_and_a_pause(
    visit: Callable[..., Portal], client: Callable[[str], Any], scans: Path
) -> None:
    portal, parts = visit(), Parts()
    portal.sign_in("data-owner")
    dataset = portal.make_dataset("Cut and paused")
    parts.watch(portal.page)
    portal.slow_down(SLOWLY)
    portal.choose_files(scans / "volume.raw", scans / "README")
    portal.wait_for(lambda: len(parts.acknowledged) > 0, "a part sent")
    portal.page.context.set_offline(True)
    sent = len(parts.acknowledged)
    portal.page.wait_for_timeout(500)
    portal.page.context.set_offline(False)
    portal.slow_down(SLOWLY)
    portal.wait_for(lambda: len(parts.acknowledged) > sent, "a part after the line came back")

    portal.button("Pause").click()
    expect(portal.page.get_by_text("Paused.")).to_be_visible()
    sent = len(parts.acknowledged)
    portal.page.wait_for_timeout(1000)
    assert len(parts.acknowledged) == sent < len(PARTS), "a pause sends nothing"
    portal.button("Go on").click()
    portal.expect_uploaded(2)

    assert set(parts.begun) == PARTS
    assert set(Counter(parts.acknowledged).values()) == {1}, "no part is acknowledged twice"
    assert_stored(client("data-owner"), dataset, scans, {"volume.raw", "README"})


def test_what_had_arrived_is_listed_without_choosing_it_again(
    visit: Callable[..., Portal], client: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "truth.csv").write_text("scan,finding\n")
    portal = visit()
    portal.sign_in("data-owner")
    dataset = portal.make_dataset("Closed before the list was written")
    stopped: list[Route] = []

    def no_list(route: Route) -> None:
        if "manifest.json" in (route.request.post_data or ""):
            stopped.append(route)
            route.abort()
        else:
            route.continue_()

    portal.page.route("**/api/Binary", no_list)
    portal.choose_folder(tmp_path)
    portal.wait_for(lambda: bool(stopped), "the list of files is written")
    portal.page.close()

    again = Portal(portal.page.context.new_page(), portal.stack)
    again.sign_in("data-owner", f"#/datasets/{dataset}")
    expect(again.page.get_by_role("cell", name="truth.csv", exact=True)).to_be_visible()
    expect(again.heading("Not finished")).to_have_count(0)
    assert_stored(client("data-owner"), dataset, tmp_path, {"truth.csv"})


def test_what_the_platform_refuses_is_said_and_the_rest_is_kept(
    visit: Callable[..., Portal], client: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "not.png").write_text("no picture")
    (tmp_path / "good.csv").write_text("a,b\n")
    portal = visit()
    portal.sign_in("data-owner")
    dataset = portal.make_dataset("With a wrong file")
    portal.choose_folder(tmp_path)
    refused = portal.page.get_by_text("failed: rejected: the bytes don't begin as image/png does")
    expect(refused).to_be_visible()
    expect(portal.page.get_by_text("1 of 2 files are there, 1 failed.")).to_be_visible()
    assert_stored(client("data-owner"), dataset, tmp_path, {"good.csv"})

    portal.button("Clear").click()
    portal.choose_folder(tmp_path)  # the good one isn't sent again
    expect(refused).to_be_visible()
    assert files_of(client("data-owner"), dataset)["good.csv"].version == "1"
