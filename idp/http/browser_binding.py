"""Decides what a flow knows its browser by: one random cookie, given with the first flow and kept for a month."""

from collections.abc import Callable

from idp.http.request_context import RequestContext

LIFE = 86_400 * 30
LONGEST = 64


def bind_browser(context: RequestContext, make: Callable[[], str]) -> str:
    """Return the cookie that this browser has; one that has none, or none of ours, gets what ``make`` returns with this answer."""
    browser = context.browser_cookie
    if not browser or len(browser) > LONGEST:
        browser = make()
        context.set_cookie(context.cookie_names.set(context.cookie_names.browser, browser, LIFE))
    return browser
