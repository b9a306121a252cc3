"""Decides what one operation of the bench is, as a department, a browser or a resource server would do it."""

import base64
import hashlib
import html
import json
import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from bench.driver import Answer, Connection, UnexpectedAnswer

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@dataclass(frozen=True)
class Target:
    """The provider under test with one registered client and signed-in sessions (Cookie header values)."""

    origin: str
    client_id: str
    client_secret: str
    redirect_uri: str
    scope: str
    sessions: list[str]
    identifiers: list[str]
    password: str

    @property
    def basic(self) -> tuple[str, str]:
        """Return the client's Authorization header."""
        text = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
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
        self._tokens: dict[int, str] = {}

    async def discovery(self, number: int, connection: Connection) -> None:
        """Read the metadata."""
        _expect(await connection.request("GET", "/.well-known/openid-configuration"), 200, "discovery")

    async def jwks(self, number: int, connection: Connection) -> None:
        """Read the keys."""
        _expect(await connection.request("GET", "/jwks.json"), 200, "jwks")

    async def client_credentials(self, number: int, connection: Connection) -> None:
        """Get a token of the client's own."""
        await self._own_token(connection)

    async def introspection(self, number: int, connection: Connection) -> None:
        """Introspect one token over and over."""
        token = self._tokens.get(number)
        if token is None:
            token = self._tokens[number] = await self._own_token(connection)
        body = urlencode({"token": token}).encode()
        answer = _expect(await connection.request("POST", "/introspect", [FORM, self._target.basic], body), 200, "introspection")
        if not json.loads(answer.body)["active"]:
            self._tokens.pop(number)
            raise UnexpectedAnswer("inactive")

    async def authorize(self, number: int, connection: Connection) -> None:
        """Get a code with a live session."""
        await self._authorize(number, connection)

    async def sso(self, number: int, connection: Connection) -> None:
        """Get a code with a live session and redeem it."""
        await self._sign_on(number, connection)

    async def sso_userinfo(self, number: int, connection: Connection) -> None:
        """The same, then read the claims."""
        tokens = await self._sign_on(number, connection)
        headers = [("Authorization", "Bearer " + tokens["access_token"])]
        answer = _expect(await connection.request("GET", "/userinfo", headers), 200, "userinfo")
        if b'"sub"' not in answer.body:
            raise UnexpectedAnswer("userinfo without sub")

    async def userinfo(self, number: int, connection: Connection) -> None:
        """Read the claims of one token over and over."""
        token = self._tokens.get(-1 - number)
        if token is None:
            token = self._tokens[-1 - number] = (await self._sign_on(number, connection))["access_token"]
        answer = await connection.request("GET", "/userinfo", [("Authorization", "Bearer " + token)])
        if answer.status != 200:
            self._tokens.pop(-1 - number)
            raise UnexpectedAnswer(f"userinfo {answer.status}")

    async def password_sign_in(self, number: int, connection: Connection) -> None:
        """Sign in from an empty cookie jar with identifier and password, until the code is handed out."""
        jar: dict[str, str] = {}
        target, _ = self._authorize_target()
        answer = await self._browse(connection, jar, "GET", target)
        fields = _read_form(answer.body)
        who = self._target.identifiers[number % len(self._target.identifiers)]
        fields |= {"identifier": who, "password": self._target.password}
        answer = await self._browse(connection, jar, "POST", "/sign-in", urlencode(fields).encode())
        if b"code=" not in answer.body:
            raise UnexpectedAnswer(f"sign-in ended with {answer.status} {answer.body[:300]!r}")

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

    def _authorize_target(self) -> tuple[str, str]:
        verifier = _encode(os.urandom(32))
        query = {
            "client_id": self._target.client_id,
            "redirect_uri": self._target.redirect_uri,
            "response_type": "code",
            "scope": self._target.scope,
            "state": _encode(os.urandom(9)),
            "nonce": _encode(os.urandom(9)),
            "code_challenge": _encode(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return "/authorize?" + urlencode(query), verifier

    async def _authorize(self, number: int, connection: Connection) -> tuple[str, str]:
        target, verifier = self._authorize_target()
        cookie = self._target.sessions[number % len(self._target.sessions)]
        answer = _expect(await connection.request("GET", target, [("Cookie", cookie)]), 303, "authorize")
        location = answer.headers["location"]
        if not location.startswith(self._target.redirect_uri):
            raise UnexpectedAnswer(f"authorize went to {location[:60]}")
        return parse_qs(urlsplit(location).query)["code"][0], verifier

    async def _sign_on(self, number: int, connection: Connection) -> dict[str, str]:
        code, verifier = await self._authorize(number, connection)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._target.redirect_uri,
            "code_verifier": verifier,
        }
        answer = await connection.request("POST", "/token", [FORM, self._target.basic], urlencode(form).encode())
        tokens: dict[str, str] = json.loads(_expect(answer, 200, "token").body)
        if "id_token" not in tokens:
            raise UnexpectedAnswer("no id_token")
        return tokens

    async def _own_token(self, connection: Connection) -> str:
        body = b"grant_type=client_credentials"
        answer = _expect(await connection.request("POST", "/token", [FORM, self._target.basic], body), 200, "client credentials")
        token: str = json.loads(answer.body)["access_token"]
        return token


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
