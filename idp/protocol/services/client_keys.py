"""Decides which public keys a client has now: those it registered, or those its jwks_uri shows, read seldom and believed for a while."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idp.kernel.clock import Clock
from idp.platform.fetching import Fetcher, FetchFailed
from idp.protocol.rules.client import Client
from keys import MAX_KEY_SET, ForeignKey, ForeignKeySet, ForeignToken, UnknownKey, UnusableKeySet, read_key_set, verify_with_keys

FRESH = timedelta(minutes=10)
"""A key that its owner removed counts no longer than this while the address answers …"""

STALE = timedelta(hours=1)
"""… and no longer than this while it does not."""

PAUSE = timedelta(minutes=1)
"""Between two questions to one address, whatever made the second seem necessary."""

MAX_KNOWN = 2_000
CONTENT_TYPES = ("application/jwk-set+json", "application/json", "text/plain", "application/octet-stream")
"""The last two are what servers of files say of a file that they do not know."""


class KeysUnreadable(Exception):
    """The client's keys cannot be had; ``reason`` is one of our words (FetchFailed, UnusableKeySet), for logs and the audit."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class _Known:
    """What is known of one address; ``reason`` says why the last question gave nothing."""

    keys: ForeignKeySet | None = None
    read_at: datetime | None = None
    asked_at: datetime | None = None
    reason: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ClientKeySets:
    """Key sets by address and by text, of this process."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._published: dict[str, _Known] = {}
        self._registered: dict[str, ForeignKeySet] = {}

    async def read(self, client: Client) -> ForeignKeySet:
        """Return the client's keys, none for a client that registered none; raise KeysUnreadable."""
        if client.keys.jwks is not None:
            return self._parse(client.keys.jwks)
        if client.keys.jwks_uri is None:
            return ForeignKeySet(())
        known = self._find(client.keys.jwks_uri)
        if known.read_at is None or self._clock() - known.read_at >= FRESH:
            await self._ask(client.keys.jwks_uri, known)
        return self._use(known)

    async def verify(self, client: Client, token: ForeignToken, algorithms: Collection[str], typ: Collection[str] | None) -> ForeignKey:
        """Return the client's key that signed ``token``; raise keys.InvalidSignature, or KeysUnreadable.

        A key of an unknown name makes us ask the address again, once a minute (OpenID Connect Core §10.1.1).
        """
        try:
            return verify_with_keys(token, await self.read(client), algorithms, typ)
        except UnknownKey:
            if client.keys.jwks_uri is None or not await self._ask(client.keys.jwks_uri, self._find(client.keys.jwks_uri)):
                raise
        return verify_with_keys(token, await self.read(client), algorithms, typ)

    def _find(self, address: str) -> _Known:
        if address not in self._published and len(self._published) >= MAX_KNOWN:
            self._published.clear()
        return self._published.setdefault(address, _Known())

    def _use(self, known: _Known) -> ForeignKeySet:
        if known.keys is None or known.read_at is None or self._clock() - known.read_at >= STALE:
            raise KeysUnreadable(known.reason)
        return known.keys

    async def _ask(self, address: str, known: _Known) -> bool:
        """Ask the address unless it was asked within the last minute; tell whether there may be something new."""
        began = self._clock()
        async with known.lock:
            if known.asked_at is not None and self._clock() - known.asked_at < PAUSE:
                return known.asked_at >= began  # somebody asked while we waited
            known.asked_at = self._clock()
            try:
                raw = await self._fetcher.read(address, content_types=CONTENT_TYPES, size=MAX_KEY_SET)
                known.keys, known.read_at, known.reason = read_key_set(raw), self._clock(), ""
            except FetchFailed as failed:
                known.reason = failed.reason
            except UnusableKeySet as unusable:
                known.reason = str(unusable)
            return not known.reason

    def _parse(self, text: str) -> ForeignKeySet:
        keys = self._registered.get(text)
        if keys is None:
            try:
                keys = read_key_set(text.encode("utf-8", "surrogatepass"))
            except UnusableKeySet as unusable:
                raise KeysUnreadable(str(unusable)) from None
            if len(self._registered) >= MAX_KNOWN:
                self._registered.clear()
            self._registered[text] = keys
        return keys
