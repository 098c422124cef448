"""The portal's session: renewed while it is in use, and ended for good."""

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Request, expect

from tests.browser.portal import Portal

EXPIRES = """seconds => {
  const [key] = Object.keys(sessionStorage).filter(key => key.startsWith("oidc.user:"));
  const user = JSON.parse(sessionStorage[key]);
  sessionStorage[key] = JSON.stringify({...user, expires_at: Date.now() / 1000 + seconds});
}"""


ID_TOKEN = """() => {
  const [key] = Object.keys(sessionStorage).filter(key => key.startsWith("oidc.user:"));
  return JSON.parse(sessionStorage[key]).id_token;
}"""


def test_an_ending_token_is_renewed_once_for_all_calls(visit: Callable[..., Portal]) -> None:
    portal = visit()
    portal.sign_in("data-owner")
    portal.heading("Datasets").wait_for()
    first, grants, tokens = kept(portal), list[str](), set[str]()

    def hear(request: Request) -> None:
        if request.url.endswith("/oauth2/token"):
            grants.append(request.post_data or "")
        elif "/api/" in request.url:
            tokens.add(request.headers["authorization"])

    portal.page.evaluate(EXPIRES, 30)
    portal.page.on("request", hear)
    portal.page.reload()  # asks for requests and datasets at once
    portal.heading("Datasets").wait_for()
    expect(portal.page.get_by_text("Loading…")).to_have_count(0)
    assert len(grants) == 1
    assert "grant_type=refresh_token" in grants[0]
    renewed = kept(portal)
    assert renewed != first
    assert tokens == {f"Bearer {renewed}"}


def kept(portal: Portal) -> str:
    """The ID token that the page keeps."""
    return portal.page.evaluate(ID_TOKEN)


def test_the_end_of_a_session_is_said(visit: Callable[..., Portal], stack: dict[str, Any]) -> None:
    portal = visit()
    portal.sign_in("data-owner")
    portal.page.context.route(
        "**/oauth2/token",
        lambda route: route.fulfill(
            status=400,
            body=json.dumps({"error": "invalid_grant"}),
            headers={"Access-Control-Allow-Origin": stack["portal_url"]},
        ),
    )
    portal.page.evaluate(EXPIRES, 30)
    portal.page.get_by_label("Name", exact=True).fill("Too late")
    portal.button("Create").click()
    expect(portal.page.get_by_role("alert")).to_contain_text("Your sign-in has ended.")
    expect(portal.page.get_by_role("link", name="Sign in again")).to_be_visible()
