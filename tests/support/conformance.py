"""A relying party as the conformance modules play it: it registers itself, asks, redeems, reads, and checks what it gets."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import httpx2
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from idp.protocol.rules.client_credentials import ASSERTION_TYPE
from tests.support.provider import BACK, ISSUER, REDIRECT_URI, Landing, Provider

ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"]


@dataclass
class RelyingParty:
    """A registered client. ``metadata`` is what the registration answered."""

    provider: Provider
    metadata: dict[str, Any]
    key: Any = None
    """What it signs assertions with, where it has no secret."""

    @property
    def client_id(self) -> str:
        """Its id."""
        client_id: str = self.metadata["client_id"]
        return client_id

    async def authorize(self, cookies: dict[str, str] | None = None, **changes: str | None) -> Landing:
        """Ask for a code without PKCE, as the basic modules do."""
        parameters = {"code_challenge": None, "code_challenge_method": None, **changes}
        return await self.provider.authorize(self.client_id, cookies, **parameters)

    async def redeem(self, code: str, redirect_uri: str = REDIRECT_URI) -> httpx2.Response:
        """Redeem a code with the method that was registered."""
        return await self.ask({"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri})

    async def refresh(self, refresh_token: str, **changes: str) -> httpx2.Response:
        """Use a refresh token."""
        return await self.ask({"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    async def ask(self, form: dict[str, str]) -> httpx2.Response:
        """Ask the token endpoint."""
        if self.key is not None:
            return await self.provider.browser.post("/token", data={**form, **self.assert_key()})
        secret = self.metadata["client_secret"]
        if self.metadata["token_endpoint_auth_method"] == "client_secret_post":
            return await self.provider.browser.post("/token", data={**form, "client_id": self.client_id, "client_secret": secret})
        return await self.provider.browser.post("/token", data=form, auth=(quote(self.client_id), quote(secret)))

    def assert_key(self, audience: str = f"{ISSUER}/token") -> dict[str, str]:
        """Return the assertion that the modules make: RS256, its key unnamed, out to the token endpoint (OpenID Connect Core §9)."""
        now = int(self.provider.now().timestamp())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": audience, "jti": token_hex(10), "iat": now, "exp": now + 60}
        header = {"alg": "RS256"} if self.key.kid is None else {"alg": "RS256", "kid": self.key.kid}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": jwt.encode(header, claims, self.key)}

    async def get_tokens(self, cookies: dict[str, str], **changes: str | None) -> dict[str, Any]:
        """Ask and redeem."""
        return check_token_answer(await self.redeem((await self.authorize(cookies, **changes)).code))

    async def read_id_token(self, text: str) -> dict[str, Any]:
        """Verify an ID Token against the published keys with an independent library, and by OpenID Connect Core §3.1.3.7."""
        return (await self.decode_id_token(text))[1]

    async def decode_id_token(self, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Do the same; return header and claims."""
        keys = KeySet.import_key_set((await self.provider.browser.get("/jwks.json")).json())
        decoded = jwt.decode(text, keys, algorithms=ALGORITHMS)
        header, claims = dict(decoded.header), dict(decoded.claims)
        now = self.provider.now().timestamp()
        assert header["alg"] == self.metadata["id_token_signed_response_alg"]
        assert claims["iss"] == ISSUER
        assert claims["aud"] in (self.client_id, [self.client_id])
        assert claims["iat"] <= now < claims["exp"]
        assert 0 < len(claims["sub"]) <= 255
        assert claims["sub"].isascii()
        return header, claims


ERROR_PARAMETERS = {"error", "error_description", "error_uri", "state", "iss"}
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")


def check_error(told: dict[str, str], state: str, *errors: str) -> None:
    """Check an error that came to the redirect URI as every module does (RFC 6749 §4.1.2.1, RFC 9207 §2): nothing else beside it."""
    assert told["error"] in errors, told
    assert (told["state"], told["iss"]) == (state, ISSUER)
    assert told.keys() <= ERROR_PARAMETERS
    assert DESCRIPTION.fullmatch(told["error_description"])


def check_token_answer(answer: httpx2.Response) -> dict[str, Any]:
    """Check what came from the token endpoint as every module does (RFC 6749 §5.1); return it."""
    assert answer.status_code == 200, answer.text
    headers = answer.headers
    assert (headers["content-type"], headers["cache-control"], headers["pragma"]) == ("application/json", "no-store", "no-cache")
    tokens: dict[str, Any] = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert isinstance(tokens["expires_in"], int)
    assert tokens["expires_in"] > 0
    return tokens


async def register(provider: Provider, **metadata: Any) -> RelyingParty:
    """Register a client as the modules do, by the endpoint of the metadata."""
    announced = (await provider.browser.get("/.well-known/openid-configuration")).json()
    document = {"redirect_uris": [REDIRECT_URI], "post_logout_redirect_uris": [BACK], "client_name": "conformance", **metadata}
    answer = await provider.browser.post(announced["registration_endpoint"].removeprefix(ISSUER), json=document)
    assert answer.status_code == 201, answer.text
    return RelyingParty(provider, answer.json())


async def register_with_key(provider: Provider, key: Any = None, **metadata: Any) -> RelyingParty:
    """Register a client that authenticates by ``private_key_jwt`` with a key that has no name, as the modules of the dynamic profile do."""
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}) if key is None else key
    document = {"token_endpoint_auth_method": "private_key_jwt", **metadata}
    if "jwks_uri" not in document:
        document["jwks"] = {"keys": [key.as_dict(private=False)]}
    party = await register(provider, **document)
    return RelyingParty(provider, party.metadata, key)


@dataclass
class Document:
    """What a client publishes on loopback."""

    address: str
    body: bytes = b""
    asked: int = 0
    status: int = 200


@asynccontextmanager
async def serve_document(content_type: str = "application/jwt") -> AsyncIterator[Document]:
    """Serve one document on a free loopback port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        document.asked += 1
        head = f"HTTP/1.1 {document.status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(document.body)}\r\n"
        writer.write(head.encode() + b"connection: close\r\n\r\n" + document.body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        document = Document(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/request.jwt")
        yield document
