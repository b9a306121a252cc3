"""Decides how ``/userinfo`` speaks HTTP: one access token, by header or form, never in the query (RFC 6750 §2, RFC 9449 §7)."""

from starlette.types import Receive, Scope, Send

from idp.http.request_context import read_context
from idp.http.responses import JSON_TYPE, NO_STORE, send_bytes, send_json
from idp.kernel.errors import ProtocolError
from idp.protocol.endpoints.bearer import CHALLENGES, read_token_use, send_resource_error
from idp.protocol.services.possession import Scheme, TokenUse
from idp.protocol.services.resources import Resources


class UserInfoEndpoint:
    """``GET`` and ``POST /userinfo`` (OpenID Connect Core §5.3)."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        use: TokenUse | None = None
        try:
            use = await read_token_use(context, receive)
            if use is None:
                await send_json(send, 401, b"{}", CHALLENGES)
                return
            if use.scheme is Scheme.DPOP:
                context.response_headers.append((b"dpop-nonce", self._resources.make_nonce().encode()))
            kind, body = await self._resources.read_claims(use, context.request_id)
        except ProtocolError as error:
            await send_resource_error(send, error, use)
            return
        if kind == JSON_TYPE[1]:
            await send_json(send, 200, body)
        else:
            await send_bytes(send, 200, kind, body, (NO_STORE,))
