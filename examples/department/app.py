"""Decides what a department's website does with a sign-in: five routes on Authlib's Starlette client.

Read ``build_app`` first. Everything OpenID Connect asks of a relying party (state, nonce, PKCE, the ID Token's signature,
issuer, audience and times) is done by Authlib; a department writes the few lines below and nothing else.
"""

import json
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

HERE = Path(__file__).parent
SIGN_IN_FAULTS = (OAuthError, JoseError, httpx2.HTTPError)
log = logging.getLogger("department")


@dataclass(frozen=True)
class Department:
    """One website. ``address`` is its own origin; ``{address}/callback`` and ``{address}/`` are registered at the provider."""

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
        request.session.clear()
        request.session.update(claims={**claims, **released}, id_token=token["id_token"])
        return RedirectResponse("/", status_code=303)

    async def logout(self, request: Request) -> Response:
        """End our session first, then the provider's: it ends the person's other sign-ins and comes back to our first page."""
        id_token = request.session.get("id_token")
        request.session.clear()
        try:
            return await self.provider.logout_redirect(request, f"{self.department.address}/", id_token)
        except (RuntimeError, httpx2.HTTPError) as fault:
            return self.show_fault(request, fault)

    def show(self, request: Request, *, fault: str = "", status: int = 200) -> Response:
        """Render the one page there is. ``sub`` is how this department knows the person: keep it as the key of its users."""
        claims = request.session.get("claims")
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
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            # Cookies do not know ports: two departments on one host need two names. A new secret at each start signs everyone out here.
            Middleware(SessionMiddleware, secret_key=secrets.token_hex(32), session_cookie=f"department_{port}", max_age=None),
        ],
    )
