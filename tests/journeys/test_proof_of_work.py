"""The script of a crowded sign-in: it finds the number while the person types, and holds the form back until it has it."""

import hashlib
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, Page, Route

from idp.authenticators.rules.proof_of_work import Puzzle, is_solved
from tests.support.documents import ROOT

pytestmark = pytest.mark.browser

SCRIPT = Path(ROOT / "idp/http/static/proof-of-work.js").read_text(encoding="utf-8")
ORIGIN = "http://127.0.0.1:9"
FORM = """<!doctype html><form method="post" action="/sign-in"><input type="hidden" name="puzzle" value="TEXT">
<input type="hidden" name="proof" value="" data-puzzle="TEXT" data-bits="BITS" data-busy="Calculating"><p class="busy"></p>
<button id="submit" type="submit">Go</button></form><script src="/script.js" defer></script>"""


def open_page(chromium: Browser, puzzle: Puzzle) -> tuple[Page, list[str]]:
    """Return a page with the form and the script alone, and what it will post."""
    page, posted = chromium.new_page(), []

    def answer(route: Route) -> None:
        if route.request.method == "POST":
            posted.append(route.request.post_data or "")
            route.fulfill(body="<p>done</p>", content_type="text/html")
        elif route.request.url.endswith(".js"):
            route.fulfill(body=SCRIPT, content_type="text/javascript")
        else:
            route.fulfill(body=FORM.replace("TEXT", puzzle.text).replace("BITS", str(puzzle.bits)), content_type="text/html")

    page.route("**/*", answer)
    page.goto(ORIGIN)
    return page, posted


@pytest.mark.parametrize("bits", [0, 1, 14])
def test_the_form_is_sent_with_a_number_that_fits(chromium: Browser, bits: int) -> None:
    puzzle = Puzzle("1790000000.c2FtcGxlLXM.c2FtcGxlLXNlYWwtb2YtYS1w", bits)
    page, posted = open_page(chromium, puzzle)
    page.click("#submit")
    page.wait_for_selector("text=done")
    (body,) = posted
    fields = {name: value for name, (value,) in parse_qs(body).items()}
    assert fields["puzzle"] == puzzle.text
    assert is_solved(puzzle, fields["proof"])
    page.close()


def test_whoever_is_faster_is_told_and_waits(chromium: Browser) -> None:
    page, posted = open_page(chromium, Puzzle("a", 30))
    page.click("#submit")
    assert page.inner_text(".busy") == "Calculating"
    assert posted == []
    page.close()


@pytest.mark.parametrize("length", [0, 3, 55, 56, 63, 64, 119, 120, 200])
def test_its_hash_is_sha_256(chromium: Browser, length: int) -> None:
    text = "y" * length
    program = re.sub(r"^const (field|form) = .*$", "", SCRIPT, flags=re.MULTILINE).partition("if (form)")[0]
    page = chromium.new_page()
    found = page.evaluate(f"() => {{ {program}; return hashFirstWord({text!r}); }}")
    assert found & 0xFFFFFFFF == int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    page.close()
