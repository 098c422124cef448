"""The page with the API's reference, under the policy that CloudFront sends."""

import json
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.portal import Portal
from tools import api_reference


def test_a_browser_shows_every_operation_under_the_strict_policy(
    visit: Callable[..., Portal],
) -> None:
    document = json.loads(api_reference.DOCUMENT.read_text())
    operations = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(operations) > 30
    portal = visit()
    portal.page.goto(f"{portal.stack['portal_url']}/reference/index.html")
    expect(portal.page.locator(".opblock")).to_have_count(len(operations))
