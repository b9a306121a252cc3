"""A department's logout address on loopback: it keeps what it is sent and answers as told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from joserfc import jws, jwt
from joserfc.jwk import KeySet

from idp.logout import build_logout_delivery
from idp.platform.outbox import Attempt, deliver_due
from idp.protocol.services.logout_delivery import LogoutDelivery
from idp.protocol.services.logout_notices import KIND
from tests.support.provider import Provider

ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"]


@dataclass
class LogoutAddress:
    """Where a department is told. ``status`` is what it answers; 0: nothing, the connection is closed."""

    address: str
    status: int = 200
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def tokens(self) -> list[str]:
        """The logout tokens that came."""
        return [parse_qs(body.decode())["logout_token"][0] for _, _, body in self.requests]


@asynccontextmanager
async def listen_for_logouts(path: str = "/backchannel-logout") -> AsyncIterator[LogoutAddress]:
    """Serve one logout address on a free loopback port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            told.requests.append((head[0], headers, body))
            if told.status:
                writer.write(f"HTTP/1.1 {told.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        told = LogoutAddress(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}")
        yield told


async def deliver_logouts(provider: Provider, delivery: LogoutDelivery | None = None) -> list[Attempt]:
    """Do what the worker does once; return what became of each message that was due."""
    platform = provider.services.platform
    chosen = delivery or build_logout_delivery(platform)
    attempts = await deliver_due(platform.outbox, platform.database, {KIND: chosen.deliver})
    return [attempt for attempt in attempts if attempt.kind == KIND]


async def read_logout_token(provider: Provider, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, verified by an independent library against the published keys."""
    keys = KeySet.import_key_set((await provider.browser.get("/jwks.json")).json())
    jws.deserialize_compact(token, keys, algorithms=ALGORITHMS)
    decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
    return dict(decoded.header), dict(decoded.claims)
