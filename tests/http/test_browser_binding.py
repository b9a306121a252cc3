"""What a flow knows its browser by: a cookie of ours stays, anything else is replaced."""

import pytest

from idp.http.browser_binding import LONGEST, bind_browser
from idp.http.cookies import CookieNames
from idp.http.request_context import ContextRules, RequestContext

NAMES = CookieNames("https://id.example.gov.cn")


@pytest.mark.parametrize("sent", ["ours", "x" * LONGEST])
def test_what_a_browser_has_stays(sent: str) -> None:
    context = make_context(sent)
    assert bind_browser(context, lambda: "fresh") == sent
    assert context.response_headers == []


@pytest.mark.parametrize("sent", [None, "", "x" * (LONGEST + 1)])
def test_another_browser_gets_a_cookie_for_a_month(sent: str | None) -> None:
    context = make_context(sent)
    assert bind_browser(context, lambda: "fresh") == "fresh"
    assert context.response_headers == [
        (b"set-cookie", b"__Host-idp_browser=fresh; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax; Secure")
    ]


def make_context(sent: str | None) -> RequestContext:
    cookies = [] if sent is None else [(b"cookie", f"{NAMES.browser}={sent}".encode())]
    return RequestContext(ContextRules(NAMES, 0), "5a17c0ffee00-2a", "GET", "/", cookies)
