"""Decides what scripts on other sites' pages may ask: what knows no cookie, of anybody, and nothing else (Fetch §3.3, RFC 9700 §2.6)."""

from collections.abc import Collection, Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from idp.http.request_context import read_context
from idp.http.responses import Header

ANYBODY: Final[Header] = (b"access-control-allow-origin", b"*")
"""Every origin, so never with what a browser adds by itself: cookies, or the certificate of its connection."""

SHOWN: Final[tuple[Header, ...]] = (ANYBODY, (b"access-control-expose-headers", b"dpop-nonce, www-authenticate, retry-after"))
"""What a script needs to see beside the body: the nonce for its next proof, and why a token did not do (RFC 9449 §8, RFC 6750 §3)."""

PREFLIGHT: Final[tuple[Header, ...]] = (
    ANYBODY,
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, dpop"),
    (b"access-control-max-age", b"7200"),
    (b"allow", b"GET, HEAD, POST, OPTIONS"),
)
"""What a browser asks before it sends a token in a header; 7,200 seconds are the longest that one of them keeps it."""


class OpenToScripts:
    """An endpoint that answers the browser's question beforehand, and lets a script read every answer, refusals too.

    ``shown`` is added for a script alone. A document that caches keep says always whom it is for, so nothing is added to it.
    """

    __slots__ = ("_endpoint", "_shown")

    def __init__(self, endpoint: ASGIApp, shown: tuple[Header, ...] = SHOWN) -> None:
        self._endpoint = endpoint
        self._shown = shown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        context = read_context(scope)
        if context.method == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": PREFLIGHT})
            await send({"type": "http.response.body", "body": b""})
            return
        if self._shown and context.header(b"origin") is not None:
            context.response_headers.extend(self._shown)
        await self._endpoint(scope, receive, send)


def open_to_scripts(endpoints: Mapping[str, ASGIApp], asked: Collection[str], documents: Collection[str]) -> dict[str, ASGIApp]:
    """Return the endpoints, those of these paths open to scripts of other sites: ``documents`` carry ``ANYBODY`` by themselves."""
    opened = dict(endpoints)
    opened.update({path: OpenToScripts(opened[path]) for path in asked})
    opened.update({path: OpenToScripts(opened[path], ()) for path in documents})
    return opened
