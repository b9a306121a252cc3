"""Decides how endpoints for clients speak HTTP: a form in, JSON out, never stored (RFC 6749 §5, RFC 7662 §2, RFC 7009 §2)."""

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from idp.http.errors import find_protocol_status, write_protocol_error, write_protocol_headers
from idp.http.forms import is_form, read_body
from idp.http.request_context import RequestContext, read_context
from idp.http.responses import NO_STORE, Header, send_bytes, send_json
from idp.kernel.audit_events import Place
from idp.kernel.errors import ProtocolError
from idp.protocol.rules.client import AuthMethod
from idp.protocol.rules.parameters import BadParameters, parse_parameters
from idp.protocol.services.client_authentication import Caller, ClientAuthentication, ClientRequest
from idp.protocol.services.resources import SIGNED_TYPE, Resources
from idp.protocol.services.revocation import Revocation
from idp.protocol.services.tokens import Tokens

MAX_BODY = 32_768
NOT_CACHED: tuple[Header, ...] = (NO_STORE, (b"pragma", b"no-cache"))


async def read_client_form(context: RequestContext, receive: Receive) -> dict[str, str]:
    """Return the parameters a client posted; raise ProtocolError ``invalid_request`` for anything but one clean form.

    HTTPException 405 for anything but a POST (RFC 9126 §2.3).
    """
    if context.method != "POST":
        raise HTTPException(405, headers={"Allow": "POST"})
    if not is_form(context.header(b"content-type")):
        raise ProtocolError("invalid_request", "The body must be application/x-www-form-urlencoded.", redirectable=False)
    try:
        return parse_parameters(await read_body(receive, MAX_BODY))
    except BadParameters as error:
        name = f" ({error.name})" if error.name.isascii() and error.name.isidentifier() else ""
        raise ProtocolError("invalid_request", f"The parameters cannot be read: {error.reason}{name}.", redirectable=False) from None


async def authenticate_client(authentication: ClientAuthentication, context: RequestContext, parameters: dict[str, str]) -> Caller:
    """Return the client that proves to ask. Raises ProtocolError ``invalid_client``."""
    proofs = context.list_headers(b"dpop")
    if len(proofs) > 1:
        raise ProtocolError("invalid_dpop_proof", "There are several DPoP proofs.", redirectable=False)
    if proofs:
        context.response_headers.append((b"dpop-nonce", authentication.make_nonce().encode()))
    try:
        told = context.certificate
    except ValueError:
        raise ProtocolError("invalid_client", "Client authentication failed.", "unreadable certificate", redirectable=False) from None
    authorizations = context.list_headers(b"authorization")
    if len(authorizations) > 1:
        raise ProtocolError("invalid_request", "There are several Authorization headers.", redirectable=False)
    request = ClientRequest(
        parameters=parameters,
        method=context.method,
        path=context.path,
        authorization=authorizations[0] if authorizations else None,
        dpop=proofs[0] if proofs else None,
        host=(context.header(b"host") or b"").decode("latin-1") if proofs else "",
        certificate=None if told is None else told.der,
        certificate_verified=told is not None and told.verified,
        request_id=context.request_id,
        place=lambda: Place(context.address, context.device),
    )
    return await authentication.authenticate(request)


async def send_protocol_error(send: Send, error: ProtocolError) -> None:
    """Answer with the JSON of RFC 6749 §5.2."""
    status = find_protocol_status(error)
    await send_json(send, status, write_protocol_error(error), write_protocol_headers(error, status))


class TokenEndpoint:
    """``POST /token``."""

    def __init__(self, authentication: ClientAuthentication, tokens: Tokens) -> None:
        self._authentication = authentication
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        try:
            parameters = await read_client_form(context, receive)
            caller = await authenticate_client(self._authentication, context, parameters)
            body = await self._tokens.answer(parameters, caller, context.request_id)
        except ProtocolError as error:
            await send_protocol_error(send, error)
            return
        await send_json(send, 200, body, NOT_CACHED)


class IntrospectionEndpoint:
    """``POST /introspect``, for confidential clients only."""

    def __init__(self, authentication: ClientAuthentication, resources: Resources) -> None:
        self._authentication = authentication
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        try:
            parameters = await read_client_form(context, receive)
            caller = await authenticate_client(self._authentication, context, parameters)
            if caller.client.auth_method is AuthMethod.NONE:
                raise ProtocolError("invalid_client", "Only a client that authenticates may introspect.", redirectable=False)
            signed = SIGNED_TYPE in (context.header(b"accept") or b"").lower()
            kind, body = await self._resources.introspect(parameters, caller.client, signed=signed)
        except ProtocolError as error:
            await send_protocol_error(send, error)
            return
        if kind == SIGNED_TYPE:
            await send_bytes(send, 200, kind, body, NOT_CACHED)
        else:
            await send_json(send, 200, body, NOT_CACHED)


class RevocationEndpoint:
    """``POST /revoke``, for every client, of its own tokens."""

    def __init__(self, authentication: ClientAuthentication, revocation: Revocation) -> None:
        self._authentication = authentication
        self._revocation = revocation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        try:
            parameters = await read_client_form(context, receive)
            caller = await authenticate_client(self._authentication, context, parameters)
            await self._revocation.revoke(parameters, caller.client, context.request_id)
        except ProtocolError as error:
            await send_protocol_error(send, error)
            return
        await send_json(send, 200, b"{}", NOT_CACHED)
