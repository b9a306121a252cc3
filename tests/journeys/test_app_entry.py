"""The app's way in, in a mobile web view: one sign-in, then every department without a page (S58); kiosks by telephone."""

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.test_two_departments import fill_in
from tests.support.demo import DemoProcess, RunningDemo, find_ports

pytestmark = pytest.mark.xdist_group("journeys")

WEB_VIEW: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
    "locale": "zh-CN",
    "user_agent": (
        "Mozilla/5.0 (Linux; Android 14; PHONE Build/U; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.0.0 "
        "Mobile Safari/537.36 MicroMessenger/8.0.50 miniProgram/wx0000000000000000"
    ),
}
"""The web view of a mini-program on a telephone, by its size, its touch and what it says of itself."""


@pytest.fixture
def web_view(chromium: Browser) -> Iterator[BrowserContext]:
    """A web view of its own."""
    context = chromium.new_context(**WEB_VIEW)
    yield context
    context.close()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo whose issuer is a name, as passkeys need it."""
    folder = tmp_path_factory.mktemp("named-demo")
    with DemoProcess(find_ports(4), "--host", "localhost", "--data", str(folder), "--with-app") as running:
        yield running


def sign_in_to_app(web_view: BrowserContext, demo: RunningDemo) -> Page:
    """Sign the ready-made account in to the app and return its page."""
    page = web_view.new_page()
    page.goto(demo.app + "/")
    page.locator("#sign-in").tap()
    page.wait_for_url(re.compile(re.escape(demo.issuer) + "/sign-in.*"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the web view"
    fill_in(page, demo)
    page.wait_for_url(demo.app + "/")
    return page


@pytest.mark.parametrize("which", ["demo", pytest.param("named", marks=pytest.mark.slow)])
def test_s58_departments_open_from_the_app_without_a_page(web_view: BrowserContext, which: str, request: pytest.FixtureRequest) -> None:
    demo: RunningDemo = request.getfixturevalue(which)
    page = sign_in_to_app(web_view, demo)
    # The browser's own session is gone, as in an app whose web view is new every time.
    web_view.clear_cookies(domain=re.compile("."), name=re.compile("session"))
    shown: list[str] = []
    page.on("framenavigated", lambda frame: shown.append(frame.url))
    for number, department in enumerate(demo.departments):
        page.goto(demo.app + "/")
        page.locator(".service").nth(number).tap()
        page.wait_for_url(department + "/")
        assert json.loads(page.locator("#claims").inner_text())["acr"] == "urn:yizheng:acr:substantial"
    assert not [url for url in shown if url.startswith(demo.issuer)], "no page of the provider was shown"


def test_s58_a_ticket_is_used_up_and_the_page_says_so(web_view: BrowserContext, demo: RunningDemo) -> None:
    page = sign_in_to_app(web_view, demo)
    with page.expect_request(re.compile(re.escape(demo.issuer) + "/enter.*")) as entered:
        page.locator(".service").first.tap()
    page.wait_for_url(demo.departments[0] + "/")
    page.goto(entered.value.url)
    expect(page.locator("h1")).to_contain_text("没能从应用进入")


def test_signing_out_at_a_department_signs_the_app_out(web_view: BrowserContext, demo: RunningDemo) -> None:
    page = sign_in_to_app(web_view, demo)
    page.locator(".service").first.tap()
    page.wait_for_url(demo.departments[0] + "/")
    page.locator("#sign-out").tap()
    page.locator("#sign-in").wait_for()
    page.goto(demo.app + "/")
    page.locator(".service").first.tap()
    page.locator("#fault").wait_for(state="visible")
    page.reload()
    page.locator("#sign-in").wait_for()


def test_the_person_ends_the_apps_sign_in_from_the_account(web_view: BrowserContext, demo: RunningDemo) -> None:
    page = sign_in_to_app(web_view, demo)
    page.goto(demo.issuer + "/account/sessions")
    expect(page.locator("body")).to_contain_text("政务服务应用（样例）")
    page.locator("#others").tap()
    page.locator(".notice").wait_for()
    page.goto(demo.app + "/")
    page.locator(".service").first.tap()
    page.locator("#fault").wait_for(state="visible")


def test_metadata_name_the_ways_of_other_devices(demo: RunningDemo) -> None:
    with urllib.request.urlopen(demo.issuer + "/.well-known/openid-configuration", timeout=20) as answer:
        metadata = json.load(answer)
    assert metadata["device_authorization_endpoint"] == demo.issuer + "/device_authorization"
    assert metadata["backchannel_authentication_endpoint"] == demo.issuer + "/bc-authorize"
    assert metadata["backchannel_token_delivery_modes_supported"] == ["poll", "ping"]
    assert "urn:ietf:params:oauth:grant-type:token-exchange" in metadata["grant_types_supported"]
