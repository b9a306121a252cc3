"""Decides which signing keys a process uses: those of the database, read again whenever a change is told."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from idp.platform import key_store
from idp.platform.database import Database, Transaction
from idp.platform.following import follow_channel
from keys import Signer, SigningRing

CHECK = 30.0
"""Seconds after which the keys are read again although nobody told of a change; far below ``pending_seconds``."""


THREADS = 4
"""Slow signatures that are made at the same time; further ones wait for their turn."""

LoadRing = Callable[[Transaction], Awaitable[SigningRing]]
"""Reads the keys of the database and returns their ring."""


class CurrentRing:
    """The present SigningRing behind one unchanging object; same methods."""

    def __init__(self, ring: SigningRing, database: Database, load: LoadRing) -> None:
        self._ring = ring
        self._database = database
        self._load = load
        self._threads = ThreadPoolExecutor(THREADS, "signing")

    @property
    def jwks(self) -> bytes:
        """The JWK set as JSON."""
        return self._ring.jwks

    @property
    def sm2_jwks(self) -> bytes:
        """The JWK set of SM2 keys as JSON."""
        return self._ring.sm2_jwks

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The standard algorithms that have an active key, for metadata."""
        return self._ring.algorithms

    @property
    def sm2_algorithms(self) -> tuple[str, ...]:
        """The others that have one; a client has to choose them by itself."""
        return self._ring.sm2_algorithms

    def find_signer(self, algorithm: str) -> Signer:
        """Return what signs with the active key, to note its ``kid`` before it signs; NoSigningKey when there is none."""
        return self._ring.find_signer(algorithm)

    async def sign_token(self, signer: Signer | str, claims: bytes, typ: str = "JWT") -> str:
        """Return the compact JWS of ``claims`` by a signer, or by the active key of an algorithm, without holding up the event loop."""
        chosen = self._ring.find_signer(signer) if isinstance(signer, str) else signer
        if not chosen.slow:
            return chosen.sign(claims, typ)
        return await asyncio.get_running_loop().run_in_executor(self._threads, chosen.sign, claims, typ)

    def sign(self, algorithm: str, claims: bytes, typ: str = "JWT") -> str:
        """Return the compact JWS of ``claims``, for commands and threads; see SigningRing."""
        return self._ring.sign(algorithm, claims, typ)

    def verify(self, token: str, typ: str | None = None) -> dict[str, Any]:
        """Return the claims of a token of ours; see SigningRing."""
        return self._ring.verify(token, typ)

    def verify_past(self, token: str, typ: str | None = None) -> dict[str, Any]:
        """Return the claims of a token of ours, its key possibly retired: for hints alone; see SigningRing."""
        return self._ring.verify_past(token, typ)

    def close(self) -> None:
        """End the threads once they have nothing to sign."""
        self._threads.shutdown(wait=False)

    async def reload(self) -> None:
        """Read the keys again. When a row cannot be trusted the error is raised and the ring stays as it was."""
        async with self._database.transaction() as tx:
            self._ring = await self._load(tx)

    async def follow(self, stop: asyncio.Event) -> None:
        """Reload on every told change until ``stop``. Raises DatabaseUnavailable when the database goes away; call it again then."""

        async def reload() -> float:
            await self.reload()
            return CHECK

        await follow_channel(self._database, key_store.CHANNEL, reload, stop)
