"""Decides what an app (or a mini-program) with web views does: one sign-in, then a front ticket for every department that it opens.

The server half stands for the mini-program's own server; the page and its script stand for the app on the phone. The script makes the
device's verifier and keeps it; the server exchanges the app's token for a ticket and never learns the verifier.
"""

import json
import logging
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

HERE = Path(__file__).parent
FAULTS = (OAuthError, JoseError, httpx2.HTTPError)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
FRONT_TICKET = "urn:yizheng:params:oauth:token-type:front-ticket"
SPARE_SECONDS = 30
LARGEST_BODY = 2_000
log = logging.getLogger("app")


@dataclass(frozen=True)
class App:
    """One app. ``targets`` are the departments it opens: client id and name. Registered: ``{address}/callback`` and ``{address}/``."""

    issuer: str
    client_id: str
    client_secret: str
    address: str
    title: str
    targets: tuple[tuple[str, str], ...]
    scope: str = "openid real_name device_sso"


@dataclass
class SignedIn:
    """What the app's server keeps of one phone. A real one keeps it sealed, and the device secret in the phone's keychain."""

    access_token: str
    refresh_token: str
    good_until: float
    id_token: str
    claims: dict[str, Any] = field(repr=False)


class TicketRefused(Exception):
    """The provider gave no ticket; ``error`` is its word."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class AppServer:
    """The routes, each a method of its name."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.templates = Jinja2Templates(HERE / "templates")
        self.phones: dict[str, SignedIn] = {}
        self.provider = OAuth().register(
            "yizheng",
            server_metadata_url=f"{app.issuer}/.well-known/openid-configuration",
            client_id=app.client_id,
            client_secret=app.client_secret,
            client_kwargs={"scope": app.scope, "code_challenge_method": "S256"},
        )

    async def home(self, request: Request) -> Response:
        """Show the services, or the one button of an app that nobody is signed in to."""
        phone = self.phones.get(request.session.get("phone", ""))
        values = {"app": self.app, "claims": phone.claims if phone else None, "fault": request.query_params.get("fault") == "1"}
        policy = "default-src 'self'; frame-ancestors 'none'"
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": policy}
        return self.templates.TemplateResponse(request, "app.html", values, headers=headers)

    async def login(self, request: Request) -> Response:
        """Send the phone's browser to the provider."""
        try:
            return await self.provider.authorize_redirect(request, f"{self.app.address}/callback")
        except FAULTS as fault:
            return self.fail(fault)

    async def callback(self, request: Request) -> Response:
        """Take the code: from now on the app is signed in by itself, whatever becomes of the browser."""
        try:
            token = await self.provider.authorize_access_token(request)
            claims = await self.provider.userinfo(token=token)
        except FAULTS as fault:
            return self.fail(fault)
        key = secrets.token_urlsafe(32)
        good_until = time.time() + token["expires_in"]
        self.phones[key] = SignedIn(token["access_token"], token["refresh_token"], good_until, token["id_token"], dict(claims))
        request.session["phone"] = key
        return RedirectResponse("/", status_code=303)

    async def ticket(self, request: Request) -> Response:
        """Exchange the app's token for a ticket that only this phone can use: its page sent the challenge and keeps the verifier."""
        phone = self.phones.get(request.session.get("phone", ""))
        body = await request.body()
        if phone is None or len(body) > LARGEST_BODY or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return JSONResponse({"error": "not_signed_in"}, 401)
        asked = json.loads(body)
        if asked.get("target") not in {client_id for client_id, _ in self.app.targets}:
            return JSONResponse({"error": "unknown_target"}, 400)
        try:
            await self.refresh(phone)
            answer = await self.post(
                {
                    "grant_type": EXCHANGE,
                    "subject_token": phone.access_token,
                    "subject_token_type": ACCESS_TOKEN,
                    "requested_token_type": FRONT_TICKET,
                    "audience": asked["target"],
                    "code_challenge": str(asked.get("code_challenge", "")),
                    "code_challenge_method": "S256",
                }
            )
        except (TicketRefused, httpx2.HTTPError) as fault:
            log.warning("no ticket: %s", fault)
            if isinstance(fault, TicketRefused) and fault.error in ("invalid_grant", "invalid_request"):
                self.phones.pop(request.session.get("phone", ""), None)  # signed out elsewhere
            return JSONResponse({"error": "signed_out"}, 409)
        return JSONResponse({"ticket": answer["access_token"], "enter": f"{self.app.issuer}/enter"}, headers={"Cache-Control": "no-store"})

    async def logout(self, request: Request) -> Response:
        """Forget the phone, then end the sign-in at the provider."""
        phone = self.phones.pop(request.session.get("phone", ""), None)
        request.session.clear()
        return await self.provider.logout_redirect(request, f"{self.app.address}/", phone.id_token if phone else None)

    async def refresh(self, phone: SignedIn) -> None:
        """Get a fresh access token when the old one is about to end."""
        if time.time() < phone.good_until - SPARE_SECONDS:
            return
        answer = await self.post({"grant_type": "refresh_token", "refresh_token": phone.refresh_token})
        phone.access_token, phone.refresh_token = answer["access_token"], answer["refresh_token"]
        phone.good_until = time.time() + answer["expires_in"]

    async def post(self, form: dict[str, str]) -> dict[str, Any]:
        """Ask the token endpoint as this app's server."""
        metadata = await self.provider.load_server_metadata()
        async with httpx2.AsyncClient(timeout=10) as client:
            answer = await client.post(metadata["token_endpoint"], data=form, auth=(self.app.client_id, self.app.client_secret))
        read: dict[str, Any] = answer.json()
        if answer.status_code != 200:
            raise TicketRefused(read.get("error", "broken"))
        return read

    def fail(self, fault: Exception) -> Response:
        """Go back to the first page, which says that it did not work; the reason goes to the log."""
        log.warning("sign-in failed: %s", fault)
        return RedirectResponse("/?fault=1", status_code=303)


def build_app(app: App) -> Starlette:
    """Return the app's server as an ASGI application."""
    server = AppServer(app)
    return Starlette(
        routes=[
            Route("/", server.home),
            Route("/login", server.login),
            Route("/callback", server.callback),
            Route("/ticket", server.ticket, methods=["POST"]),
            Route("/logout", server.logout, methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(
                SessionMiddleware, secret_key=secrets.token_hex(32), session_cookie=f"app_{urlsplit(app.address).port}", max_age=None
            ),
        ],
    )
