"""Decides how the frame is served that tells departments' pages whether the sign-in changed (Session Management 1.0 §3.3)."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from idp.http.request_context import read_context
from idp.http.static import StaticFiles
from idp.protocol.rules.session_state import PATH

FRAME = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>check_session_iframe</title></head>'
    '<body data-cookie="{cookie}"><script src="{script}"></script></body></html>'
)
"""Nobody sees it: it only answers messages of the page around it."""


class CheckSessionFrame:
    """``GET /check-session``: the same for everybody."""

    def __init__(self, static: StaticFiles) -> None:
        self._script = static.find_path("check-session.js")

    def routes(self) -> list[Route]:
        """Return the route of the frame."""
        return [Route(PATH, self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Serve the frame, to whichever page wants to show it."""
        context = read_context(request)
        context.frame_ancestors = "*"
        page = FRAME.format(cookie=context.cookie_names.state, script=self._script)
        return HTMLResponse(page, headers={"cache-control": "no-cache"})
