"""Decides what one operation of the bench is, as a department, a browser or a resource server would do it."""

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from bench.driver import Answer, Connection, UnexpectedAnswer

FORM = ("Content-Type", "application/x-www-form-urlencoded")


ES256, RS256, REFRESHING = "bench-es256", "bench-rs256", "bench-refreshing"
"""The clients: two by the algorithm of their ID Tokens, and one that gets refresh tokens. The first two get none, on either side."""

RESOURCES = {"https://es256.rp.example/": "ES256", "https://rs256.rp.example/": "RS256"}
"""Resource servers whose access tokens are JWTs (RFC 9068), and the algorithm of each; the client of the same algorithm asks for them."""

RESOURCE_OF = dict(zip((ES256, RS256), RESOURCES, strict=True))
"""The client → its resource."""


@dataclass(frozen=True)
class Addresses:
    """Where a provider answers; the defaults are ours."""

    authorization: str = "/authorize"
    token: str = "/token"
    userinfo: str = "/userinfo"
    introspection: str = "/introspect"
    jwks: str = "/jwks.json"
    discovery: str = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Target:
    """The provider under test: its clients with their secrets, and signed-in sessions (Cookie header values)."""

    origin: str
    secrets: Mapping[str, str]
    redirect_uri: str
    scope: str
    sessions: list[str]
    identifiers: list[str] = field(default_factory=list)
    password: str = ""
    addresses: Addresses = Addresses()

    def basic(self, client_id: str) -> tuple[str, str]:
        """Return the Authorization header of a client."""
        text = f"{quote(client_id, safe='')}:{quote(self.secrets[client_id], safe='')}"
        return ("Authorization", "Basic " + base64.b64encode(text.encode()).decode())


