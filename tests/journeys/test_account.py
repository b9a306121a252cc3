"""A person looks after the own account in Chromium by keyboard alone: the other device goes out, the department that asked is named."""

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.test_registration import Keyboard
from tests.support.demo import RunningDemo
from tests.support.forms import read_messages, read_sms_code

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]


def open_browser(chromium: Browser, **more: object) -> BrowserContext:
    return chromium.new_context(locale="zh-CN", viewport={"width": 390, "height": 844}, **more)  # type: ignore[arg-type]


def sign_in_at_department(page: Page, demo: RunningDemo) -> None:
    page.goto(demo.departments[0] + "/")
    page.locator("#sign-in").click()
    sent = len(read_messages(demo.issuer, demo.phone))
    page.locator("[name=identifier]").fill(demo.identifier)
    page.locator("[name=password]").fill(demo.password)
    page.locator("#submit").click()
    page.locator("[name=code]").fill(read_sms_code(demo.issuer, demo.phone, sent))
    page.locator("#submit").click()
    page.locator("#sub").wait_for()


def sign_in_to_account(page: Page, demo: RunningDemo, path: str) -> None:
    page.goto(demo.issuer + path)
    page.locator("[name=identifier]").fill(demo.identifier)
    page.locator("[name=password]").fill(demo.password)
    page.locator("#submit").click()
    page.wait_for_url(demo.issuer + path)


def test_by_keyboard_alone(demo: RunningDemo, chromium: Browser) -> None:
    lost = open_browser(chromium, user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) MicroMessenger/8.0")
    elsewhere = lost.new_page()
    sign_in_to_account(elsewhere, demo, "/account")
    context = open_browser(chromium)
    problems: list[str] = []
    context.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page = context.new_page()
    sign_in_at_department(page, demo)
    page.goto(demo.issuer + "/")
    keys = Keyboard(page)
    keys.press("#account")
    page.wait_for_url(demo.issuer + "/account")
    keys.press("#releases")
    page.wait_for_url(demo.issuer + "/account/releases")
    expect(page.locator("main")).to_contain_text("部门依法履行职责")
    keys.press("#account")
    page.wait_for_url(demo.issuer + "/account")
    keys.press("#sessions")
    page.wait_for_url(demo.issuer + "/account/sessions")
    expect(page.get_by_role("heading", name="苹果手机，微信")).to_be_visible()
    keys.press("#others")
    expect(page.locator(".notice")).to_contain_text("其他设备已全部退出")
    elsewhere.reload()
    expect(elsewhere.locator("[name=password]")).to_be_visible()
    keys.press(".chip")
    expect(page.locator("html")).to_have_class("elder")
    page.goto(demo.issuer + "/account/history")
    expect(page.locator("html")).to_have_class("elder")
    expect(page.locator(".log li").first).to_contain_text(re.compile("退出了登录"))
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert demo.identifier not in page.content()
    context.close()
    lost.close()
    assert not problems, "a policy blocked something, or something was not found"


def test_an_email_and_an_address_by_keyboard_alone(demo: RunningDemo, chromium: Browser) -> None:
    context = open_browser(chromium)
    problems: list[str] = []
    # What was typed wrongly is answered with 422, which the console notes.
    context.on("console", lambda said: problems.append(said.text) if said.type == "error" and "422" not in said.text else None)
    page = context.new_page()
    sign_in_to_account(page, demo, "/account/profile")
    keys = Keyboard(page)
    keys.press("#email")
    page.wait_for_url(demo.issuer + "/account/email")
    keys.type("[name=email]", "sample@@example.com")
    page.keyboard.press("Enter")
    expect(page.locator("#email-error")).to_be_visible()
    expect(page.locator("[name=email]")).to_have_value("sample@@example.com")
    keys.reach("[name=email]")
    page.keyboard.press("Control+A")
    page.keyboard.type("sample.address@example.com")
    page.locator(".switches a[hreflang]").click()
    expect(page.locator("[name=email]")).to_have_value("sample.address@example.com")
    page.locator(".switches a[hreflang]").click()
    expect(page.locator("[name=email]")).to_have_value("sample.address@example.com")
    sent = len(read_messages(demo.issuer, demo.phone))
    keys.reach("[name=email]")
    page.keyboard.press("Enter")
    page.locator("[name=code]").wait_for()
    expect(page.locator("#wanted")).to_have_text("sample.address@example.com")
    keys.type("[name=code]", read_sms_code(demo.issuer, demo.phone, sent))
    keys.press("#submit")
    page.wait_for_url(demo.issuer + "/account/profile?done=*")
    expect(page.locator(".notice")).to_contain_text("电子邮箱已保存")
    expect(page.locator("main")).to_contain_text("s***@example.com")
    keys.press("#address")
    page.wait_for_url(demo.issuer + "/account/address")
    for elder in (True, False):
        keys.press(".chip")
        if elder:
            expect(page.locator("html")).to_have_class("elder")
        else:
            expect(page.locator("html")).not_to_have_class("elder")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    keys.type("[name=detail]", "样例路1号<b>")
    page.keyboard.press("Enter")
    expect(page.locator("#detail-error")).to_be_visible()
    context.close()
    assert not problems, "a policy blocked something, or something was not found"
