"""Decides what of a request the sign-in services get to see."""

from idp.http.request_context import RequestContext
from idp.sign_in.rules.device import LIFE_SECONDS
from idp.sign_in.services.visits import Continue, Visit


def read_visit(context: RequestContext) -> Visit:
    """Return the visit of a request."""
    return Visit(
        browser_cookie=context.browser_cookie,
        session_cookie=context.session_cookie,
        device_cookie=context.device_cookie,
        address=context.address,
        device=context.device,
        request_id=context.request_id,
    )


def set_cookies(context: RequestContext, opened: Continue) -> None:
    """Give the browser the cookies of a session that was opened; the session's own ends with the browser."""
    names = context.cookie_names
    if opened.session_cookie is not None:
        context.set_cookie(names.set(names.session, opened.session_cookie))
    if opened.device_cookie is not None:
        context.set_cookie(names.set(names.device, opened.device_cookie, LIFE_SECONDS))
