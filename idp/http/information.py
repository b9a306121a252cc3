"""Decides which plain pages every installation has: help, accessibility, privacy."""

from starlette.requests import Request
from starlette.responses import Response

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
