"""Decides which signing keys a process uses: those of the database, read again whenever a change is told."""

import asyncio
from typing import Any

from idp.platform import key_store
from idp.platform.database import Database, DatabaseUnavailable
from keys import KeyEncryptionKey, SigningRing

CHECK = 30.0
"""Seconds after which the keys are read again although nobody told of a change; far below ``pending_seconds``."""


class CurrentRing:
    """The present SigningRing behind one unchanging object; same methods."""

    def __init__(self, ring: SigningRing, database: Database, kek: KeyEncryptionKey) -> None:
        self._ring = ring
        self._database = database
        self._kek = kek

    @property
    def jwks(self) -> bytes:
        """The JWK set as JSON."""
        return self._ring.jwks

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that have an active key."""
        return self._ring.algorithms

    def sign(self, algorithm: str, claims: bytes, typ: str = "JWT") -> str:
        """Return the compact JWS of ``claims``; see SigningRing."""
        return self._ring.sign(algorithm, claims, typ)

    def verify(self, token: str, typ: str | None = None) -> dict[str, Any]:
        """Return the claims of a token of ours; see SigningRing."""
        return self._ring.verify(token, typ)

    async def reload(self) -> None:
        """Read the keys again. When a row cannot be trusted the error is raised and the ring stays as it was."""
        async with self._database.transaction() as tx:
            self._ring = await key_store.load_signing_ring(tx, self._kek)

    async def follow(self, stop: asyncio.Event) -> None:
        """Reload on every told change until ``stop``. Raises DatabaseUnavailable when the database goes away; call it again then."""
        wake = asyncio.Event()
        stopper = asyncio.ensure_future(stop.wait())
        stopper.add_done_callback(lambda _: wake.set())
        try:
            async with self._database.listen([key_store.CHANNEL], lambda *_: wake.set()) as connection:
                connection.add_termination_listener(lambda _: wake.set())
                while not stop.is_set():
                    wake.clear()
                    await self.reload()
                    try:
                        async with asyncio.timeout(CHECK):
                            await wake.wait()
                    except TimeoutError:
                        pass
                    if connection.is_closed():
                        raise DatabaseUnavailable("the keys lost their database")
        finally:
            stopper.cancel()
