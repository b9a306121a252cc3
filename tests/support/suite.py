"""A conformance suite as a provider meets it: its https addresses, its browser that obeys the configuration's commands, its clients.

Only what the configurations of ``idp demo --conformance`` use is understood, and everything else is an error, as it is there.
"""

import base64
import contextlib
import hashlib
import html.parser
import json
import re
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, RSAKey

from idp.demo.certificates import CertificateFolder
from idp.kernel.clock import read_system_random
from tests.support.forms import Form, FormsBrowser, Page

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ARRIVED = b'<!doctype html><html><body><p id="submission_complete">done</p></body></html>'


class SuiteFailed(AssertionError):
    """The suite would have failed here."""


@dataclass
class Suite:
    """The suite's own addresses. ``received``: (method, path, parameters) of everything that came."""

    origin: str
    authority: Path
    received: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def find(self, end: str) -> dict[str, str]:
        """Return the newest parameters that came to ``/test/a/…/end``."""
        for _, path, parameters in reversed(self.received):
            if path.endswith(f"/{end}"):
                return parameters
        raise SuiteFailed(f"nothing came to {end}: {self.received}")


@contextlib.contextmanager
def run_suite(folder: Path, port: int) -> Iterator[Suite]:
    """Serve the suite's addresses at ``https://localhost:port``, with a certificate of an authority that nobody else knows."""
    certificates = CertificateFolder(folder)
    suite = Suite(f"https://localhost:{port}", certificates.authority)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._take("")

        def do_POST(self) -> None:
            self._take(self.rfile.read(int(self.headers.get("content-length", "0"))).decode())

        def _take(self, body: str) -> None:
            parts = urllib.parse.urlsplit(self.path)
            given = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)) | dict(urllib.parse.parse_qsl(body))
            suite.received.append((self.command, parts.path, given))
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(ARRIVED)))
            self.end_headers()
            self.wfile.write(ARRIVED)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.make_server("suite", ["localhost"]))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield suite
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@dataclass
class Element:
    """An element of a page: what commands find and what clicking it means."""

    tag: str
    given: dict[str, str]
    form: Form | None
    text: str = ""


class Elements(html.parser.HTMLParser):
    """The elements of a page in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Element] = []
        self._form: Form | None = None
        self._open: list[Element] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
        element = Element(tag, given, self._form)
        self.found.append(element)
        if tag == "input" and self._form is not None and given.get("name"):
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._form.fields[given["name"]] = given.get("value", "")
        elif tag not in ("input", "meta", "link", "img", "br", "hr", "path", "circle"):
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        if tag == "form":
            self._form = None
        if tag in (element.tag for element in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Keep the text of the elements around it."""
        for element in self._open:
            element.text += data

    def find(self, kind: str, target: str) -> Element | None:
        """Return the first element of a selector: an id, a name, or of CSS a tag with an attribute at most."""
        if kind in ("id", "name"):
            return next((element for element in self.found if element.given.get(kind) == target), None)
        match = re.fullmatch(r"([a-z0-9]+)(?:\[([a-z-]+)\])?", target)
        if kind != "css" or match is None:
            raise SuiteFailed(f"no such selector is understood: {kind} {target}")
        return next((e for e in self.found if e.tag == match[1] and (match[2] is None or match[2] in e.given)), None)


