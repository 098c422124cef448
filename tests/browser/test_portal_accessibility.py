"""The portal for everybody: axe's rules, the keyboard alone, small and dark screens."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.portal import Portal

PHONE = (360, 740)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
def axe(node_modules: Path) -> Callable[[Portal], None]:
    """Asserts that the page as it is breaks no rule of axe."""
    source = (node_modules / "axe-core" / "axe.min.js").read_text()

    def check(portal: Portal) -> None:
        portal.page.evaluate(source)
        options = {"runOnly": {"type": "tag", "values": RULES}}
        found = portal.page.evaluate("options => axe.run(options)", options)
        broken = [
            {"rule": violation["id"], "nodes": [node["html"] for node in violation["nodes"]]}
            for violation in found["violations"]
        ]
        assert broken == [], json.dumps(broken, indent=1)
        assert len(found["passes"]) > 10

    return check


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [f"patient-{number:02}" for number in range(1, 7)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "slice-001.dcm").write_bytes(bytes(128) + b"DICM" + os.urandom(400_000))
    (tmp_path / "truth.csv").write_text("patient,finding\n")
    return tmp_path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_keeps_the_rules(
    visit: Callable[..., Portal],
    axe: Callable[[Portal], None],
    picture: Callable[[Portal, str, Locator], None],
    folder: Path,
    scheme: str,
) -> None:
    portal = visit(color_scheme=scheme)
    portal.open()
    portal.button("Sign in").wait_for()
    axe(portal)
    portal.sign_in("data-owner")
    portal.make_dataset("CT study, 40 patients")
    portal.choose_folder(folder)
    portal.expect_uploaded(7)
    axe(portal)
    portal.button("Clear").click()
    portal.share_with("practitioner-demo")
    axe(portal)
    if scheme == "light":
        picture(portal, "portal-dataset", portal.page.get_by_role("main"))
    portal.button("Delete…").click()
    axe(portal)
    portal.button("Keep it").click()
    portal.page.get_by_role("link", name="All datasets").click()
    portal.page.get_by_role("link", name="CT study, 40 patients").first.wait_for()
    expect(portal.page.get_by_text("yours").first).to_be_visible()
    axe(portal)


def test_a_phone_shows_all_without_scrolling_sideways(
    visit: Callable[..., Portal],
    axe: Callable[[Portal], None],
    picture: Callable[[Portal, str, Locator], None],
    folder: Path,
) -> None:
    portal = visit(PHONE, has_touch=True, is_mobile=True)
    portal.sign_in("data-owner")
    portal.make_dataset("CT study on a phone")
    portal.slow_down(50_000)
    portal.choose_files(*folder.rglob("*.csv"), *folder.rglob("patient-01/*"))
    portal.button("Pause").wait_for()
    progress = portal.page.get_by_role("progressbar", name="All files")
    expect(progress).not_to_have_js_property("value", 0)
    portal.button("Pause").click()
    portal.page.get_by_text("Paused.").wait_for()
    axe(portal)
    section = portal.page.locator("section").filter(has=portal.heading("Upload"))
    picture(portal, "portal-phone", section)
    width = portal.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE[0]
    portal.slow_down(-1)
    portal.button("Go on").click()
    portal.expect_uploaded(2)


def test_the_keyboard_does_everything(visit: Callable[..., Portal], folder: Path) -> None:
    portal = visit()
    portal.open()
    portal.button("Sign in").wait_for()
    page = portal.page

    def tab_to(name: str, role: str = "button") -> None:
        """Tabs forward until the control of that name has the focus."""
        wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
        wanted.wait_for()
        for _ in range(40):
            page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                outline = wanted.evaluate("element => getComputedStyle(element).outlineStyle")
                assert outline == "solid", f"{name}: the focus doesn't show"
                return
        raise AssertionError(f"no Tab leads to {name}")

    tab_to("Sign in")
    page.keyboard.press("Enter")
    user = portal.stack["users"]["data-owner"]
    page.locator("input[name=username]").focus()
    page.keyboard.type(user["username"])
    page.keyboard.press("Tab")
    page.keyboard.type(user["password"])
    page.keyboard.press("Enter")
    tab_to("Name", "textbox")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    heading = portal.heading("By keyboard")
    expect(heading).to_be_focused()
    tab_to("Choose files")
    page.keyboard.press("Enter")
    portal.choose(folder / "truth.csv")
    portal.expect_uploaded(1)
    tab_to("Name of the user", "textbox")
    page.keyboard.type("practitioner-demo")
    page.keyboard.press("Enter")
    page.get_by_text("user practitioner-demo").wait_for()
    tab_to("Delete…")
    page.keyboard.press("Enter")
    expect(portal.button("Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(portal.button("Delete…")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to("Delete for good")
    page.keyboard.press("Enter")
    expect(portal.heading("Datasets")).to_be_focused()
