"""Decides how the provider's own front page is shown: who is signed in, or the way to sign in."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.browser_binding import bind_browser
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.sign_in.services.interactions import Interactions
from idp.sign_in.services.portal import FRONT_PAGE, Portal


class PortalPage:
    """The front page of the provider."""

    def __init__(self, pages: Pages, interactions: Interactions, portal: Portal) -> None:
        self._pages = pages
        self._interactions = interactions
        self._portal = portal

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [Route(FRONT_PAGE, self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Show who is signed in, or begin to sign in."""
        context = read_context(request)
        person = await self._portal.find_person(context.session_cookie)
        if person is not None:
            return self._pages.render(context, "portal.html", name=person.masked_name)
        return await begin_portal(context, self._interactions, self._portal)


async def begin_portal(
    context: RequestContext, interactions: Interactions, portal: Portal, towards: str = FRONT_PAGE, *, again: bool = False
) -> Response:
    """Send the browser to sign in, and after that to the own page ``towards``; ``again``: also who is signed in. Raises TooManyFlows."""
    browser = bind_browser(context, interactions.make_browser_cookie)
    begin = portal.begin_again if again else portal.begin
    interaction = await begin(browser, context.address, towards)
    return RedirectResponse(interaction.name_page("/sign-in"), 303)