class SuiteBrowser:
    """The suite's browser for one module: it obeys the ``browser`` of a configuration, or the module's own in ``override``."""

    def __init__(self, configuration: dict[str, Any], module: str, trusting: ssl.SSLContext) -> None:
        chosen = configuration.get("override", {}).get(module, configuration)
        self._blocks = [dict(block) for block in json.loads(json.dumps(chosen["browser"]))]
        self._browser = FormsBrowser(trusting)
        self.shown: list[str] = []
        """Pages that were kept as evidence: their first heading."""
        self.skipped: list[str] = []

    @property
    def page(self) -> Page:
        """Where it is."""
        if self._browser.page is None:
            raise SuiteFailed("nothing was opened")
        return self._browser.page

    def visit(self, url: str) -> Page:
        """Open an address, do the tasks of the first block that matches, and return where that ends. Raises SuiteFailed."""
        block = next((block for block in self._blocks if fnmatchcase(url, block["match"]) and block.get("match-limit", 1) > 0), None)
        if block is None:
            raise SuiteFailed(f"no block matches {url}")
        if "match-limit" in block:
            block["match-limit"] -= 1
        self._browser.get(url)
        for task in block["tasks"]:
            if fnmatchcase(self.page.url, task.get("match", "*")):
                self._work(task)
            elif task.get("optional"):
                self.skipped.append(task["task"])
            else:
                raise SuiteFailed(f"{task['task']}: {self.page.url} is not {task['match']}\n{self.page.text[:3000]}")
        return self.page

    def _work(self, task: dict[str, Any]) -> None:
        typed: dict[str, str] = {}
        for command, kind, target, *further in task.get("commands", ()):
            element = Elements(self.page.text).find(kind, target)
            if element is None:
                if further and further[-1] == "optional" and command != "wait":
                    continue
                raise SuiteFailed(f"{task['task']}: {self.page.url} has no {kind} {target}\n{self.page.text[:3000]}")
            match command:
                case "text":
                    typed[element.given["name"]] = further[0]
                case "click":
                    self._click(element, typed)
                    typed = {}
                case "wait":
                    self._wait(element, further)
                case _:
                    raise SuiteFailed(f"no such command: {command}")

    def _click(self, element: Element, typed: dict[str, str]) -> None:
        if element.tag == "a":
            self._browser.get(urllib.parse.urljoin(self.page.url, element.given["href"]))
        elif element.tag == "button" and element.form is not None:
            pressed = {element.given["name"]: element.given.get("value", "")} if element.given.get("name") else {}
            self._browser.submit(element.form, **{**typed, **pressed})
        else:
            raise SuiteFailed(f"nothing happens when {element.tag} is clicked")

    def _wait(self, element: Element, further: list[Any]) -> None:
        if len(further) > 1 and not re.search(further[1], element.text.strip()):
            raise SuiteFailed(f"{element.tag} does not say {further[1]}: {element.text}")
        if len(further) > 2:
            if further[2] not in ("update-image-placeholder", "update-image-placeholder-optional"):
                raise SuiteFailed(f"no such action: {further[2]}")
            self.shown.append(element.text.strip())


