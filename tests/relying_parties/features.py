"""Decides what npm openid-client shows of the protocol: one client and one flow for each feature, walked by one signed-in browser."""

import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from idp.app import Services
from idp.kernel.levels import Acr
from idp.protocol.rules.client import AuthMethod, Basis, Client, Entitlement, GrantType
from idp.protocol.rules.client_metadata import BackchannelAuthentication, ClientKeys, Profile, RequestDemands, ResponseProtection
from tests.relying_parties.journey import read_code
from tests.relying_parties.programs import HERE
from tests.support.discipline import find_program
from tests.support.forms import FormsBrowser, Page
from tests.support.real_provider import PASSWORD, Citizen, Department, RealProvider

SECTOR = "features"
ENTITLED = (Entitlement("样例业务", Basis.STATUTORY_DUTY, ("name", "id_document")),)
BY_KEY = {"auth_method": AuthMethod.PRIVATE_KEY_JWT}
BOUND = RequestDemands(dpop_bound_access_tokens=True)

FEATURES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "client_secret_basic": ({}, {}),
    "client_secret_post": ({"auth_method": AuthMethod.SECRET_POST}, {}),
    "client_secret_jwt": ({"auth_method": AuthMethod.SECRET_JWT, "keeps_secret": True}, {}),
    "private_key_jwt": (BY_KEY, {}),
    "form_post": ({}, {}),
    "par": ({"requests": RequestDemands(require_pushed_authorization_requests=True)}, {}),
    "jar": ({**BY_KEY, "requests": RequestDemands(require_signed_request_object=True)}, {}),
    "jarm": ({"responses": ResponseProtection(authorization_signed_response_alg="ES256")}, {"authorization_signed_response_alg": "ES256"}),
    "dpop": ({"requests": BOUND}, {}),
    "refresh": ({"grant_types": frozenset({"authorization_code", "refresh_token"})}, {}),
    "claims": ({}, {}),
    "resource": ({"requests": RequestDemands(allowed_resources=("https://records.example/api",))}, {}),
    "authorization_details": ({"requests": RequestDemands(authorization_details_types=("urn:yizheng:mandate",))}, {}),
    "introspection": ({}, {}),
    "revocation": ({}, {}),
    "signed_userinfo": (
        {"responses": ResponseProtection(userinfo_signed_response_alg="ES256")},
        {"userinfo_signed_response_alg": "ES256"},
    ),
    "encrypted": (
        {"responses": ResponseProtection(id_token_encrypted_response_alg="ECDH-ES", id_token_encrypted_response_enc="A256GCM")},
        {},
    ),
    "fapi2_security_profile": ({**BY_KEY, "profile": Profile.FAPI2, "requests": BOUND}, {}),
    "fapi2_message_signing": (
        {
            **BY_KEY,
            "profile": Profile.FAPI2_MESSAGE_SIGNING,
            "requests": BOUND,
            "responses": ResponseProtection(authorization_signed_response_alg="ES256"),
        },
        {"authorization_signed_response_alg": "ES256"},
    ),
    "device": ({**BY_KEY, "grant_types": frozenset({GrantType.DEVICE_CODE})}, {}),
    "ciba": ({"grant_types": frozenset({GrantType.CIBA})}, {}),
    "fapi_ciba": (
        {
            **BY_KEY,
            "profile": Profile.FAPI2,
            "requests": BOUND,
            "grant_types": frozenset({GrantType.CIBA}),
            "ciba": BackchannelAuthentication(backchannel_authentication_request_signing_alg="ES256"),
        },
        {},
    ),
    "token_exchange": (
        {
            "grant_types": frozenset({GrantType.AUTHORIZATION_CODE, GrantType.TOKEN_EXCHANGE}),
            "resources": ("https://records.example/api",),
            "requests": RequestDemands(allowed_resources=("https://records.example/api",)),
        },
        {},
    ),
}
"""Feature → what the client is registered with, and what the library is told of it."""


@dataclass(frozen=True)
class Came:
    """Where the browser came back: the address, and the body when it posted."""

    url: str
    body: str


