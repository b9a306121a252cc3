"""Decides how CIBA speaks HTTP: a client's request in, and the page on which a person finds what waits (CIBA §7, §8)."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from idp.http.browser_binding import bind_browser
from idp.http.rendering import Pages
from idp.http.request_context import read_context
from idp.http.responses import send_json
from idp.kernel.audit_events import Place
from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.protocol.endpoints.releases import Door
from idp.protocol.endpoints.token import NOT_CACHED, authenticate_client, read_client_form, send_protocol_error
from idp.protocol.services.backchannel_authentication import BackchannelAuthentication
from idp.protocol.services.client_authentication import ClientAuthentication
from idp.protocol.services.clients import ClientDirectory
from idp.protocol.services.decoupled_approval import DecoupledApproval, find_minutes_left
from idp.protocol.services.releases import name_client
from idp.sign_in.services.interactions import Interactions

PATH = "/account/requests"


class BackchannelAuthenticationEndpoint:
    """``POST /bc-authorize``."""

    def __init__(self, authentication: ClientAuthentication, backchannel: BackchannelAuthentication) -> None:
        self._authentication = authentication
        self._backchannel = backchannel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        try:
            parameters = await read_client_form(context, receive)
            caller = await authenticate_client(self._authentication, context, parameters)
            body = await self._backchannel.begin(parameters, caller, context.request_id, Place(context.address, context.device))
        except ProtocolError as error:
            await send_protocol_error(send, error)
            return
        await send_json(send, 200, body, NOT_CACHED)


class WaitingRequestsPage:
    """``GET`` and ``POST /account/requests``: what a department waits for; looking at it begins the flow that answers it."""

    def __init__(
        self,
        pages: Pages,
        door: Door,
        interactions: Interactions,
        backchannel: BackchannelAuthentication,
        approval: DecoupledApproval,
        directory: ClientDirectory,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._door = door
        self._interactions = interactions
        self._backchannel = backchannel
        self._approval = approval
        self._directory = directory
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PATH, self.show, methods=["GET"]), Route(PATH, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Show what waits, or that nothing does."""
        context = read_context(request)
        owner = await self._door.enter(context, PATH)
        if isinstance(owner, Response):
            return owner
        waiting = await self._backchannel.find_waiting(owner.person_id)
        client = await self._directory.find(waiting.client_id) if waiting is not None else None
        return self._pages.render(
            context,
            "account_requests.html",
            csrf=owner.csrf,
            department=name_client(client, context.language),
            message=waiting.message if waiting is not None else "",
            minutes=find_minutes_left(waiting, self._clock()) if waiting is not None else 0,
        )

    async def submit(self, request: Request) -> Response:
        """Begin to answer what waits; when it is over meanwhile, the page says that nothing waits."""
        context = read_context(request)
        read = await self._door.read(request, context, PATH)
        if isinstance(read, Response):
            return read
        owner, _ = read
        waiting = await self._backchannel.find_waiting(owner.person_id)
        browser = bind_browser(context, self._interactions.make_browser_cookie)
        interaction = await self._approval.begin(waiting, browser, context.language, context.address) if waiting is not None else None
        if interaction is None:
            return RedirectResponse(PATH, 303)
        return RedirectResponse(interaction.way_on, 303)
