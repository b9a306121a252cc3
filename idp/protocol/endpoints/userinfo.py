"""Decides how ``/userinfo`` speaks HTTP: one access token, by header or form, never in the query (RFC 6750 §2, RFC 9449 §7)."""

import re
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from idp.http.request_context import read_context
from idp.http.responses import JSON_TYPE, NO_STORE, send_bytes, send_json
from idp.kernel.clock import Random
from idp.kernel.errors import ProtocolError
from idp.protocol.endpoints.bearer import CHALLENGES, read_token_use, send_resource_error
from idp.protocol.services.possession import Scheme, TokenUse
from idp.protocol.services.resources import Resources

METHODS = ("GET", "POST", "HEAD")
INTERACTION = b"x-fapi-interaction-id"
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def name_interaction(given: bytes | None, certified: bool, random: Random) -> bytes | None:
    """Return the name of this exchange, for the logs of both sides: what the client gave it, if it is a UUID.

    A client that gave none hears one when it came with a certificate, as those of FAPI do (FAPI 1.0 Baseline §6.2.1); others hear nothing.
    """
    if given is not None and _UUID.fullmatch(given):
        return given
    return str(UUID(bytes=random(16), version=4)).encode() if given is not None or certified else None


class UserInfoEndpoint:
    """``GET`` and ``POST /userinfo`` (OpenID Connect Core §5.3)."""

    def __init__(self, resources: Resources, random: Random) -> None:
        self._resources = resources
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        if context.method not in METHODS:
            raise HTTPException(405, headers={"Allow": ", ".join(METHODS)})
        use: TokenUse | None = None
        try:
            use = await read_token_use(context, receive)
            if use is None:
                await send_json(send, 401, b"{}", CHALLENGES)
                return
            interaction = name_interaction(context.header(INTERACTION), use.certificate is not None, self._random)
            if interaction is not None:
                context.response_headers.append((INTERACTION, interaction))
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
