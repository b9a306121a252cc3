"""Decides what a department's website does with a sign-in: six routes on Authlib's Starlette client.

Read ``build_app`` first. Everything OpenID Connect asks of a relying party (state, nonce, PKCE, the ID Token's signature,
issuer, audience and times) is done by Authlib; a department writes the few lines below and ``logout_token.py`` and nothing else.
"""

import json
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import InvalidKeyIdError, JoseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from examples.department.logout_token import BadLogoutToken, LoggedOut, LogoutTokens

HERE = Path(__file__).parent
SIGN_IN_FAULTS = (OAuthError, JoseError, httpx2.HTTPError)
MOST_SIGNED_IN = 10_000
LARGEST_LOGOUT = 16_384
log = logging.getLogger("department")


@dataclass(frozen=True)
class Department:
    """One website. ``address`` is its own origin.

    Registered at the provider: ``{address}/callback``, ``{address}/`` and ``{address}/backchannel-logout``.
    """

    issuer: str
    client_id: str
    client_secret: str
    address: str
    title: str
    subtitle: str = ""
    scope: str = "openid profile"
    theme: str = "pine"


class Website:
    """The pages, each a method named after its route."""

    def __init__(self, department: Department) -> None:
        self.department = department
        self.templates = Jinja2Templates(HERE / "templates")
        # The browser holds a random key, what it opens is here: so the provider can end a sign-in that the browser knows nothing of.
        self.signed_in: dict[str, dict[str, Any]] = {}
        self.logout_tokens = LogoutTokens(department.issuer, department.client_id)
        self.provider = OAuth().register(
            "yizheng",
            server_metadata_url=f"{department.issuer}/.well-known/openid-configuration",
            client_id=department.client_id,
            client_secret=department.client_secret,
            client_kwargs={"scope": department.scope, "code_challenge_method": "S256"},
        )

    async def home(self, request: Request) -> Response:
        """Show who is signed in, or the way in."""
        return self.show(request)

    async def login(self, request: Request) -> Response:
        """Send the browser to the provider; Authlib keeps state, nonce and PKCE verifier in the session."""
        try:
            return await self.provider.authorize_redirect(request, f"{self.department.address}/callback")
        except SIGN_IN_FAULTS as fault:
            return self.show_fault(request, fault)

    async def callback(self, request: Request) -> Response:
        """Take the code, check the ID Token, read the released data, and start a session of our own."""
        try:
            token = await self.provider.authorize_access_token(request)
            claims = token["userinfo"]
            released = await self.provider.userinfo(token=token)
        except SIGN_IN_FAULTS as fault:
            return self.show_fault(request, fault)
        if released["sub"] != claims["sub"]:  # OpenID Connect Core §5.3.2
            return self.show_fault(request, ValueError("the user info is about somebody else"))
        self.forget(request)
        if len(self.signed_in) >= MOST_SIGNED_IN:
            self.signed_in.pop(next(iter(self.signed_in)))
        key = secrets.token_urlsafe(32)
        self.signed_in[key] = {"claims": {**claims, **released}, "sid": claims.get("sid"), "id_token": token["id_token"]}
        request.session["key"] = key
        return RedirectResponse("/", status_code=303)

    async def logout(self, request: Request) -> Response:
        """End our session first, then the provider's: it ends the person's other sign-ins and comes back to our first page."""
        id_token = self.forget(request).get("id_token")
        try:
            return await self.provider.logout_redirect(request, f"{self.department.address}/", id_token)
        except (RuntimeError, httpx2.HTTPError) as fault:
            return self.show_fault(request, fault)

    async def backchannel_logout(self, request: Request) -> Response:
        """Take the provider's word that a sign-in ended, and end what we opened on it (OpenID Connect Back-Channel Logout §2.6 to §2.8)."""
        body = await request.body()
        token = parse_qs(body[:LARGEST_LOGOUT].decode("ascii", "replace")).get("logout_token", [""])[0]
        try:
            ended = await self.read_logout_token(token)
        except (BadLogoutToken, httpx2.HTTPError) as fault:
            log.warning("logout token refused: %s", fault)
            return Response(status_code=400, headers={"Cache-Control": "no-store"})
        for key, known in list(self.signed_in.items()):
            if known["sid"] == ended.sid if ended.sid is not None else known["claims"]["sub"] == ended.sub:
                del self.signed_in[key]
        return Response(headers={"Cache-Control": "no-store"})

    async def read_logout_token(self, token: str) -> LoggedOut:
        """Check a logout token with the provider's keys; read them again when it names one that is new."""
        try:
            return self.logout_tokens.read(token, await self.provider.fetch_jwk_set())
        except InvalidKeyIdError:
            return self.logout_tokens.read(token, await self.provider.fetch_jwk_set(force=True))

    def forget(self, request: Request) -> dict[str, Any]:
        """End our own session; return what it knew."""
        known = self.signed_in.pop(request.session.get("key", ""), {})
        request.session.clear()
        return known

    def show(self, request: Request, *, fault: str = "", status: int = 200) -> Response:
        """Render the one page there is. ``sub`` is how this department knows the person: keep it as the key of its users."""
        claims = self.signed_in.get(request.session.get("key", ""), {}).get("claims")
        values = {
            "department": self.department,
            "claims": claims,
            "claims_json": json.dumps(claims, ensure_ascii=False, indent=2),
            "fault": fault,
        }
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'"}
        return self.templates.TemplateResponse(request, "page.html", values, status_code=status, headers=headers)

    def show_fault(self, request: Request, fault: Exception) -> Response:
        """Say that the sign-in did not work and offer it again; the reason goes to the log."""
        log.warning("sign-in failed: %s", fault)
        code = getattr(fault, "error", "")
        return self.show(request, fault="declined" if code == "access_denied" else "failed", status=400)


def build_app(department: Department) -> Starlette:
    """Return the website as an ASGI application."""
    website = Website(department)
    port = department.address.rpartition(":")[2]
    return Starlette(
        routes=[
            Route("/", website.home),
            Route("/login", website.login),
            Route("/callback", website.callback),
            Route("/logout", website.logout, methods=["POST"]),
            Route("/backchannel-logout", website.backchannel_logout, methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            # Cookies do not know ports: two departments on one host need two names. A new secret at each start signs everyone out here.
            Middleware(SessionMiddleware, secret_key=secrets.token_hex(32), session_cookie=f"department_{port}", max_age=None),
        ],
    )
