"""Every page, in both languages, normal and elder, narrow and wide, light and dark: axe-core finds nothing, and nothing is too small.

The pages are those of ``tests/support/page_samples.py``: whoever adds one there has it examined here. Each is looked at in half of the
sixteen combinations (``list_ways``), with ``IDP_TEST_EVERY_WAY=1`` in all of them.
"""

import os
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from itertools import combinations

import pytest
from playwright.sync_api import Browser, Route

from idp.http.messages import load_messages
from idp.http.rendering import Service
from tests.support.accessibility import list_ways, open_examiner
from tests.support.page_samples import list_samples
from tests.support.preview_pages import serve

MODES = [
    pytest.param(
        language, elder, marks=pytest.mark.xdist_group(f"accessibility-{language}"), id=f"{language}-{'elder' if elder else 'normal'}"
    )
    for language in ("zh-CN", "en")
    for elder in (False, True)
]
"""Chromium's work is shared among the suite's processes."""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, list[str]]]:
    """Where all samples are served, and their names."""
    names = list(list_samples(load_messages()))
    server: ThreadingHTTPServer = serve(Service("一证通", "Yizheng", "12345"))
    yield f"http://127.0.0.1:{server.server_address[1]}", names
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.browser
@pytest.mark.node
@pytest.mark.parametrize("language, elder", MODES)
def test_axe_finds_nothing_and_nothing_is_too_small(served: tuple[str, list[str]], chromium: Browser, language: str, elder: bool) -> None:
    address, names = served
    found: list[str] = []
    with open_examiner(chromium, address, every=os.environ.get("IDP_TEST_EVERY_WAY") == "1") as examiner:
        for name in names:
            found += examiner.examine(name, language, elder)
    assert not found, f"{len(found)} problems\n" + "\n".join(found[:60])


BAD = """<!doctype html><html lang="en" class="elder"><title>x</title><main style="font: 16px/1.1 serif">
<p style="color:#999;background:#fff">pale</p><img src="x"><button style="width:30px;height:30px">b</button>
<p>sign<span class="mark" style="display:block;width:5px"><svg width="20" height="20"></svg></span></p></main></html>"""


def test_any_three_choices_meet_in_every_combination() -> None:
    seen = [(language, elder, *way) for language in ("zh-CN", "en") for elder in (False, True) for way in list_ways(language, elder, False)]
    assert len(seen) == 8
    for places in combinations(range(4), 3):
        assert len({tuple(way[place] for place in places) for way in seen}) == 8


@pytest.mark.browser
@pytest.mark.node
def test_the_examiner_sees_what_is_wrong(served: tuple[str, list[str]], chromium: Browser) -> None:
    with open_examiner(chromium, served[0], every=True) as examiner:
        examiner.page.route("**/bad*", lambda route: route.fulfill(body=BAD, content_type="text/html"))
        found = "\n".join(examiner.examine("bad", "en", True))
    for problem in (
        "color-contrast",
        "image-alt",
        "BUTTON b is 30 x 30",
        "P  pale: 16 px, least 22",
        "apart at 16 px",
        "a sign runs into sign",
    ):
        assert problem in found, found


@pytest.mark.browser
@pytest.mark.node
def test_a_page_without_its_stylesheet_is_not_judged(served: tuple[str, list[str]], chromium: Browser) -> None:
    with open_examiner(chromium, served[0]) as examiner:
        examiner.page.route("**/*.css", lambda route: route.abort())
        assert examiner.examine("help", "en", False) == ["help: its stylesheet did not come"]


PLACES = """() => Object.fromEntries([...document.querySelectorAll("main [id]")].filter(e => e.checkVisibility({visibilityProperty: true}))
  .map(e => [e.id, [e.getBoundingClientRect().left, e.getBoundingClientRect().top, e.getBoundingClientRect().width].map(Math.round)]))"""

DRAWN = """() => new Promise(done => {
  const drawn = () => document.readyState === "interactive" && getComputedStyle(document.body).display === "flex";
  const look = () => drawn() ? done() : setTimeout(look, 10);
  look();
})"""
"""Waits until the page is there with its stylesheet; its scripts, which are held back, are not."""


@pytest.mark.browser
@pytest.mark.parametrize("sample", ["sign-in-passkey", "passkey", "password", "account-passkeys-fresh"])
def test_nothing_moves_when_scripts_come(served: tuple[str, list[str]], chromium: Browser, sample: str) -> None:
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    held: list[Route] = []
    page.route("**/*.js*", lambda route: held.append(route))
    page.goto(f"{served[0]}/{sample}", wait_until="commit")
    page.evaluate(DRAWN)
    before = page.evaluate(PLACES)
    for route in held:
        route.continue_()
    page.wait_for_load_state("load")
    after = page.evaluate(PLACES)
    hidden = page.locator("[data-scripted][hidden], .show[hidden]").count()
    page.close()
    assert held
    assert not hidden, "the scripts ran"
    assert {name: after[name] for name in before} == before