class Callback:
    """The clients' one address: keeps what came last."""

    def __init__(self) -> None:
        came: list[Came] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._keep("")

            def do_POST(self) -> None:
                self._keep(self.rfile.read(int(self.headers["content-length"])).decode())

            def _keep(self, body: str) -> None:
                ours = self.path.startswith("/callback")  # browsers also ask for an icon
                if ours:
                    came.append(Came(self.path, body))
                self.send_response(200 if ours else 404)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(b"<p>came</p>")

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._came = came
        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self) -> Came:
        """Return what came, with the whole address."""
        last = self._came.pop()
        return Came(self.url.removesuffix("/callback") + last.url, last.body)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class Library:
    """The Node process with the library."""

    def __init__(self) -> None:
        command = [find_program("node") or "node", "features.mjs"]
        environ = {"PATH": os.environ["PATH"]}
        self._process = subprocess.Popen(
            command, cwd=HERE / "openid_client", env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **command: Any) -> dict[str, Any]:
        """Give one command and return the answer."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass
class Walk:
    """Everything that walks the features needs: provider, library, callback and a browser that is signed in after the first one."""

    provider: RealProvider
    library: Library
    callback: Callback
    citizen: Citizen
    browser: FormsBrowser

    def walk(self, feature: str) -> dict[str, Any]:
        """Walk one feature; return what the library found, ``failed`` when it did not like something."""
        begun = self.begin(feature)
        if "failed" in begun:
            return begun
        if "userCode" in begun:
            self._answer(begun["userCode"])
            return self.library.ask(do="finish", feature=feature)
        page = self._sign_in(self.browser.get(begun["url"]))
        if page.forms and page.forms[0].action == self.callback.url:
            self.browser.submit(page.forms[0])  # form_post, without scripts
        came = self.callback.take()
        return self.library.ask(do="finish", feature=feature, url=came.url, body=came.body)

    def begin(self, feature: str) -> dict[str, Any]:
        """Let the library begin; return where the browser goes."""
        _, metadata = FEATURES[feature]
        department = self.provider.departments[name_client(feature)]
        return self.library.ask(
            do="begin",
            feature=feature,
            issuer=self.provider.issuer,
            clientId=department.client_id,
            secret=department.secret,
            callback=self.callback.url,
            metadata=metadata,
            person=self.citizen.document,
        )

    def _answer(self, user_code: str | None) -> None:
        """Say yes on the person's own device: to the terminal with this code, or to what waits in the account."""
        if user_code is None:
            page = self._sign_in(self.browser.get(self.provider.issuer + "/account/requests"))
            end = time.monotonic() + 30
            while not any(form.action.endswith("/account/requests") for form in page.forms):  # reached after the answer to the counter
                assert time.monotonic() < end, "the request never reached the person"
                page = self.browser.get(self.provider.issuer + "/account/requests")
            page = self.browser.submit(next(form for form in page.forms if form.action.endswith("/account/requests")))
        else:
            page = self.browser.get(self.provider.issuer + "/device")
            page = self._sign_in(self.browser.submit(page.find_form("user_code"), user_code=user_code))
        self.browser.submit(page.find_form("shown"), answer="approve")

    def _sign_in(self, page: Page) -> Page:
        if not any("identifier" in form.fields for form in page.forms):
            return page
        page = self.browser.submit(page.find_form("identifier"), identifier=self.citizen.document, password=PASSWORD)
        return self.browser.submit(page.find_form("code"), code=read_code(self.provider, self.citizen.phone))


def name_client(feature: str) -> str:
    """Return the id of the client that shows a feature."""
    return f"feature-{feature.replace('_', '-')}"


async def register(provider: RealProvider, keys: dict[str, Any], address: str) -> None:
    """Register a client for each feature, with the library's public keys."""

    async def add(services: Services) -> None:
        for feature, (fields, _) in FEATURES.items():
            client_id = name_client(feature)
            given: dict[str, Any] = {
                "client_id": client_id,
                "name": f"样例部门 {feature}",
                "sector": SECTOR,
                "redirect_uris": (address,),
                "grant_types": frozenset({"authorization_code"}),
                "scopes": ("profile", "real_name", "identity"),
                "entitlements": ENTITLED,
                "minimum_acr": Acr.SUBSTANTIAL,
                "status": "live",
                "keys": ClientKeys(jwks=json.dumps(keys)),
                **fields,
            }
            async with services.platform.database.transaction() as tx:
                secret = await services.clients.add(tx, Client(**given), actor="show")
            provider.departments[client_id] = Department(client_id, secret or "")

    await provider.seed(add)


@contextmanager
def start_library() -> Iterator[tuple[Library, Callback]]:
    """Start the Node process and the address that browsers come back to."""
    library, callback = Library(), Callback()
    try:
        yield library, callback
    finally:
        callback.stop()
        library.stop()
