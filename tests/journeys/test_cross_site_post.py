"""In Chromium: a department's page posts a request; nothing of it stands in an address, and reload and Back work as they do anywhere."""

from html import escape
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests.journeys.test_logout_in_browser import redeem, sign_in
from tests.journeys.test_logout_in_browser import started as started
from tests.support.protocol_samples import CHALLENGE
from tests.support.real_provider import Citizen, RealProvider

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

ELSEWHERE = "http://department.test/"
Started = tuple[RealProvider, list[Citizen], str]


def open_form(context: BrowserContext, address: str, fields: dict[str, str]) -> tuple[Page, list[str]]:
    """Open another site's page with a form that posts to us; return it and the addresses that the browser asks from now on."""
    inputs = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items())
    body = f'<!doctype html><form method="post" action="{address}">{inputs}<button id="go">go</button></form>'

    def answer(route: Route) -> None:
        route.fulfill(body=body, content_type="text/html; charset=utf-8")

    page, asked = context.new_page(), list[str]()
    page.route(ELSEWHERE + "**", answer)
    page.goto(ELSEWHERE)
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#go").click()
    return page, asked


def test_who_is_signed_in_is_found_although_the_post_brought_no_cookie(started: Started, chromium: Browser) -> None:
    provider, citizens, website = started
    context = chromium.new_context(locale="zh-CN")
    try:
        landed = sign_in(provider, context, citizens.pop(), website)
        hint = redeem(context, provider, landed, website)
        request = {
            "client_id": "website",
            "redirect_uri": website + "/callback",
            "response_type": "code",
            "scope": "openid",
            "prompt": "none",
            "id_token_hint": hint,
            "login_hint": "13800000000",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        page, asked = open_form(context, f"{provider.issuer}/authorize", request)
        page.wait_for_url(website + "/callback?**")
        assert "code=" in page.url, "the session was found"
        assert [urlsplit(url).path for url in asked[:2]] == ["/authorize", "/authorize"]
        assert not [url for url in asked if hint in url or "13800000000" in url]
        wish = {"id_token_hint": hint, "post_logout_redirect_uri": website + "/", "state": "bye"}
        page, asked = open_form(context, f"{provider.issuer}/sign-out", wish)
        page.wait_for_url(website + "/?state=bye")
        assert not [url for url in asked if hint in url]
    finally:
        context.close()


def test_the_question_of_a_posted_sign_out_stands_reload_and_back(started: Started, chromium: Browser) -> None:
    provider, citizens, website = started
    context = chromium.new_context(locale="zh-CN")
    try:
        sign_in(provider, context, citizens.pop(), website)
        page, _ = open_form(context, f"{provider.issuer}/sign-out", {"client_id": "website", "post_logout_redirect_uri": website + "/"})
        question = page.locator("#submit")
        question.wait_for()
        assert "client_id" in page.url
        assert "post_logout_redirect_uri" not in page.url
        page.reload()
        question.wait_for()
        page.go_back()
        page.wait_for_url(ELSEWHERE)
        page.go_forward()
        question.wait_for()
        question.click()
        page.wait_for_url(f"{provider.issuer}/signed-out**")
    finally:
        context.close()