def _expect(answer: Answer, status: int, what: str) -> Answer:
    if answer.status != status:
        raise UnexpectedAnswer(f"{what}: {answer.status} {answer.body[:200]!r}")
    return answer


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Operations:
    """Every measured operation on one target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._at = target.addresses
        self._basic = {client_id: target.basic(client_id) for client_id in target.secrets}
        self._own: dict[int, str] = {}
        self._persons: dict[int, str] = {}
        self._refresh: dict[int, str] = {}

    async def discovery(self, number: int, connection: Connection) -> None:
        """Read the metadata."""
        _expect(await connection.request("GET", self._at.discovery), 200, "discovery")

    async def jwks(self, number: int, connection: Connection) -> None:
        """Read the keys."""
        _expect(await connection.request("GET", self._at.jwks), 200, "jwks")

    async def client_credentials(self, number: int, connection: Connection) -> None:
        """Get a token of the client's own: opaque."""
        await self._own_token(connection)

    async def client_credentials_es256(self, number: int, connection: Connection) -> None:
        """Get a token of the client's own: a JWT signed by ES256."""
        await self._own_jwt(connection, ES256)

    async def client_credentials_rs256(self, number: int, connection: Connection) -> None:
        """Get a token of the client's own: a JWT signed by RS256."""
        await self._own_jwt(connection, RS256)

    async def introspection(self, number: int, connection: Connection) -> None:
        """Introspect one token over and over."""
        token = self._own.get(number)
        if token is None:
            token = self._own[number] = await self._own_token(connection)
        body = urlencode({"token": token}).encode()
        answer = _expect(await connection.request("POST", self._at.introspection, [FORM, self._basic[ES256]], body), 200, "introspection")
        if not json.loads(answer.body)["active"]:
            self._own.pop(number)
            raise UnexpectedAnswer("inactive")

    async def authorize(self, number: int, connection: Connection) -> None:
        """Get a code with a live session."""
        await self._authorize(number, connection, ES256)

    async def sso_userinfo(self, number: int, connection: Connection) -> None:
        """Get a code with a live session, redeem it, read the claims; the ID Token is signed by ES256."""
        await self._sign_on_and_read(number, connection, ES256)

    async def sso_userinfo_rs256(self, number: int, connection: Connection) -> None:
        """The same, signed by RS256."""
        await self._sign_on_and_read(number, connection, RS256)

    async def userinfo(self, number: int, connection: Connection) -> None:
        """Read the claims of one token over and over."""
        token = self._persons.get(number)
        if token is None:
            token = self._persons[number] = (await self._sign_on(number, connection, ES256))["access_token"]
        answer = await connection.request("GET", self._at.userinfo, [("Authorization", "Bearer " + token)])
        if answer.status != 200:
            self._persons.pop(number)
            raise UnexpectedAnswer(f"userinfo {answer.status}")

    async def refresh(self, number: int, connection: Connection) -> None:
        """Exchange a refresh token for its successor."""
        token = self._refresh.pop(number, None)
        if token is None:
            token = (await self._sign_on(number, connection, REFRESHING))["refresh_token"]
        body = urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode()
        answer = await connection.request("POST", self._at.token, [FORM, self._basic[REFRESHING]], body)
        self._refresh[number] = json.loads(_expect(answer, 200, "refresh").body)["refresh_token"]

    async def password_sign_in(self, number: int, connection: Connection) -> None:
        """Sign in from an empty cookie jar with identifier and password, until the code is handed out."""
        jar: dict[str, str] = {}
        target, _ = self._authorize_target(ES256)
        answer = await self._browse(connection, jar, "GET", target)
        fields = _read_form(answer.body)
        who = self._target.identifiers[number % len(self._target.identifiers)]
        fields |= {"identifier": who, "password": self._target.password}
        answer = await self._browse(connection, jar, "POST", "/sign-in", urlencode(fields).encode())
        worked = self.work(answer.body)
        if worked is not None:
            answer = await self._browse(connection, jar, "POST", "/sign-in", urlencode(fields | worked).encode())
        if b"code=" not in answer.body:
            raise UnexpectedAnswer(f"sign-in ended with {answer.status} {answer.body[:300]!r}")

    def work(self, page: bytes) -> dict[str, str] | None:
        """Return the fields of a sign-in page that wants work, None for any other."""
        found = re.search(rb'data-puzzle="([^"]+)" data-bits="(\d+)"', page)
        if found is None:
            return None
        text, bits = html.unescape(found[1].decode()), int(found[2])
        return {"puzzle": text, "proof": next(str(n) for n in count() if _has_zeros(f"{text}:{n}", bits))}

    async def _browse(self, connection: Connection, jar: dict[str, str], method: str, target: str, body: bytes = b"") -> Answer:
        for _ in range(8):
            headers = [("Cookie", "; ".join(f"{k}={v}" for k, v in jar.items()))] if jar else []
            if method == "POST":
                headers.append(FORM)
            answer = await connection.request(method, target, headers, body)
            for cookie in answer.cookies:
                name, _, value = cookie.partition(";")[0].partition("=")
                jar[name] = value
            if answer.status not in (302, 303):
                return answer
            method, body = "GET", b""
            parts = urlsplit(answer.headers["location"])
            target = parts.path + (f"?{parts.query}" if parts.query else "")
        raise UnexpectedAnswer("too many redirects")

    def _authorize_target(self, client_id: str) -> tuple[str, str]:
        verifier = _encode(os.urandom(32))
        query = {
            "client_id": client_id,
            "redirect_uri": self._target.redirect_uri,
            "response_type": "code",
            "scope": self._target.scope,
            "state": _encode(os.urandom(9)),
            "nonce": _encode(os.urandom(9)),
            "code_challenge": _encode(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return f"{self._at.authorization}?{urlencode(query)}", verifier

    async def _authorize(self, number: int, connection: Connection, client_id: str) -> tuple[str, str]:
        target, verifier = self._authorize_target(client_id)
        cookie = self._target.sessions[number % len(self._target.sessions)]
        answer = _expect(await connection.request("GET", target, [("Cookie", cookie)]), 303, "authorize")
        location = answer.headers["location"]
        if not location.startswith(self._target.redirect_uri):
            raise UnexpectedAnswer(f"authorize went to {location[:60]}")
        return parse_qs(urlsplit(location).query)["code"][0], verifier

    async def _sign_on(self, number: int, connection: Connection, client_id: str) -> dict[str, str]:
        code, verifier = await self._authorize(number, connection, client_id)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._target.redirect_uri,
            "code_verifier": verifier,
        }
        answer = await connection.request("POST", self._at.token, [FORM, self._basic[client_id]], urlencode(form).encode())
        tokens: dict[str, str] = json.loads(_expect(answer, 200, "token").body)
        if "id_token" not in tokens:
            raise UnexpectedAnswer("no id_token")
        return tokens

    async def _sign_on_and_read(self, number: int, connection: Connection, client_id: str) -> None:
        tokens = await self._sign_on(number, connection, client_id)
        headers = [("Authorization", "Bearer " + tokens["access_token"])]
        answer = _expect(await connection.request("GET", self._at.userinfo, headers), 200, "userinfo")
        if b'"sub"' not in answer.body:
            raise UnexpectedAnswer("userinfo without sub")

    async def _own_token(self, connection: Connection, client_id: str = ES256, body: bytes = b"grant_type=client_credentials") -> str:
        answer = await connection.request("POST", self._at.token, [FORM, self._basic[client_id]], body)
        token: str = json.loads(_expect(answer, 200, "client credentials").body)["access_token"]
        return token

    async def _own_jwt(self, connection: Connection, client_id: str) -> None:
        body = urlencode({"grant_type": "client_credentials", "resource": RESOURCE_OF[client_id]}).encode()
        token = await self._own_token(connection, client_id, body)
        if token.count(".") != 2:
            raise UnexpectedAnswer("the access token is not a JWT")


def _has_zeros(text: str, bits: int) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") >> (256 - bits) == 0


def _read_form(page: bytes) -> dict[str, str]:
    """Return the hidden fields of the sign-in page."""
    fields = {}
    for tag in re.findall(r"<input[^>]*>", page.decode()):
        kind, name, value = (re.search(rf'{attribute}="([^"]*)"', tag) for attribute in ("type", "name", "value"))
        if kind and kind[1] == "hidden" and name:
            fields[name[1]] = html.unescape(value[1]) if value else ""
    if not fields:
        raise UnexpectedAnswer(f"no sign-in form: {page[:300]!r}")
    return fields
