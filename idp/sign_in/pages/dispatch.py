"""Decides how a flow's next step reaches the browser: 303 within the house, a page of its own for the last hop to a department."""

from typing import assert_never

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.posting import post_on
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.errors import Refusal
from idp.sign_in.pages.visits import read_visit
from idp.sign_in.rules.interaction import Leave, PageNeeded, Refused, SignInNeeded
from idp.sign_in.rules.refusals import InteractionExpired
from idp.sign_in.services.dispatch import Dispatcher, Routed

PATH = "/continue"


class DispatchPage:
    """The one address that every step comes back to."""

    def __init__(self, pages: Pages, dispatcher: Dispatcher) -> None:
        self._pages = pages
        self._dispatcher = dispatcher

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [Route(PATH, self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Ask the flow's kind what comes next, and go there."""
        context = read_context(request)
        try:
            routed = await self._dispatcher.decide(request.query_params.get("i", ""), read_visit(context))
        except Refusal as refusal:
            return self._pages.refuse(context, refusal)
        if isinstance(routed.step, SignInNeeded) and request.query_params.get("asked") and not routed.interaction.proved:
            return self._pages.refuse(context, InteractionExpired(), **routed.interaction.way_back)
        return self._answer(context, routed, opened=request.query_params.get("opened") == "1")

    def _answer(self, context: RequestContext, routed: Routed, *, opened: bool) -> Response:
        interaction = routed.interaction
        match routed.step:
            case SignInNeeded():
                return RedirectResponse(interaction.name_page("/sign-in"), 303)
            case PageNeeded(path=path):
                return RedirectResponse(interaction.name_page(path, **({"opened": "1"} if opened else {})), 303)
            case Leave(url=url, fields=fields):
                department = interaction.name_department(context.language)
                if fields:
                    return post_on(self._pages, context, url, fields, department, opened=opened)
                return leave(self._pages, context, url, department, opened=opened)
            case Refused(code=code, back_url=back_url):
                return self._pages.refuse(context, code, **interaction.way_back, back_url=back_url)
        assert_never(routed.step)


def leave(pages: Pages, context: RequestContext, url: str, department: str, *, opened: bool = False) -> Response:
    """Return the last hop: 303 inside this origin, else a page, since Chromium blocks a redirect after a POST by ``form-action``.

    ``opened``: the person's account was opened on the way, which the page says.
    """
    if url.startswith("/") and not url.startswith("//"):
        return RedirectResponse(url, 303)
    return pages.render(context, "returning.html", url=url, department=department, opened=opened)
