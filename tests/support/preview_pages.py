"""Takes pictures of every page with synthetic contexts: widths, languages, modes; and reports what is cut off or too small."""

import argparse
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, sync_playwright

from idp.http.languages import Language
from idp.http.messages import load_messages
from idp.http.middleware import CSP
from idp.http.rendering import Pages, Service
from idp.http.static import STATIC, TYPES, StaticFiles
from tests.journeys.conftest import CHROMIUM_ARGUMENTS
from tests.support.discipline import find_program
from tests.support.page_samples import ELSEWHERE, fill_refusal, list_samples, make_context

WIDTHS = (390, 768, 1280)
MODES = ("normal", "elder", "dark", "contrast", "forced", "zoom")
"""``contrast`` is prefers-contrast, ``forced`` forced colours, ``zoom`` 200 %: half as many CSS pixels, each twice as large."""
MEASURE = """() => {
  const root = document.documentElement, problems = [];
  if (root.scrollWidth > root.clientWidth) problems.push(`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}`);
  const least = root.classList.contains("elder") ? 60 : 44;
  for (const e of document.querySelectorAll("a:not(.skip), button, input:not([type=hidden]), select, summary")) {
    const box = (e.closest(".tick label") ?? e).getBoundingClientRect();
    if (box.width && !e.closest(".summary") && box.height < least - 0.5) problems.push(`${e.tagName} ${e.id} is ${box.height} px high`);
    // At 200 % on a phone a long number scrolls within its field.
    if (innerWidth < 300 && e.tagName === "INPUT") continue;
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline") problems.push(`${e.tagName} ${e.id} is cut off`);
  }
  // At 200 % on a phone the longest words are longer than a line of a heading.
  if (innerWidth < 300) return problems;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let text = texts.nextNode(); text; text = texts.nextNode())
    for (const word of text.data.matchAll(/\\b[A-Za-z]{2,20}\\b/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
      if (lines.size > 1) problems.push(`${word[0]} is broken in the middle`);
    }
  return problems;
}"""


def serve(service: Service) -> ThreadingHTTPServer:
    """Serve ``/<sample>?language=&elder=`` and the static files on a free loopback port; pages that lead on by themselves stay."""
    messages = load_messages()
    static = StaticFiles()
    pages = Pages(messages, service, static)
    samples = list_samples(messages)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name = parts.path.rsplit("/", 1)[-1]
            if parts.path == ELSEWHERE:
                self.stay()
            elif parts.path.startswith("/static/"):
                # What leaves a page at once is held back, or nobody could look at the page.
                self.answer(TYPES[Path(name).suffix], b"" if name == "post-on.js" else (STATIC / name).read_bytes(), "max-age=3600")
            elif name in samples:
                query = parse_qs(parts.query)
                language: Language = "en" if query.get("language") == ["en"] else "zh-CN"
                template, values = samples[name]
                context = make_context(language, elder=query.get("elder") == ["1"])
                page = pages.write(context, template, **fill_refusal(messages, language, values))
                self.answer("text/html; charset=utf-8", page.encode())
            else:
                self.send_error(404)

        def stay(self) -> None:
            self.send_response(204)
            self.end_headers()

        def answer(self, content_type: str, body: bytes, caching: str = "no-store") -> None:
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", caching)
            self.send_header("content-security-policy", CSP)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def tell(line: str) -> None:
    """Write one line for whoever waits."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def take(
    browser: Browser, address: str, names: list[str], widths: tuple[int, ...], languages: list[str], modes: list[str], out: Path
) -> int:
    """Write one picture per combination; return how many problems were found."""
    problems = 0
    for mode in modes:
        for width in widths:
            scale = 2 if mode == "zoom" else 1
            page = browser.new_page(
                viewport={"width": width // scale, "height": (844 if width < 700 else 900) // scale},
                device_scale_factor=scale,
                color_scheme="dark" if mode == "dark" else "light",
                contrast="more" if mode == "contrast" else "no-preference",
                forced_colors="active" if mode == "forced" else "none",
            )
            page.on("console", lambda message: tell(f"console: {message.text}") if message.type == "error" else None)
            for language in languages:
                for name in names:
                    page.goto(f"{address}/{name}?language={language}&elder={int(mode == 'elder')}", wait_until="load")
                    for problem in page.evaluate(MEASURE):
                        problems += 1
                        tell(f"{name} {language} {mode} {width}: {problem}")
                    page.screenshot(path=out / f"{name}-{language}-{mode}-{width}.png", full_page=True)
            page.close()
    return problems


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("var/preview"))
    parser.add_argument("--pages", default="", help="sample names, comma-separated; default: all but the error pages")
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)))
    parser.add_argument("--languages", default="zh-CN,en")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--long-name", action="store_true", help="a service name as long as real ones")
    chosen = parser.parse_args()
    # A page of the last hop goes on by itself before it is measured.
    goes_on = ("returning.html", "posting.html")
    samples = [name for name, (template, _) in list_samples(load_messages()).items() if template not in goes_on]
    names = (
        chosen.pages.split(",")
        if chosen.pages
        else [n for n in samples if not n.startswith("error-")] + ["error-fault", "error-with-way-back"]
    )
    if chosen.pages == "all":
        names = samples
    chosen.out.mkdir(parents=True, exist_ok=True)
    service = Service("一证通", "Yizheng", "12345")
    if chosen.long_name:
        service = Service("示例省社会用户实名认证和授权平台", "Sample Province Identity and Authorization Platform", "12345")
    server = serve(service)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_program("browser"), args=CHROMIUM_ARGUMENTS)
        widths = tuple(int(width) for width in chosen.widths.split(","))
        address = f"http://127.0.0.1:{server.server_address[1]}"
        problems = take(browser, address, names, widths, chosen.languages.split(","), chosen.modes.split(","), chosen.out)
        browser.close()
    server.shutdown()
    tell(f"pictures: {chosen.out} ({problems} problems)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
