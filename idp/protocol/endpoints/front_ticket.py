"""Decides how a web view presents its app's ticket over HTTP: one request, a session, and on to the department (S58)."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from idp.http.forms import read_form
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.kernel.audit_events import Place
from idp.kernel.errors import Refusal
from idp.protocol.rules.front_ticket import TicketRefused
from idp.protocol.services.front_tickets import FrontTickets

PATH = "/enter"
MAX_TICKET = 2_000
MAX_VERIFIER = 128
OWN_SITES = (None, b"none", b"same-origin")
"""``Sec-Fetch-Site`` of a page that nobody else sent the browser to: another site cannot sign its visitors in as somebody."""

NEAR = b"same-site"
"""Another port or name beside ours: where the demo's app is, and nobody's web view."""


class FrontTicketPage:
    """``GET`` and ``POST /enter``: ``ticket``, and ``code_verifier``, which only the device knows."""

    def __init__(self, pages: Pages, tickets: FrontTickets, *, from_near: bool) -> None:
        """``from_near``: a page beside ours may send the browser here, as the demo's app on its own port does."""
        self._pages = pages
        self._tickets = tickets
        self.sites = (*OWN_SITES, NEAR) if from_near else OWN_SITES

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Enter with what the address carries; it never stands in the history, because the answer leads on."""
        query = request.query_params
        return await self._enter(read_context(request), query.get("ticket", ""), query.get("code_verifier", ""))

    async def submit(self, request: Request) -> Response:
        """Enter with what was posted."""
        form = await read_form(request)
        return await self._enter(read_context(request), form.get("ticket", MAX_TICKET), form.get("code_verifier", MAX_VERIFIER))

    async def _enter(self, context: RequestContext, ticket: str, verifier: str) -> Response:
        try:
            if context.header(b"sec-fetch-site") not in self.sites or len(ticket) > MAX_TICKET:
                raise TicketRefused
            place = Place(context.address, context.device)
            entered = await self._tickets.enter(ticket, verifier, context.session_cookie, context.request_id, place)
        except Refusal as refusal:
            return self._pages.refuse(context, refusal)
        if entered.cookie is not None:
            context.set_cookie(context.cookie_names.set(context.cookie_names.session, entered.cookie))
        # A page of another site would be told the address, and with it the ticket: it is used, and still nobody's business.
        return RedirectResponse(entered.url, 303, headers={"referrer-policy": "no-referrer", "cache-control": "no-store"})
