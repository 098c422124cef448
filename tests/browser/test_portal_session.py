"""The portal's session: renewed while it is in use, and ended for good."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Route, expect

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


def test_an_ending_token_is_renewed_once_for_all_calls(
    visit: Callable[..., Portal], stack: dict[str, Any]
) -> None:
    """The renewal is answered with the first token, which is good for an hour: MiniStack's own
    answer has another `auth_time`, which no client may take (OpenID Connect Core, 12.2)."""
    portal = visit()
    portal.sign_in("data-owner")
    portal.heading("Datasets").wait_for()
    token, asked = portal.page.evaluate(ID_TOKEN), list[str]()

    def renew(route: Route) -> None:
        asked.append(route.request.post_data or "")
        tokens = {"id_token": token, "access_token": "-", "token_type": "Bearer"}
        answer(route, stack, 200, {**tokens, "expires_in": 3600})

    portal.page.context.route("**/oauth2/token", renew)
    portal.page.evaluate(EXPIRES, 30)
    portal.page.reload()  # asks for requests and datasets at once
    portal.make_dataset("With a renewed token")
    assert len(asked) == 1
    assert "grant_type=refresh_token" in asked[0]


def test_the_end_of_a_session_is_said(visit: Callable[..., Portal], stack: dict[str, Any]) -> None:
    portal = visit()
    portal.sign_in("data-owner")
    refusal = {"error": "invalid_grant"}
    portal.page.context.route("**/oauth2/token", lambda route: answer(route, stack, 400, refusal))
    portal.page.evaluate(EXPIRES, 30)
    portal.page.get_by_label("Name", exact=True).fill("Too late")
    portal.button("Create").click()
    expect(portal.page.get_by_role("alert")).to_contain_text("Your sign-in has ended.")
    expect(portal.page.get_by_role("link", name="Sign in again")).to_be_visible()


def test_signing_out_ends_the_tokens(visit: Callable[..., Portal]) -> None:
    portal = visit()
    portal.sign_in("data-owner")
    with portal.page.expect_request("**/oauth2/revoke") as revoked:
        portal.button("Sign out").click()
    assert "token_type_hint=refresh_token" in (revoked.value.post_data or "")
    portal.button("Sign in").wait_for()
    assert portal.page.evaluate("Object.keys(sessionStorage)") == []


def answer(route: Route, stack: dict[str, Any], status: int, body: dict[str, Any]) -> None:
    """Answers for the sign-in pages, which are another origin."""
    headers = {"Access-Control-Allow-Origin": stack["portal_url"]}
    route.fulfill(status=status, json=body, headers=headers)
