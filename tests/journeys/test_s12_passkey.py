"""S12 in Chromium with a virtual authenticator: a passkey is added, signs in alone, and is all that leads on where nothing weaker may."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.test_registration import Keyboard
from tests.support.demo import DemoProcess, RunningDemo, find_three_ports
from tests.support.forms import read_messages, read_sms_code

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys"), pytest.mark.slow]

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo whose issuer is a name: browsers make no passkeys for an address."""
    folder = tmp_path_factory.mktemp("named-demo")
    with DemoProcess(find_three_ports(), "--host", "localhost", "--data", str(folder)) as running:
        yield running


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A telephone's browser; whatever a policy blocked fails the test."""
    opened = chromium.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    problems: list[str] = []
    opened.route("**/callback?**", lambda route: route.fulfill(body="what the department shows"))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield opened
    opened.close()
    assert not [text for text in problems if "401" not in text and "422" not in text], problems


def add_device(page: Page) -> tuple[Any, str]:
    """Give the page a device that makes passkeys; return what speaks to it."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    return session, session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})["authenticatorId"]


def sign_in(page: Page, demo: RunningDemo, path: str) -> None:
    """Sign in by password, and by code where it is asked."""
    page.goto(demo.issuer + path)
    page.locator("[name=identifier]").fill(demo.identifier)
    page.locator("[name=password]").fill(demo.password)
    page.locator("#submit").click()
    page.wait_for_url(demo.issuer + path)


def add_passkey(page: Page, demo: RunningDemo) -> None:
    """Add a passkey by keyboard alone."""
    sign_in(page, demo, "/account/passkeys")
    keys = Keyboard(page)
    sent = len(read_messages(demo.issuer, demo.phone))
    keys.press("#confirm")
    page.wait_for_url("**/sign-in?**")
    page.locator("[name=code]").fill(read_sms_code(demo.issuer, demo.phone, sent))
    page.locator("#submit").click()
    page.wait_for_url(demo.issuer + "/account/passkeys")
    keys = Keyboard(page)
    keys.reach("#name")
    page.keyboard.press("Control+A")
    page.keyboard.type("我的手机")
    keys.press("#add")
    expect(page.locator(".notice.good")).to_contain_text("通行密钥已添加")
    expect(page.get_by_role("heading", name="我的手机")).to_be_visible()


def test_s12_a_passkey_from_being_added_to_being_all_that_leads_on(named: RunningDemo, context: BrowserContext) -> None:
    page = context.new_page()
    session, device = add_device(page)
    add_passkey(page, named)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    (credential,) = session.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
    assert credential["isResidentCredential"]
    assert credential["rpId"] == "localhost"
    # Signing in with it alone, without saying who one is.
    context.clear_cookies()
    page.goto(named.issuer + "/account")
    expect(page.locator("#by-passkey")).to_be_visible()
    page.locator("#by-passkey").click()
    page.wait_for_url(named.issuer + "/account")
    # A code is enough for this person, and not for what the department asks.
    context.clear_cookies()
    sign_in(page, named, "/account")
    page.goto(ask_for(named, "phr"))
    expect(page.get_by_role("heading", name="请使用通行密钥")).to_be_visible()
    assert page.locator("[name=password], [name=identifier], #by-code").count() == 0
    Keyboard(page).press("#by-passkey")
    page.wait_for_url("**/callback?**code=**")


def test_s12_a_device_without_one_says_so_and_the_way_back_is_open(named: RunningDemo, context: BrowserContext) -> None:
    page = context.new_page()
    session, device = add_device(page)
    page.goto(ask_for(named, "phr"))
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.locator("#by-passkey").click()
    expect(page.locator(".said")).to_contain_text("没有用上通行密钥")
    expect(page.locator("#by-passkey")).to_be_focused()
    page.locator("#without").click()
    expect(page.locator("[name=password]")).to_be_visible()


def test_without_scripts_the_button_is_absent_and_a_sentence_tells(named: RunningDemo, chromium: Browser) -> None:
    context = chromium.new_context(locale="zh-CN", java_script_enabled=False)
    page = context.new_page()
    page.goto(named.issuer + "/")
    assert not page.locator("#by-passkey").is_visible()
    expect(page.get_by_text("使用通行密钥登录需要浏览器脚本")).to_be_visible()
    page.goto(ask_for(named, "phr"))
    assert not page.locator("#by-passkey").is_visible()
    expect(page.get_by_text("这一步需要浏览器脚本")).to_be_visible()
    expect(page.locator("#without")).to_be_visible()
    context.close()


def ask_for(demo: RunningDemo, acr: str) -> str:
    """Return the address of an authorization request of the first department."""
    parameters = {
        "client_id": "land-registry",
        "redirect_uri": demo.departments[0] + "/callback",
        "response_type": "code",
        "scope": "openid",
        "acr_values": acr,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",  # RFC 7636 appendix B
        "code_challenge_method": "S256",
    }
    return f"{demo.issuer}/authorize?{urlencode(parameters)}"
