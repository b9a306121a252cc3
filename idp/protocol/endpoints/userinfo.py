"""Decides how ``/userinfo`` speaks HTTP: one bearer token, by header or form, never in the query (RFC 6750 §2)."""

from starlette.types import Receive, Scope, Send

from idp.http.errors import find_protocol_status, write_protocol_error, write_protocol_headers
from idp.http.forms import FORM_TYPE, read_body
from idp.http.request_context import RequestContext, read_context
from idp.http.responses import NO_STORE, send_json
from idp.kernel.errors import ProtocolError
from idp.protocol.rules.parameters import BadParameters, parse_parameters
from idp.protocol.services.resources import Resources

MAX_BODY = 16_384
CHALLENGE = ((b"www-authenticate", b'Bearer realm="userinfo"'), NO_STORE)


class UserInfoEndpoint:
    """``GET`` and ``POST /userinfo`` (OpenID Connect Core §5.3)."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        try:
            token = await _find_token(context, receive)
            if token is None:
                # RFC 6750 §3.1: without any authentication information, no error code.
                await send_json(send, 401, b"{}", CHALLENGE)
                return
            body = await self._resources.read_claims(token, context.request_id)
        except ProtocolError as error:
            status = find_protocol_status(error)
            await send_json(send, status, write_protocol_error(error), write_protocol_headers(error, status))
            return
        await send_json(send, 200, body)


async def _find_token(context: RequestContext, receive: Receive) -> str | None:
    authorization = context.header(b"authorization")
    posted = await _read_posted_token(context, receive) if context.method == "POST" else None
    if authorization is None:
        return posted
    if posted is not None:
        raise ProtocolError("invalid_request", "The access token was sent in two ways.", redirectable=False)
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    return token.strip().decode("latin-1")


async def _read_posted_token(context: RequestContext, receive: Receive) -> str | None:
    kind = (context.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != FORM_TYPE.encode():
        return None
    try:
        return parse_parameters(await read_body(receive, MAX_BODY)).get("access_token")
    except BadParameters:
        raise ProtocolError("invalid_request", "The parameters cannot be read.", redirectable=False) from None
