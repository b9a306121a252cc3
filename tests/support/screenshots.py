"""Walks a demo in Chromium and takes a picture of every page, for people to look at."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.journeys.conftest import CHROMIUM_ARGUMENTS
from tests.support.demo import DemoProcess, RunningDemo, find_three_ports
from tests.support.discipline import find_program
from tests.support.forms import read_messages, read_sms_code

SIZES = {"390": (390, 844), "1280": (1280, 900)}
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Album:
    """Where the pictures of one walk go."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name, self._count = folder, name, 0

    def take(self, page: Page, what: str) -> None:
        """Take a picture of the whole page."""
        self._count += 1
        page.screenshot(path=self._folder / f"{self._name}-{self._count:02d}-{what}.png", full_page=True)


def ask_consent(demo: RunningDemo) -> str:
    """Return an authorization address of the sample client that asks for consent."""
    query = {
        "client_id": "reading-card",
        "redirect_uri": demo.departments[1] + "/callback",
        "response_type": "code",
        "scope": "openid profile",
        "state": "sample",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{demo.issuer}/authorize?{urlencode(query)}"


def walk(context: BrowserContext, demo: RunningDemo, album: Album, query: str) -> None:
    """Visit every page once."""
    page = context.new_page()
    page.goto(demo.issuer + "/help" + query)
    page.goto(demo.departments[0] + "/")
    album.take(page, "department")
    page.locator("#sign-in").click()
    album.take(page, "sign-in")
    page.locator("[name=identifier]").fill("350102194001010004")
    page.locator("[name=password]").fill("wrong")
    page.locator("#submit").click()
    album.take(page, "sign-in-error")
    sent = len(read_messages(demo.issuer, demo.phone))
    page.locator("[name=identifier]").fill(demo.identifier)
    page.locator("[name=password]").fill(demo.password)
    page.locator("#submit").click()
    page.locator("[name=code]").wait_for()
    album.take(page, "code")
    page.locator("[name=code]").fill("000000")
    page.locator("#submit").click()
    album.take(page, "code-error")
    page.locator("[name=code]").fill(read_sms_code(demo.issuer, demo.phone, sent))
    page.locator("#submit").click()
    page.locator("#sub").wait_for()
    album.take(page, "department-signed-in")
    page.goto(demo.issuer + "/")
    album.take(page, "portal")
    page.goto(ask_consent(demo))
    album.take(page, "consent")
    page.goto(f"{demo.issuer}/authorize?client_id=nobody")
    album.take(page, "error-unknown-client")
    page.goto(f"{demo.issuer}/sign-in?i=gone")
    album.take(page, "error-expired")
    page.goto(f"{demo.issuer}/nowhere")
    album.take(page, "error-not-found")
    for name in ("help", "accessibility", "privacy"):
        page.goto(f"{demo.issuer}/{name}")
        album.take(page, name)
    page.goto(demo.issuer + "/sign-out")
    album.take(page, "sign-out")
    page.locator("#submit").click()
    album.take(page, "signed-out")


def take_all(browser: Browser, demo: RunningDemo, folder: Path) -> None:
    """Walk in every size and language, and on the phone in elder mode and dark too."""
    walks = [(f"{size}-{language}", size, language, "", "light") for size in SIZES for language in ("zh-CN", "en")]
    walks += [("390-elder", "390", "zh-CN", "?elder=1", "light"), ("390-dark", "390", "zh-CN", "", "dark")]
    for name, size, language, query, scheme in walks:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, locale=language, color_scheme=scheme)  # type: ignore[arg-type]
        walk(context, demo, Album(folder, name), query)
        context.close()


def take_pictures(take: Callable[[Browser, RunningDemo, Path], None], folder: Path) -> None:
    """Start a demo, take the pictures, say where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="idp-show-") as data,
        DemoProcess(find_three_ports(), "--data", data) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_program("browser"), args=CHROMIUM_ARGUMENTS)
        take(browser, demo, folder)
        browser.close()
    sys.stdout.write(f"{len(list(folder.glob('*.png')))} pictures in {folder}\n")


if __name__ == "__main__":
    take_pictures(take_all, Path(sys.argv[1]))
