"""Sharing from the portal: who sees a dataset, who doesn't, and how that ends."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Response, expect

from tests.browser.portal import Portal


@pytest.fixture
def owner(visit: Callable[..., Portal], tmp_path: Path) -> Portal:
    """The data owner, on the page of a new dataset with one file."""
    (tmp_path / "truth.csv").write_text("scan,finding\n")
    portal = visit()
    portal.sign_in("data-owner")
    portal.make_dataset(f"Shared {uuid.uuid4().hex[:8]}")
    portal.choose_files(tmp_path / "truth.csv")
    portal.expect_uploaded(1)
    return portal


def is_download(response: Response) -> bool:
    return response.url.split("?")[0].endswith("/1") and "X-Amz-Signature" in response.url


def name_of(portal: Portal) -> str:
    return portal.page.get_by_role("heading", level=1).inner_text()


def test_a_second_user_sees_what_is_shared_and_a_third_does_not(
    owner: Portal, visit: Callable[..., Portal], stack: dict[str, Any]
) -> None:
    name = name_of(owner)
    fragment = f"#/{owner.page.url.partition('#/')[2]}"
    owner.share_with(stack["users"]["practitioner"]["username"])

    second = visit()
    second.sign_in("practitioner")
    second.page.get_by_role("link", name=name).click()
    expect(second.page.get_by_text("shared with you")).to_be_visible()
    expect(second.heading("Upload")).to_have_count(0)
    expect(second.heading("Sharing")).to_have_count(0)
    with second.page.context.expect_event("response", is_download) as answer:
        second.button("Download truth.csv").click()
    assert requests.get(answer.value.url, timeout=10).text == "scan,finding\n"

    third = visit()
    third.sign_in("challenge-host")
    third.heading("New dataset").wait_for()
    expect(third.page.get_by_text("Loading…")).to_have_count(0)
    expect(third.page.get_by_role("link", name=name)).to_have_count(0)
    third.open(fragment)
    expect(third.page.get_by_role("alert")).to_contain_text("belongs to another user")

    owner.button("Revoke for user practitioner-demo").click()
    expect(owner.page.get_by_text("ended")).to_be_visible()
    second.page.reload()
    expect(second.page.get_by_role("alert")).to_contain_text("belongs to another user")


def test_a_dataset_is_asked_for_and_the_request_approved(
    owner: Portal, visit: Callable[..., Portal]
) -> None:
    name, fragment = name_of(owner), f"#/{owner.page.url.partition('#/')[2]}"
    second = visit()
    second.sign_in("practitioner", fragment)
    second.page.get_by_label("Reason").fill("for a reader study")
    second.button("Ask").click()
    expect(second.page.get_by_text("Its owner sees your request.")).to_be_visible()

    owner.page.get_by_role("link", name="All datasets").click()
    card = owner.page.get_by_role("listitem").filter(has_text="for a reader study")
    owner.reload_until(card)  # somebody else's write comes into the index when it comes
    expect(card).to_contain_text("user practitioner-demo")
    card.get_by_role("button", name="Approve").click()
    expect(card).to_have_count(0)
    second.page.reload()
    expect(second.heading(name)).to_be_visible()
    expect(second.page.get_by_role("cell", name="truth.csv", exact=True)).to_be_visible()


def test_a_dataset_is_withdrawn_restored_and_deleted(
    owner: Portal, client: Callable[[str], Any]
) -> None:
    name, dataset = name_of(owner), owner.page.url.rpartition("/")[2]
    owner.button("Withdraw").click()
    expect(owner.page.get_by_text("withdrawn: nobody else reads it")).to_be_visible()
    owner.button("Restore").click()
    owner.button("Withdraw").wait_for()
    owner.button("Delete…").click()
    owner.button("Keep it").click()
    owner.button("Delete…").click()
    owner.button("Delete for good").click()
    owner.heading("Datasets").wait_for()
    expect(owner.page.get_by_text("Loading…")).to_have_count(0)
    expect(owner.page.get_by_role("link", name=name)).to_have_count(0)
    assert client("data-owner").get(f"/DocumentReference/{dataset}").status_code == 410
