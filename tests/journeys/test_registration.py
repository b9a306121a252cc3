"""A person registers in Chromium, from a department's page to the same page signed in: by keyboard alone, and without scripts."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.demo import RunningDemo
from tests.support.forms import list_unregistered, read_messages, read_sms_code

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]


class Keyboard:
    """Somebody who has no mouse: Tab goes on, what has the focus is typed into or pressed."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def reach(self, selector: str) -> None:
        """Go on with Tab until the element has the focus."""
        for _ in range(40):
            if self._page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            self._page.keyboard.press("Tab")
        raise AssertionError(f"{selector} cannot be reached by keyboard on {self._page.url}")

    def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.reach(selector)
        self._page.keyboard.type(text)

    def press(self, selector: str, key: str = "Enter") -> None:
        """Press what has the focus."""
        self.reach(selector)
        self._page.keyboard.press(key)


def arrive(page: Page, demo: RunningDemo, step: str) -> None:
    """Wait for the page of a step; nothing on it scrolls sideways."""
    page.wait_for_url(re.compile(re.escape(f"{demo.issuer}/register/{step}") + r"\?.*"))
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_by_keyboard_alone(demo: RunningDemo, chromium: Browser) -> None:
    (person,) = list_unregistered(demo.issuer)
    context = chromium.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    problems: list[str] = []
    context.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page = context.new_page()
    keys = Keyboard(page)
    page.goto(demo.departments[0] + "/")
    keys.press("#sign-in")
    page.wait_for_url(re.compile(".*/sign-in.*"))
    keys.press("#register")
    arrive(page, demo, "identity")
    sent = len(read_messages(demo.issuer, person["phone"]))
    keys.type("#name", person["name"])
    keys.type("#id_number", person["id_number"][:-1])
    keys.type("#phone", person["phone"])
    keys.press("#submit")
    summary = page.locator(".summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("您填写了17位")
    keys.press(".summary a")
    expect(page.locator("#id_number")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(person["id_number"][-1])
    page.keyboard.press("Enter")
    arrive(page, demo, "code")
    keys.type("#code", read_sms_code(demo.issuer, person["phone"], sent))
    page.keyboard.press("Enter")
    arrive(page, demo, "items")
    keys.reach("#phone_check")
    assert page.locator("#phone_check").is_checked()
    keys.type("#bank_card", person["bank_card"])
    keys.press("#submit")
    arrive(page, demo, "password")
    keys.type("#password", person["password"])
    keys.press("button.show", "Space")
    assert page.locator("#password").get_attribute("type") == "text"
    page.keyboard.press("Enter")
    arrive(page, demo, "agreement")
    keys.press("#agreement", "Space")
    keys.press("#submit")
    page.wait_for_url(demo.departments[0] + "/")
    expect(page.locator("#sub")).to_be_visible()
    context.close()
    assert not [text for text in problems if "422" not in text], "a policy blocked something, or something was not found"


def watch_progress(page: Page) -> None:
    """See that a form that is sent says so and is not sent again; the browser itself is kept from sending it."""
    page.evaluate(
        "document.forms[0].addEventListener('submit', event => { window.sent = (window.sent ?? 0) + !event.defaultPrevented; "
        "event.preventDefault(); })"
    )
    page.locator("#submit").click()
    expect(page.locator(".busy")).to_have_text(re.compile("Checking"))
    expect(page.locator("#submit")).to_have_attribute("aria-disabled", "true")
    page.evaluate("document.querySelector('#submit').click()")  # as somebody impatient does
    assert page.evaluate("window.sent") == 1
    page.reload()


def switch_to_and_fro(page: Page) -> None:
    """Read the page in the other language and come back."""
    for language in ("zh-CN", "en"):
        page.locator(".switches a").first.click()
        expect(page.locator("html")).to_have_attribute("lang", language)


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
def test_in_chromium(demo: RunningDemo, chromium: Browser, scripts: bool) -> None:
    (person,) = list_unregistered(demo.issuer)
    context = chromium.new_context(java_script_enabled=scripts, locale="en-GB", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(demo.departments[0] + "/")
    page.locator("#sign-in").click()
    if scripts:
        page.locator("#identifier").fill(person["phone"])
        page.locator("#password").fill("never sent to be kept")
        switch_to_and_fro(page)
        expect(page.locator("#identifier")).to_have_value(person["phone"])
        expect(page.locator("#password")).to_have_value("")
    page.locator("#register").click()
    arrive_at = re.compile(re.escape(demo.issuer) + r"/register/(\w+)\?.*")
    page.wait_for_url(arrive_at)
    sent = len(read_messages(demo.issuer, person["phone"]))
    expect(page.locator("#id_number-hint")).to_have_text(re.compile("18 characters"))
    page.locator("#document_kind").select_option("passport")
    expect(page.locator("[data-kind=passport]")).to_be_visible()
    expect(page.locator("[data-kind=resident_id]")).to_be_hidden()
    page.locator("#document_kind").select_option(person["document_kind"])
    for field in ("name", "id_number", "phone"):
        page.locator(f"#{field}").fill(person[field])
    if scripts:
        switch_to_and_fro(page)
        expect(page.locator("#id_number")).to_have_value(person["id_number"])
        expect(page.locator("#document_kind")).to_have_value(person["document_kind"])
    page.locator("#submit").click()
    page.locator("#code").fill(read_sms_code(demo.issuer, person["phone"], sent))
    page.locator("#submit").click()
    if scripts:
        watch_progress(page)
    page.locator("#social_security_card").fill(person["social_security_card"])
    page.locator("#submit").click()
    page.locator("#password").fill(person["password"])
    page.locator("#submit").click()
    page.locator("#agreement").check()
    page.go_back()
    page.locator("#password").wait_for()
    page.go_forward()
    page.locator("#agreement").check()
    page.locator("#submit").dblclick()
    # On a busy machine the second press may come when the first was answered: then a page says so and leads to the department.
    done = page.locator("[data-code=interaction_finished] .button:not(.plain)")
    expect(page.locator("#sub").or_(done)).to_be_visible()
    if done.is_visible():
        done.click()
        page.locator("#sign-in").click()
    page.wait_for_url(demo.departments[0] + "/")
    expect(page.locator("#sub")).to_be_visible()
    context.close()
