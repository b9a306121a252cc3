"""Decides what counts as accessible here: no violation of any rule of axe-core, and the sizes that pages.md and the elder mode promise."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import Browser, Page

from tests.support.discipline import NODE_PACKAGES

Scheme = Literal["light", "dark"]
AXE = NODE_PACKAGES / "axe-core" / "axe.min.js"
WIDTHS = (390, 1280)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
LEAST_TARGET = {False: 44, True: 60}
"""Pixels that a control measures at least, both ways, by elder mode."""

LEAST_TEXT, LEAST_NOTE, LEAST_SPACING = 22, 18, 1.3
"""Elder mode: pixels of body text and of notes, and line height by text size."""

LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
"""The rules whose answer depends on colours or on how wide the window is; every other rule reads the document alone."""

RUN = """async (rules) => {
  const options = {resultTypes: ["violations"], preload: false};
  if (rules.length) options.runOnly = rules; else options.rules = {"target-size": {enabled: true}};
  const {violations} = await axe.run(options);
  return violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 160)} ${n.failureSummary.slice(0, 300)}`));
}"""

TARGETS = """(least) => {
  const small = [];
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
    if (!e.getClientRects().length) continue;
    if (e.tagName === "A" && getComputedStyle(e).display === "inline" && runs(e)) continue;
    // What a label wraps is pressed anywhere on the label.
    const box = (e.closest("label") || e).getBoundingClientRect();
    if (box.width < least - 0.5 || box.height < least - 0.5)
      small.push(`${e.tagName} ${e.id || e.textContent.trim()} is ${Math.round(box.width)} x ${Math.round(box.height)}`);
  }
  for (const sign of document.querySelectorAll(".mark > svg"))
    if (sign.getBoundingClientRect().right > sign.parentElement.getBoundingClientRect().right + 0.5)
      small.push(`a sign runs into ${sign.parentElement.parentElement.textContent.trim()}`);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) small.push(`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}`);
  return small;

  function runs(link) {  // has the sentence that holds the link words beside it?
    const around = link.closest("p, li, dd, td, label");
    return around !== null && around.textContent.trim() !== link.textContent.trim();
  }
}"""

STYLED = """() => {
  try { return [...document.querySelectorAll("link[rel=stylesheet]")].every(link => link.sheet.cssRules.length > 0); }
  catch { return false; }  // a sheet that did not come belongs to nobody and cannot be read
}"""

TEXTS = """({text, note, spacing}) => {
  const small = [];
  for (const e of document.body.querySelectorAll("*")) {
    const own = e.tagName === "INPUT" ? "x" : [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join("").trim();
    if (!own || !e.getClientRects().length || e.closest("noscript, option")) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const least = e.closest("main") && !e.closest(".hint, .safety, .aside, .steps, .towards, .tag") ? text : note;
    const what = `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 20)}`;
    if (size < least - 0.1) small.push(`${what}: ${size} px, least ${least}`);
    if (style.lineHeight !== "normal" && parseFloat(style.lineHeight) / size < spacing - 0.005)
      small.push(`${what}: lines ${style.lineHeight} apart at ${size} px`);
  }
  return small;
}"""


def list_ways(language: str, elder: bool, every: bool) -> list[tuple[int, Scheme]]:
    """Return the windows and colours to look at a page in: two of four unless ``every``.

    Over both languages and both modes any three of the four choices meet in every combination, at half the time.
    """
    ways = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
    if every:
        return ways
    parity = (language == "en") ^ elder
    return [(width, scheme) for width, scheme in ways if (width == WIDTHS[0]) ^ (scheme == "light") == parity]


def read_skeleton(html: str) -> str:
    """Return a page without its words and addresses: pages that differ in nothing else have the same faults."""
    html = re.sub(r">[^<]*[^<\s][^<]*<", ">x<", html)
    return re.sub(r' (href|value|content|src|data-[a-z-]+)="[^"]+"', r' \1="x"', html)


class Examiner:
    """One browser page with axe-core in it, and where the samples are served."""

    def __init__(self, page: Page, address: str, every: bool) -> None:
        self.page = page
        self._address = address
        self._every = every
        self._seen: set[str] = set()

    def examine(self, sample: str, language: str, elder: bool) -> list[str]:
        """Return what is wrong with a sample. A page whose like was seen before is measured only."""
        ways = list_ways(language, elder, self._every)
        self._show_as(*ways[0])
        if not self._open(f"{self._address}/{sample}?language={language}&elder={int(elder)}"):
            return [f"{sample}: its stylesheet did not come"]
        found = self._measure(sample, ways[0][0], elder)
        skeleton = read_skeleton(self.page.content())
        if skeleton in self._seen and not self._every:
            return found
        self._seen.add(skeleton)
        found += self._ask(sample, *ways[0], rules=[])
        for width, scheme in ways[1:]:
            self._show_as(width, scheme)
            found += self._measure(sample, width, elder)
            found += self._ask(sample, width, scheme, rules=LOOKS)
        return found

    def _open(self, url: str) -> bool:
        """Open a page and return whether it has its stylesheet. On a machine that is very busy the browser drops one now and then."""
        for _ in range(3):
            self.page.goto(url)
            if self.page.evaluate(STYLED):
                return True
        return False

    def _show_as(self, width: int, scheme: Scheme) -> None:
        self.page.set_viewport_size({"width": width, "height": 844})
        self.page.emulate_media(color_scheme=scheme)

    def _measure(self, sample: str, width: int, elder: bool) -> list[str]:
        problems = self.page.evaluate(TARGETS, LEAST_TARGET[elder])
        if elder:
            problems += self.page.evaluate(TEXTS, {"text": LEAST_TEXT, "note": LEAST_NOTE, "spacing": LEAST_SPACING})
        return [f"{sample} {width}: {problem}" for problem in problems]

    def _ask(self, sample: str, width: int, scheme: Scheme, *, rules: list[str]) -> list[str]:
        return [f"{sample} {width} {scheme}: {problem}" for problem in self.page.evaluate(RUN, rules)]


@contextmanager
def open_examiner(browser: Browser, address: str, *, every: bool = False) -> Iterator[Examiner]:
    """Open a page that has axe-core before any of ours; without motion, so that no colour is measured on its way."""
    context = browser.new_context(bypass_csp=True, reduced_motion="reduce")
    context.add_init_script(path=AXE)
    try:
        yield Examiner(context.new_page(), address, every)
    finally:
        context.close()
