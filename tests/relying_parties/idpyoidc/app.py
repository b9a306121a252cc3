"""Decides how the sample site signs people in with idpyoidc's RPHandler: discovery, PKCE, UserInfo, RP-initiated logout.

ISSUER=… CLIENT_ID=… CLIENT_SECRET=… PORT=… python app.py
"""

import json
import os
import secrets
from html import escape
from urllib.parse import parse_qs, urlsplit

import uvicorn
from cryptojwt import KeyJar
from idpyoidc.client.rp_handler import RPHandler
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

ISSUER, PORT = os.environ["ISSUER"], int(os.environ["PORT"])
HOME = f"http://127.0.0.1:{PORT}"

CONFIGURATION = {
    "client_type": "oidc",
    "issuer": ISSUER,
    "client_id": os.environ["CLIENT_ID"],
    "client_secret": os.environ["CLIENT_SECRET"],
    "redirect_uris": [f"{HOME}/callback"],
    "post_logout_redirect_uris": [f"{HOME}/"],
    "response_types_supported": ["code"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "scopes_supported": ["openid", "profile", "real_name"],
    "services": {
        "discovery": {"class": "idpyoidc.client.oidc.provider_info_discovery.ProviderInfoDiscovery"},
        "authorization": {"class": "idpyoidc.client.oidc.authorization.Authorization"},
        "accesstoken": {"class": "idpyoidc.client.oidc.access_token.AccessToken"},
        "userinfo": {"class": "idpyoidc.client.oidc.userinfo.UserInfo"},
        "end_session": {"class": "idpyoidc.client.oidc.end_session.EndSession"},
    },
    "add_ons": {
        "pkce": {
            "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
            "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
        }
    },
}

# A client with a secret needs no keys; without an empty jar the handler makes some and writes them to files.
handler = RPHandler(base_url=HOME, client_configs={ISSUER: CONFIGURATION}, keyjar=KeyJar(), httpc_params={"timeout": 10})


def show_home(request: Request) -> Response:
    """Show what arrived and the way out, or the way in."""
    signed_in = request.session.get("signed_in")
    if not signed_in:
        return HTMLResponse(frame('<p><a id="sign-in" href="/sign-in">登录</a></p>'))
    id_token, userinfo = (json.dumps(signed_in[what], ensure_ascii=False) for what in ("id_token", "userinfo"))
    return HTMLResponse(
        frame(
            f'<p>登录的是 <b id="who">{escape(signed_in["userinfo"]["name"])}</b></p>'
            f'<pre id="id-token">{escape(id_token)}</pre><pre id="userinfo">{escape(userinfo)}</pre>'
            '<p><a id="sign-out" href="/sign-out">退出</a></p>'
        )
    )


def begin(request: Request) -> Response:
    """Send the browser to the province; ``/silent`` asks for no page."""
    further = {"prompt": "none"} if request.url.path == "/silent" else {}
    address = handler.begin(issuer_id=ISSUER, req_args=further)
    # The handler knows the states of everybody; which of them is this browser's is ours to keep.
    request.session["state"] = parse_qs(urlsplit(address).query)["state"][0]
    return RedirectResponse(address, 303)


def finish(request: Request) -> Response:
    """Redeem the code and read UserInfo."""
    state = request.session.pop("state", None)
    if state is None or request.query_params.get("state") != state:
        return refuse("state")
    result = handler.finalize(ISSUER, dict(request.query_params))
    if "error" in result:
        return refuse(result["error"])
    request.session["signed_in"] = {
        "state": result["state"],
        "id_token": result["id_token"].to_dict(),
        "userinfo": result["userinfo"].to_dict(),
    }
    return RedirectResponse("/", 303)


def sign_out(request: Request) -> Response:
    """End our own session, then the province's; the handler adds the ID Token as the hint."""
    signed_in = request.session.pop("signed_in", None)
    if not signed_in:
        return RedirectResponse("/", 303)
    return RedirectResponse(handler.logout(signed_in["state"], post_logout_redirect_uri=f"{HOME}/")["url"], 303)


def refuse(code: str) -> Response:
    """Say why nobody is signed in, and offer to start again."""
    return HTMLResponse(frame(f'<p id="error">{escape(code)}</p><p><a id="sign-in" href="/sign-in">再试一次</a></p>'), 403)


def frame(content: str) -> str:
    """Return a page."""
    return f'<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>样例部门</title></head><body>{content}</body></html>'


routes = [
    Route("/", show_home),
    Route("/sign-in", begin),
    Route("/silent", begin),
    Route("/callback", finish),
    Route("/sign-out", sign_out),
]
sessions = Middleware(SessionMiddleware, secret_key=secrets.token_hex(32), session_cookie="idpyoidc", https_only=False)
app = Starlette(routes=routes, middleware=[sessions])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
