"""Walks through the registration of a demo in Chromium and takes a picture of every page and of its errors, for people to look at."""

import sys
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.demo import RunningDemo
from tests.support.forms import list_unregistered, read_messages, read_sms_code
from tests.support.screenshots import SIZES, Album, take_pictures

FAULTS = 9_920
"""From this number on the bank-card authority is silent about a few people of the demo (idp/demo/authorities.py)."""


class Walk:
    """One person before one browser."""

    def __init__(self, context: BrowserContext, demo: RunningDemo, album: Album, person: dict[str, str]) -> None:
        self.page: Page = context.new_page()
        self._demo, self._album, self._person = demo, album, person
        self._sent = len(read_messages(demo.issuer, person["phone"]))

    def begin(self, query: str) -> None:
        """Come from department one and choose to register."""
        self.page.goto(self._demo.issuer + "/help" + query)
        self.page.goto(self._demo.departments[0] + "/")
        self.page.locator("#sign-in").click()
        self.take("sign-in")
        self.page.locator("#register").click()

    def take(self, what: str) -> None:
        """Take a picture."""
        self._album.take(self.page, what)

    def fill(self, *fields: str) -> None:
        """Fill in fields with what is known of the person."""
        for field in fields:
            self.page.locator(f"#{field}").fill(self._person[field])

    def submit(self) -> None:
        """Press the page's button."""
        self.page.locator("#submit").click()

    def identify(self) -> None:
        """Take the first step and wait for the code's page."""
        self.page.locator("#document_kind").select_option(self._person["document_kind"])
        self.fill("name", "id_number", "phone")
        self.submit()
        self.page.locator("#code").wait_for()

    def answer(self) -> None:
        """Type the code."""
        self.page.locator("#code").fill(read_sms_code(self._demo.issuer, self._person["phone"], self._sent))
        self.submit()

    def confirm(self) -> None:
        """Type the code and wait for the items."""
        self.answer()
        self.page.locator("#phone_check").wait_for()


def walk_well(walk: Walk, query: str, department: str) -> None:
    """Every step with its errors, to the department."""
    page = walk.page
    walk.begin(query)
    walk.take("identity")
    page.locator("summary").click()
    walk.take("identity-why")
    page.locator("#name").fill("样例Sample")
    page.locator("#id_number").fill("35010219900307")
    page.locator("#phone").fill("1380013800")
    walk.submit()
    walk.take("identity-errors")
    page.locator("#name").fill("不是本人")
    walk.fill("id_number", "phone")
    walk.submit()
    page.locator("#code").wait_for()
    walk.take("code")
    page.locator("#code").fill("000000")
    walk.submit()
    walk.take("code-error")
    walk.answer()
    page.locator(".summary").wait_for()
    walk.take("identity-mismatch")
    walk.fill("name")
    walk.submit()
    page.locator("#phone_check").wait_for()
    page.locator("#back").click()
    walk.take("identity-back")
    walk.submit()
    page.locator("#phone_check").wait_for()
    walk.take("items")
    walk.submit()
    walk.take("items-too-few")
    page.locator("#bank_card").fill("6214830000000000016")
    page.locator("#social_security_card").fill("12")
    walk.submit()
    walk.take("items-errors")
    walk.fill("bank_card")
    page.locator("#social_security_card").fill("")
    walk.submit()
    page.locator("#password").wait_for()
    walk.take("password")
    page.locator("#back").click()
    walk.take("items-enough")
    page.locator("#go-on").click()
    page.locator("#password").fill("12345678")
    walk.submit()
    walk.take("password-error")
    walk.fill("password")
    walk.submit()
    page.locator("#agreement").wait_for()
    walk.take("agreement")
    walk.submit()
    walk.take("agreement-error")
    page.locator("#agreement").check()
    walk.submit()
    page.wait_for_url(department + "/")
    walk.take("department")


def walk_against_silence(walk: Walk, query: str) -> None:
    """One authority is silent; another visit goes on with what was begun."""
    walk.begin(query)
    walk.identify()
    walk.confirm()
    walk.fill("bank_card")
    walk.submit()
    walk.page.locator("#retry").wait_for()
    walk.take("items-silent")
    walk.page.goto(walk.page.url.partition("/register")[0] + "/sign-out")
    walk.begin("")
    walk.take("resume")


def take_all(browser: Browser, demo: RunningDemo, folder: Path) -> None:
    """Walk in both sizes and languages, and on the phone in elder mode."""
    ways = [(f"{size}-{language}", size, language, "") for size in SIZES for language in ("zh-CN", "en")]
    ways += [("390-elder", "390", "zh-CN", "?elder=1")]
    silent = list_unregistered(demo.issuer, len(ways), after=FAULTS - 1)
    for (name, size, language, query), person, other in zip(ways, list_unregistered(demo.issuer, len(ways)), silent, strict=True):
        width, height = SIZES[size]
        album = Album(folder, name)
        for who, take in ((person, "well"), (other, "silence")):
            context = browser.new_context(viewport={"width": width, "height": height}, locale=language)
            walk = Walk(context, demo, album, who)
            if take == "well":
                walk_well(walk, query, demo.departments[0])
            else:
                walk_against_silence(walk, query)
            context.close()


if __name__ == "__main__":
    take_pictures(take_all, Path(sys.argv[1]))