class SuiteClient:
    """A client of a configuration, which asks the provider directly: ``client`` or ``client2``."""

    def __init__(self, configuration: dict[str, Any], trusting: ssl.SSLContext, name: str = "client") -> None:
        self._given = configuration[name]
        mtls = configuration.get(name.replace("client", "mtls"))
        if mtls is not None:
            trusting = _with_certificate(trusting, mtls)
        self._http = httpx2.Client(verify=trusting, trust_env=False)
        self.metadata: dict[str, Any] = self._http.get(configuration["server"]["discoveryUrl"]).raise_for_status().json()
        self._resource: str = configuration["resource"]["resourceUrl"]
        self._has_certificate = mtls is not None
        self._dpop = ECKey.generate_key("P-256", {"use": "sig"})
        self._nonce = ""

    @property
    def client_id(self) -> str:
        """Its id."""
        client_id: str = self._given["client_id"]
        return client_id

    @property
    def scope(self) -> str:
        """What it asks for."""
        scope: str = self._given["scope"]
        return scope

    def find_endpoint(self, name: str) -> str:
        """Return an address of the metadata: with a certificate the one for clients that have one (RFC 8705 §5)."""
        aliases = self.metadata.get("mtls_endpoint_aliases", {}) if self._has_certificate else {}
        address: str = aliases.get(name, self.metadata[name])
        return address

    def sign(self, claims: dict[str, Any], typ: str = "JWT") -> str:
        """Return a JWS of claims, with the key and the algorithm of the configuration."""
        (written,) = self._given["jwks"]["keys"]
        header = {"alg": written["alg"], "kid": written["kid"], "typ": typ}
        return jws.serialize_compact(header, json.dumps(claims).encode(), RSAKey.import_key(written), algorithms=[written["alg"]])

    def sign_request(self, **parameters: str) -> str:
        """Return a request object (RFC 9101, and CIBA §7.1.1)."""
        now = int(time.time())
        stamps = {"iat": now, "nbf": now, "exp": now + 50, "jti": read_system_random(16).hex()}
        claims = {"iss": self.client_id, "aud": self.metadata["issuer"], **stamps, **parameters}
        return self.sign(claims, "oauth-authz-req+jwt")

    def ask(self, endpoint: str, **form: str) -> httpx2.Response:
        """Post to an endpoint of the metadata as this client; with a proof of possession unless it has a certificate."""
        address = self.find_endpoint(endpoint)
        for _ in range(2):
            answer = self._http.post(address, data={**form, **self._authenticate()}, headers=self._prove("POST", address))
            if answer.headers.get("dpop-nonce", self._nonce) == self._nonce:
                break
            self._nonce = answer.headers["dpop-nonce"]
            if answer.status_code < 400:
                break
        return answer

    def push(self, signed: bool = False, **changes: str) -> tuple[str, str]:
        """Push an authorization request; return the address to visit and the PKCE verifier."""
        verifier = read_system_random(32).hex()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        request = {
            "client_id": self.client_id,
            "response_type": "code",
            "scope": self.scope,
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        answer = self.ask("pushed_authorization_request_endpoint", **({"request": self.sign_request(**request)} if signed else request))
        if answer.status_code != 201:
            raise SuiteFailed(f"PAR: {answer.status_code} {answer.text}")
        query = urllib.parse.urlencode({"client_id": self.client_id, "request_uri": answer.json()["request_uri"]})
        return f"{self.metadata['authorization_endpoint']}?{query}", verifier

    def read_resource(self, access_token: str) -> httpx2.Response:
        """Read the resource of the configuration."""
        scheme = "Bearer" if self._has_certificate else "DPoP"
        headers = {"authorization": f"{scheme} {access_token}", **self._prove("GET", self._resource, access_token)}
        return self._http.get(self._resource, headers=headers)

    def read_signed(self, text: str) -> dict[str, Any]:
        """Return the claims of what the provider signed, verified with its published keys."""
        keys = KeySet.import_key_set(self._http.get(self.metadata["jwks_uri"]).json())
        claims: dict[str, Any] = json.loads(jws.deserialize_compact(text, keys, algorithms=["PS256", "ES256", "RS256"]).payload)
        return claims

    def call(self, method: str, address: str, **options: Any) -> httpx2.Response:
        """Ask any address."""
        return self._http.request(method, address, **options)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _authenticate(self) -> dict[str, str]:
        if "jwks" not in self._given:
            secret = {"client_secret": self._given["client_secret"]} if "client_secret" in self._given else {}
            return {"client_id": self.client_id, **secret}
        now = int(time.time())
        who = {"iss": self.client_id, "sub": self.client_id, "aud": self.metadata["issuer"]}
        assertion = self.sign({**who, "jti": read_system_random(16).hex(), "iat": now, "exp": now + 50})
        return {"client_id": self.client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    def _prove(self, method: str, address: str, access_token: str = "") -> dict[str, str]:
        if self._has_certificate:
            return {}
        claims: dict[str, Any] = {"htm": method, "htu": address, "iat": int(time.time()), "jti": read_system_random(16).hex()}
        if self._nonce:
            claims["nonce"] = self._nonce
        if access_token:
            claims["ath"] = base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": self._dpop.as_dict(private=False)}
        return {"dpop": jws.serialize_compact(header, json.dumps(claims).encode(), self._dpop, algorithms=["ES256"])}


def _with_certificate(trusting: ssl.SSLContext, mtls: dict[str, str]) -> ssl.SSLContext:
    import tempfile

    context = ssl.create_default_context(cadata="\n".join(ssl.DER_cert_to_PEM_cert(der) for der in trusting.get_ca_certs(binary_form=True)))
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(mtls["cert"] + mtls["key"])
        file.flush()
        context.load_cert_chain(file.name)
    return context
