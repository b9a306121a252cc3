"""Decides how the provider's metadata and keys are served: bytes made once per set of keys, cacheable for five minutes."""

import json

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from idp.http.cross_origin import ANYBODY
from idp.http.request_context import read_context
from idp.http.responses import send_json
from idp.platform.current_ring import CurrentRing
from idp.protocol.rules.metadata import describe_provider

MAX_AGE = 300
"""Seconds that clients may keep the key set; a pending key waits at least twice as long before its first use (S27)."""

SM2_JWKS_PATH = "/jwks-sm2.json"
"""Where an installation that offers SM2 publishes those keys; announced as ``x_sm2_jwks_uri``."""

HEADERS = ((b"cache-control", b"public, max-age=%d" % MAX_AGE), ANYBODY)


class DiscoveryEndpoint:
    """``GET /.well-known/openid-configuration`` and its OAuth twin (RFC 8414)."""

    def __init__(
        self, issuer: str, ring: CurrentRing, *, registration: bool = False, mtls_origin: str = "", session_management: bool = False
    ) -> None:
        self._issuer = issuer
        self._mtls_origin = mtls_origin
        self._registration = registration
        self._session_management = session_management
        self._ring = ring
        self._made: tuple[tuple[str, ...], bytes] | None = None
        self._sm2_jwks_uri = issuer + SM2_JWKS_PATH if ring.sm2_algorithms else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refuse_other_methods(scope)
        algorithms = self._ring.algorithms
        if self._made is None or self._made[0] != algorithms:
            document = describe_provider(
                self._issuer,
                algorithms,
                registration=self._registration,
                mtls_origin=self._mtls_origin,
                session_management=self._session_management,
            )
            if self._sm2_jwks_uri is not None:
                document["x_sm2_jwks_uri"] = self._sm2_jwks_uri
            self._made = (algorithms, json.dumps(document, separators=(",", ":")).encode())
        await send_json(send, 200, self._made[1], HEADERS)


class JwksEndpoint:
    """``GET /jwks.json`` (RFC 7517 §5); with ``sm2`` the set of SM2 keys, which libraries that do not know the curve must never meet."""

    def __init__(self, ring: CurrentRing, *, sm2: bool = False) -> None:
        self._ring = ring
        self._sm2 = sm2

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refuse_other_methods(scope)
        await send_json(send, 200, self._ring.sm2_jwks if self._sm2 else self._ring.jwks, HEADERS)


def refuse_other_methods(scope: Scope) -> None:
    """Raise HTTPException 405 for anything but GET and HEAD."""
    if read_context(scope).method not in ("GET", "HEAD"):
        raise HTTPException(405, headers={"Allow": "GET, HEAD"})
