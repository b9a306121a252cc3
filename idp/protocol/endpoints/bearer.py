"""Decides how access tokens arrive at resources of ours, and how we answer when one does not do (RFC 6750, RFC 9449 §7)."""

from starlette.types import Receive, Send

from idp.http.errors import find_protocol_status, write_protocol_error, write_retry_headers
from idp.http.forms import is_form, read_body
from idp.http.request_context import RequestContext
from idp.http.responses import NO_STORE, Header, send_json
from idp.kernel.errors import ProtocolError
from idp.protocol.rules.dpop import DPOP_ALGORITHMS
from idp.protocol.rules.parameters import BadParameters, parse_parameters
from idp.protocol.services.possession import Scheme, TokenUse

MAX_BODY = 16_384
_ALGS = " ".join(DPOP_ALGORITHMS).encode()
CHALLENGES: tuple[Header, ...] = (
    (b"www-authenticate", b'Bearer realm="userinfo"'),
    (b"www-authenticate", b'DPoP algs="' + _ALGS + b'"'),
    NO_STORE,
)
"""What whoever shows nothing is told: without any authentication information, no error code (RFC 6750 §3.1)."""

_UNAUTHORIZED = frozenset({"invalid_dpop_proof", "use_dpop_nonce"})
_SCHEMES = {b"bearer": Scheme.BEARER, b"dpop": Scheme.DPOP}


async def read_token_use(context: RequestContext, receive: Receive) -> TokenUse | None:
    """Return the access token of a request with what proves its key, None without a token; raise ProtocolError ``invalid_request``."""
    authorizations = context.list_headers(b"authorization")
    posted = await _read_posted_token(context, receive) if context.method == "POST" else None
    if len(authorizations) > 1 or (authorizations and posted is not None):
        raise ProtocolError("invalid_request", "The access token was sent in two ways.", redirectable=False)
    if not authorizations:
        return None if posted is None else _make_use(context, posted, Scheme.BEARER)
    scheme, _, token = authorizations[0].partition(b" ")
    known = _SCHEMES.get(scheme.lower())
    return None if known is None else _make_use(context, token.strip().decode("latin-1"), known)


async def send_resource_error(send: Send, error: ProtocolError, use: TokenUse | None) -> None:
    """Answer as RFC 6750 §3 and RFC 9449 §7.1 have it: the challenge is of the scheme that was used."""
    status = 401 if error.error in _UNAUTHORIZED else find_protocol_status(error)
    headers = write_retry_headers(status)
    if status in (401, 403):
        told = b' error="' + error.error.encode() + b'"'
        proves = error.error in _UNAUTHORIZED or (use is not None and use.scheme is Scheme.DPOP)
        headers.append((b"www-authenticate", b"DPoP" + told + b', algs="' + _ALGS + b'"' if proves else b"Bearer" + told))
    await send_json(send, status, write_protocol_error(error), headers)


def _make_use(context: RequestContext, text: str, scheme: Scheme) -> TokenUse:
    try:
        told = context.certificate
    except ValueError:
        told = None
    return TokenUse(
        text=text,
        scheme=scheme,
        method=context.method,
        path=context.path,
        proofs=tuple(context.list_headers(b"dpop")),
        host=(context.header(b"host") or b"").decode("latin-1") if scheme is Scheme.DPOP else "",
        certificate=None if told is None else told.der,
    )


async def _read_posted_token(context: RequestContext, receive: Receive) -> str | None:
    if not is_form(context.header(b"content-type")):
        return None
    try:
        return parse_parameters(await read_body(receive, MAX_BODY)).get("access_token")
    except BadParameters:
        raise ProtocolError("invalid_request", "The parameters cannot be read.", redirectable=False) from None
