"""Decides which plain pages every installation has: help, accessibility, privacy, and the explanation of an error by its code."""

from starlette.requests import Request
from starlette.responses import Response

from idp.http.errors import REFUSAL_STATUS
from idp.http.rendering import Pages
from idp.http.request_context import read_context


class Information:
    """The pages that the footer leads to."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def show_help(self, request: Request) -> Response:
        """Answer GET /help."""
        return self._pages.render(read_context(request), "help.html")

    async def show_accessibility(self, request: Request) -> Response:
        """Answer GET /accessibility."""
        return self._pages.render(read_context(request), "accessibility.html")

    async def show_privacy(self, request: Request) -> Response:
        """Answer GET /privacy."""
        return self._pages.render(read_context(request), "privacy.html")

    async def show_error(self, request: Request) -> Response:
        """Answer GET /error?code=…: what a code of ours means. Nothing refused happens here, so the status is 200.

        A code that is not ours speaks as ``not_found``, and no other parameter gets into the page.
        """
        context = read_context(request)
        given = request.query_params.get("code", "")
        code = given if given in REFUSAL_STATUS else "not_found"
        context.keep_query(b"code=" + code.encode())
        page = self._pages.refuse(context, code)
        page.status_code = 200
        if "retry-after" in page.headers:
            del page.headers["retry-after"]
        return page
