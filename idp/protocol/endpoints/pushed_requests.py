"""Decides how ``/par`` speaks HTTP: a client's form in, a name for the request out (RFC 9126 §2)."""

import json

from starlette.types import Receive, Scope, Send

from idp.http.request_context import read_context
from idp.http.responses import send_json
from idp.kernel.errors import ProtocolError
from idp.protocol.endpoints.token import NOT_CACHED, authenticate_client, read_client_form, send_protocol_error
from idp.protocol.services.client_authentication import ClientAuthentication
from idp.protocol.services.pushed_requests import PushedRequests


class PushedRequestEndpoint:
    """``POST /par``."""

    def __init__(self, authentication: ClientAuthentication, pushed: PushedRequests) -> None:
        self._authentication = authentication
        self._pushed = pushed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        try:
            parameters = await read_client_form(context, receive)
            caller = await authenticate_client(self._authentication, context, parameters)
            answer = await self._pushed.push(parameters, caller, context.address)
        except ProtocolError as error:
            await send_protocol_error(send, error)
            return
        await send_json(send, 201, json.dumps(answer, separators=(",", ":")).encode(), NOT_CACHED)
