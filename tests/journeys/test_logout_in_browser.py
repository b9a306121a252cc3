"""In Chromium: frames tell departments before the browser goes on, and a page learns from our frame that the sign-in changed."""

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext

from idp.protocol.rules.client_metadata import LogoutAddresses
from tests.support.protocol_samples import CHALLENGE, VERIFIER
from tests.support.real_provider import PASSWORD, Citizen, RealProvider, run_real_provider

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

WATCH = """<!doctype html><html lang="en"><head><title>watch</title></head><body><p id="said"></p>
<iframe id="frame" src="{issuer}/check-session"></iframe>
<script>
  const said = document.getElementById("said");
  window.addEventListener("message", (event) => {{ if (event.origin === "{issuer}") said.textContent = event.data; }});
  window.ask = (text) => {{ said.textContent = ""; document.getElementById("frame").contentWindow.postMessage(text, "{issuer}"); }};
</script></body></html>"""


class Site(BaseHTTPRequestHandler):
    """A department's website: it takes codes, is told by frames (slowly), and has a page that watches."""

    asked: ClassVar[list[tuple[float, str]]] = []
    issuer: ClassVar[str] = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/front":
            time.sleep(0.8)
        Site.asked.append((time.monotonic(), self.path))
        body = WATCH.format(issuer=Site.issuer) if path == "/watch" else "<!doctype html><title>site</title><p id='here'>here</p>"
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def run_website() -> Iterator[str]:
    """Serve the website; return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[RealProvider, list[Citizen], str]]:
    """A provider with session management, three people, and a website that is told through the browser."""
    with asyncio.Runner() as runner, run_website() as website:
        running = run_real_provider(IDP_PROTOCOL__SESSION_MANAGEMENT="true", IDP_SERVER__TRUSTED_PROXY_HOPS="0")
        provider = runner.run(running.__aenter__())
        try:
            citizens = runner.run(provider.add_citizens(["测试甲", "测试乙", "测试丙"]))
            runner.run(
                provider.add_department(
                    "website",
                    redirect_uris=(website + "/callback",),
                    post_logout_redirect_uris=(website + "/",),
                    logout=LogoutAddresses(frontchannel_logout_uri=website + "/front"),
                )
            )
            Site.issuer = provider.issuer
            provider.serve()
            provider.work()
            yield provider, citizens, website
        finally:
            runner.run(running.__aexit__(None, None, None))


def sign_in(provider: RealProvider, context: BrowserContext, citizen: Citizen, website: str) -> dict[str, str]:
    """Sign a person in at the website; return what came back."""
    page = context.new_page()
    query = {
        "client_id": "website",
        "redirect_uri": website + "/callback",
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    page.goto(f"{provider.issuer}/authorize?{urlencode(query)}")
    page.locator("[name=identifier]").fill(citizen.document)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("#submit").click()
    page.wait_for_url(website + "/callback?**")
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def redeem(context: BrowserContext, provider: RealProvider, landed: dict[str, str], website: str) -> str:
    """Redeem the code as the website's server does; return the ID Token."""
    department = provider.departments["website"]
    form: dict[str, str | float | bool] = {
        "grant_type": "authorization_code",
        "code": landed["code"],
        "redirect_uri": website + "/callback",
        "code_verifier": VERIFIER,
    }
    basic = base64.b64encode(f"{department.client_id}:{department.secret}".encode()).decode()
    answer = context.request.post(f"{provider.issuer}/token", form=form, headers={"authorization": f"Basic {basic}"})
    token: str = answer.json()["id_token"]
    return token


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
def test_frames_are_loaded_before_the_browser_goes_on(
    started: tuple[RealProvider, list[Citizen], str], chromium: Browser, scripts: bool
) -> None:
    provider, citizens, website = started
    context = chromium.new_context(java_script_enabled=scripts, locale="zh-CN")
    problems: list[str] = []
    context.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    try:
        landed = sign_in(provider, context, citizens.pop(), website)
        hint = redeem(context, provider, landed, website)
        Site.asked.clear()
        page = context.new_page()
        wish = {"id_token_hint": hint, "post_logout_redirect_uri": website + "/", "state": "bye"}
        page.goto(f"{provider.issuer}/sign-out?{urlencode(wish)}", wait_until="commit")
        page.wait_for_url(website + "/?state=bye")
    finally:
        context.close()
    told = [(at, path) for at, path in Site.asked if path.startswith("/front?")]
    back = [at for at, path in Site.asked if path.startswith("/?state=bye")]
    assert len(told) == 1
    assert parse_qs(urlsplit(told[0][1]).query)["iss"] == [provider.issuer]
    assert told[0][0] < back[0], "the frame was answered first, although that took its time"
    assert not [problem for problem in problems if "favicon" not in problem]


def test_a_page_learns_from_our_frame_that_the_sign_in_ended(started: tuple[RealProvider, list[Citizen], str], chromium: Browser) -> None:
    provider, citizens, website = started
    context = chromium.new_context(locale="zh-CN")
    try:
        landed = sign_in(provider, context, citizens.pop(), website)
        watching = context.new_page()
        watching.goto(website + "/watch", wait_until="load")

        def ask(text: str) -> str:
            watching.evaluate("(text) => window.ask(text)", text)
            watching.wait_for_function("document.getElementById('said').textContent !== ''")
            return watching.locator("#said").inner_text()

        asked = f"website {landed['session_state']}"
        assert ask(asked) == "unchanged"
        assert ask("nothing") == "error"
        assert ask(f"another {landed['session_state']}") == "changed"
        leaving = context.new_page()
        leaving.goto(provider.issuer + "/sign-out")
        leaving.locator("#submit").click()
        leaving.wait_for_url("**/signed-out**")
        assert ask(asked) == "changed"
    finally:
        context.close()
