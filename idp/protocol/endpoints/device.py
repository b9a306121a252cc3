"""Decides how a kiosk begins over HTTP, and where a person types the code that it shows (RFC 8628 §3.1, §3.3)."""

import hashlib

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from idp.http.browser_binding import bind_browser
from idp.http.forms import FieldError, read_form
from idp.http.guards import FormForged, require_csrf
from idp.http.rendering import Pages
from idp.http.request_context import RequestContext, read_context
from idp.http.responses import send_json
from idp.kernel.audit_events import Place
from idp.kernel.errors import ProtocolError
from idp.kernel.ids import encode_base64url
from idp.protocol.endpoints.token import NOT_CACHED, authenticate_client, read_client_form, send_protocol_error
from idp.protocol.rules.decoupled_refusals import DeviceFormForged
from idp.protocol.rules.decoupled_request import read_user_code
from idp.protocol.services.client_authentication import ClientAuthentication
from idp.protocol.services.decoupled_approval import DecoupledApproval
from idp.protocol.services.device_authorization import PAGE, DeviceAuthorization
from idp.protocol.services.device_codes import DeviceCodes
from idp.sign_in.services.interactions import Interactions

MAX_CODE = 40


class DeviceAuthorizationEndpoint:
    """``POST /device_authorization``."""

    def __init__(self, authentication: ClientAuthentication, device: DeviceAuthorization) -> None:
        self._authentication = authentication
        self._device = device

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        try:
            parameters = await read_client_form(context, receive)
            caller = await authenticate_client(self._authentication, context, parameters)
            body = await self._device.begin(parameters, caller, context.request_id, Place(context.address, context.device))
        except ProtocolError as error:
            await send_protocol_error(send, error)
            return
        await send_json(send, 200, body, NOT_CACHED)


class DevicePage:
    """``GET`` and ``POST /device``. No code in the address: whoever follows a stranger's link still has to read the terminal."""

    def __init__(self, pages: Pages, interactions: Interactions, codes: DeviceCodes, approval: DecoupledApproval) -> None:
        self._pages = pages
        self._interactions = interactions
        self._codes = codes
        self._approval = approval

    def routes(self) -> list[Route]:
        """Return the routes of this page."""
        return [Route(PAGE, self.show, methods=["GET"]), Route(PAGE, self.submit, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Ask for the code."""
        return self._show(read_context(request))

    async def submit(self, request: Request) -> Response:
        """Begin the flow of the terminal whose code this is, when it was typed here: a stranger's site may not do it for the person.

        ``redraw`` looks nothing up.
        """
        context = read_context(request)
        form = await read_form(request)
        try:
            require_csrf(context, form, make_form_token(context.browser_cookie))
        except FormForged:
            # Nothing is set here: a browser that another site sent did not show the cookie that it may have.
            return self._pages.refuse(context, DeviceFormForged(), back_url=PAGE)
        typed = form.get("user_code", MAX_CODE)
        if "redraw" in form:
            return self._show(context, 200, typed)
        code = read_user_code(typed)
        if code is None:
            return self._show_error(context, typed, "device_code_malformed" if typed.strip() else "device_code_empty")
        found = await self._codes.find(code, context.address)
        if found is None:
            return self._show_error(context, typed, "device_code_unknown")
        browser = bind_browser(context, self._interactions.make_browser_cookie)
        interaction = await self._approval.begin(found, browser, context.language, context.address)
        if interaction is None:
            return self._show_error(context, typed, "device_code_unknown")
        return RedirectResponse(interaction.way_on, 303)

    def _show_error(self, context: RequestContext, typed: str, key: str) -> Response:
        return self._show(context, 422, typed, FieldError("user_code", key))

    def _show(self, context: RequestContext, status: int = 200, typed: str = "", *errors: FieldError) -> Response:
        token = make_form_token(bind_browser(context, self._interactions.make_browser_cookie))
        return self._pages.render(context, "device.html", status, csrf=token, code=typed, errors=errors)


def make_form_token(browser: str | None) -> str:
    """Return what a form carries that stands in no flow yet: only who knows the browser's cookie can make it; "" without one."""
    return encode_base64url(hashlib.sha256(b"device form:" + browser.encode()).digest()) if browser else ""
