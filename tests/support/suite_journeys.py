"""Journeys of a conformance suite against ``idp demo --conformance``: what a configuration says, done from outside, over https."""

import contextlib
import json
import ssl
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.support.suite import Suite, SuiteBrowser, SuiteClient, SuiteFailed

ALIAS = "/test/a/yizheng"
PATIENCE = 20.0
CIBA = "urn:openid:params:grant-type:ciba"


@dataclass
class Target:
    """The provider of a run: the folder with its configurations, and the suite that is used against it."""

    folder: Path
    suite: Suite
    trusting: ssl.SSLContext
    opened: contextlib.ExitStack
    """What is closed at the end."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, suite: Suite) -> Iterator["Target"]:
        """Trust the provider's authority and the suite's, and nobody else."""
        trusting = ssl.create_default_context(cafile=str(folder / "authority.pem"))
        trusting.load_verify_locations(suite.authority)
        with contextlib.ExitStack() as opened:
            yield cls(folder, suite, trusting, opened)

    @property
    def callback(self) -> str:
        """Where the suite takes answers."""
        return f"{self.suite.origin}{ALIAS}/callback"

    def read(self, plan: str) -> dict[str, Any]:
        """Return the configuration of a plan."""
        configuration: dict[str, Any] = json.loads((self.folder / f"{plan}.json").read_text(encoding="utf-8"))
        return configuration

    def open_browser(self, plan: str, module: str = "") -> SuiteBrowser:
        """Return the browser of one module."""
        return SuiteBrowser(self.read(plan), module, self.trusting)

    def open_client(self, plan: str, name: str = "client") -> SuiteClient:
        """Return a client of a plan."""
        client = SuiteClient(self.read(plan), self.trusting, name)
        self.opened.callback(client.close)
        return client


@dataclass
class Registered:
    """A client that registered itself, and its browser."""

    target: Target
    browser: SuiteBrowser
    metadata: dict[str, Any]
    http: httpx2.Client
    client: dict[str, Any]

    def ask(self, **changes: str) -> dict[str, str]:
        """Send the browser to the authorization endpoint by the configuration's commands; return what the suite got."""
        before = len(self.target.suite.received)
        self.browser.visit(self.make_address(**changes))
        if len(self.target.suite.received) == before:
            raise SuiteFailed(f"nothing came back: {self.browser.page.url}")
        return self.target.suite.received[-1][2]

    def make_address(self, **changes: str) -> str:
        """Return the address of an authorization request."""
        scope = "openid profile email address phone"
        usual = {"client_id": self.client["client_id"], "redirect_uri": self.target.callback, "response_type": "code", "scope": scope}
        query = urllib.parse.urlencode({**usual, "state": "state-1", "nonce": "nonce-1", **changes})
        return f"{self.metadata['authorization_endpoint']}?{query}"

    def redeem(self, code: str) -> dict[str, Any]:
        """Redeem a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.target.callback}
        answer = self.http.post(self.metadata["token_endpoint"], data=form, auth=(self.client["client_id"], self.client["client_secret"]))
        tokens: dict[str, Any] = answer.raise_for_status().json()
        return tokens

    def read_userinfo(self, access_token: str) -> dict[str, Any]:
        """Read UserInfo."""
        answer = self.http.get(self.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {access_token}"})
        told: dict[str, Any] = answer.raise_for_status().json()
        return told

    def leave(self, **parameters: str) -> str:
        """Send the browser to the end-session endpoint and return where that ends."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        return self.browser.visit(self.metadata["end_session_endpoint"] + query).url


def register(target: Target, module: str = "") -> Registered:
    """Register a client as the suite does for a module."""
    configuration = target.read("dynamic")
    http = target.opened.enter_context(httpx2.Client(verify=target.trusting, trust_env=False))
    metadata = http.get(configuration["server"]["discoveryUrl"]).raise_for_status().json()
    document = {
        "client_name": f"{configuration['client']['client_name']} {module}",
        "redirect_uris": [target.callback],
        "post_logout_redirect_uris": [f"{target.suite.origin}{ALIAS}/post_logout_redirect"],
        "backchannel_logout_uri": f"{target.suite.origin}{ALIAS}/backchannel_logout",
        "frontchannel_logout_uri": f"{target.suite.origin}{ALIAS}/frontchannel_logout",
    }
    client = http.post(metadata["registration_endpoint"], json=document).raise_for_status().json()
    return Registered(target, SuiteBrowser(configuration, module, target.trusting), metadata, http, client)


def list_addresses(metadata: dict[str, Any]) -> dict[str, str]:
    """Return every address of the metadata by its name."""
    aliases = {f"mtls {name}": address for name, address in metadata.get("mtls_endpoint_aliases", {}).items()}
    named = {name: value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri", "_iframe")) or name == "issuer"}
    return {name: value for name, value in named.items() if isinstance(value, str)} | aliases


def get_tokens(target: Target, plan: str, module: str = "", **changes: str) -> tuple[SuiteClient, SuiteBrowser, dict[str, Any]]:
    """Walk PAR, the pages and the token endpoint with the first client of a FAPI 2 plan; return it, its browser and its tokens."""
    signed = plan == "message-signing"
    changes = {"redirect_uri": target.callback, **({"response_mode": "jwt"} if signed else {}), **changes}
    client, browser = target.open_client(plan), target.open_browser(plan, module)
    address, verifier = client.push(signed, **changes)
    browser.visit(address)
    got = target.suite.find("callback")
    if signed:
        got = client.read_signed(got["response"])
    if got.get("state") != "state-1" or got.get("iss") != client.metadata["issuer"] or "code" not in got:
        raise SuiteFailed(f"{plan}: {got}")
    form = {"grant_type": "authorization_code", "code": got["code"], "redirect_uri": changes["redirect_uri"], "code_verifier": verifier}
    answer = client.ask("token_endpoint", **form)
    if answer.status_code != 200:
        raise SuiteFailed(f"{plan}: {answer.status_code} {answer.text}")
    return client, browser, answer.json()


def ask_at_the_counter(target: Target, plan: str, action: str) -> tuple[SuiteClient, httpx2.Response]:
    """Ask a person by CIBA, let the configuration's address answer for them, and return what the token endpoint says then.

    The second client asks, since the suite lets that one ask for the ``acr_value`` of its configuration.
    """
    configuration, client = target.read(plan), target.open_client(plan, "client2")
    pinged = {"client_notification_token": "n" * 40} if plan == "ciba-ping" else {}
    given = configuration["client2"]
    hint = {"login_hint": given["hint_value"], "binding_message": "1234", "acr_values": given["acr_value"]}
    asked = client.ask("backchannel_authentication_endpoint", request=client.sign_request(scope=client.scope, **hint, **pinged))
    request_id = asked.raise_for_status().json()["auth_req_id"]
    address = configuration["automated_ciba_approval_url"].replace("{auth_req_id}", request_id).replace("{action}", action)
    client.call("POST", address).raise_for_status()
    if pinged:
        await_call(target.suite, "ciba-notification-endpoint")
    return client, client.ask("token_endpoint", grant_type=CIBA, auth_req_id=request_id)


def await_call(suite: Suite, end: str) -> dict[str, str]:
    """Return what came to an address of the suite; SuiteFailed when nothing does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if any(path.endswith(f"/{end}") for _, path, _ in suite.received):
            break
        time.sleep(0.1)
    return suite.find(end)
