"""The main job, on a whole demo: a citizen signs in once and enters two departments' systems."""

import json
import re
import time
import urllib.request

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.demo import RunningDemo
from tests.support.forms import FormsBrowser, enter_department, read_messages, read_sms_code, sign_in

pytestmark = pytest.mark.xdist_group("journeys")


def test_http_and_forms_are_enough(demo: RunningDemo) -> None:
    browser = FormsBrowser()
    page = enter_department(browser, demo.departments[0])
    assert page.url.startswith(demo.issuer + "/sign-in")
    page = sign_in(browser, demo.issuer, demo.identifier, demo.password, demo.phone)
    assert page.url == demo.departments[0] + "/"
    first = json.loads(page.texts["claims"])
    assert first["sub"] == page.texts["sub"].strip()
    assert first["acr"] == "urn:yizheng:acr:substantial"
    browser.hops.clear()
    page = enter_department(browser, demo.departments[1])
    assert page.url == demo.departments[1] + "/"
    assert page.texts["sub"].strip() != first["sub"]
    assert [hop for hop in browser.hops if demo.issuer in hop] == [f"GET {demo.issuer}/authorize"], "no page of the provider was shown"


def test_signing_out_at_one_department_ends_the_sign_in_at_the_other_without_the_browser(demo: RunningDemo) -> None:
    browser = FormsBrowser()
    enter_department(browser, demo.departments[0])
    sign_in(browser, demo.issuer, demo.identifier, demo.password, demo.phone)
    enter_department(browser, demo.departments[1])
    assert "sub" in browser.get(demo.departments[0] + "/").texts
    page = browser.get(demo.departments[1] + "/")
    browser.submit(page.forms[0])
    end = time.monotonic() + 20
    while "sub" in browser.get(demo.departments[0] + "/").texts:
        assert time.monotonic() < end, "the first department was never told"
        time.sleep(0.1)


def fill_in(page: Page, demo: RunningDemo, *, keyboard: bool = False) -> None:
    """Sign the ready-made account in on the provider's pages."""
    sent = len(read_messages(demo.issuer, demo.phone))
    if keyboard:
        page.locator("[name=identifier]").focus()
        page.keyboard.type(demo.identifier)
        page.keyboard.press("Tab")
        page.keyboard.type(demo.password)
        page.keyboard.press("Enter")
    else:
        page.locator("[name=identifier]").fill(demo.identifier)
        page.locator("[name=password]").fill(demo.password)
        page.locator("#submit").click()
    page.locator("[name=code]").wait_for()
    code = read_sms_code(demo.issuer, demo.phone, sent)
    if keyboard:
        page.locator("[name=code]").focus()
        page.keyboard.type(code)
        page.keyboard.press("Enter")
    else:
        page.locator("[name=code]").fill(code)
        page.locator("#submit").click()


def walk(context: BrowserContext, demo: RunningDemo, *, keyboard: bool = False) -> None:
    """Department one, sign-in, department two without a page, sign-out."""
    page = context.new_page()
    page.goto(demo.departments[0] + "/")
    page.locator("#sign-in").click()
    page.wait_for_url(re.compile(re.escape(demo.issuer) + "/sign-in.*"))
    expect(page.locator("body")).to_contain_text("不动产登记中心（样例）")
    fill_in(page, demo, keyboard=keyboard)
    page.wait_for_url(demo.departments[0] + "/")
    first = page.locator("#sub").inner_text()
    shown: list[str] = []
    page.on("framenavigated", lambda frame: shown.append(frame.url))
    page.goto(demo.departments[1] + "/")
    page.locator("#sign-in").click()
    page.locator("#sub").wait_for()
    assert page.locator("#sub").inner_text() != first
    assert not [url for url in shown if url.startswith(demo.issuer)], "no page of the provider was shown"
    page.locator("#sign-out").click()
    page.locator("#sign-in").wait_for()
    page.goto(demo.departments[0] + "/login")
    page.wait_for_url(re.compile(re.escape(demo.issuer) + "/sign-in.*"))


@pytest.mark.browser
@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
def test_in_chromium(demo: RunningDemo, chromium: Browser, scripts: bool) -> None:
    context = chromium.new_context(java_script_enabled=scripts, locale="zh-CN")
    problems: list[str] = []
    context.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    try:
        walk(context, demo)
    finally:
        context.close()
    assert not problems, "a policy blocked something, or something was not found"


@pytest.mark.browser
def test_by_keyboard_alone(demo: RunningDemo, chromium: Browser) -> None:
    context = chromium.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    try:
        walk(context, demo, keyboard=True)
    finally:
        context.close()


def test_the_demo_shows_synthetic_people_and_messages(demo: RunningDemo) -> None:
    with urllib.request.urlopen(f"{demo.issuer}/demo/people?unregistered=1") as response:
        people = json.load(response)
    keys = {"name", "document_kind", "id_number", "phone", "social_security_card", "bank_card", "bank_phone"}
    assert all(keys | {"housing_fund_account", "driver_license_file_number", "password"} == person.keys() for person in people)
    assert demo.identifier not in {person["id_number"] for person in people}
    for message in read_messages(demo.issuer, "+86" + demo.phone):
        assert message.keys() == {"phone", "text", "code", "sent_at"}
        assert message["code"] in message["text"]
        assert "http" not in message["text"], "no links in messages"
