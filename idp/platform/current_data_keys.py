"""Decides which data keys a process uses: those of the database, read again when a change is told and when a new key's time has come."""

import asyncio

from idp.kernel.clock import Clock
from idp.platform import data_key_store
from idp.platform.data_key_store import UntrustedDataKey
from idp.platform.database import Database
from idp.platform.following import follow_channel
from idp.platform.logging import get_logger
from keys import DataKeys, KeyEncryptionKey, MissingKey

CHECK = 30.0
"""Seconds after which the keys are read again although nobody told of a change."""

MOMENT = 0.01
"""Seconds after a new key's instant at which it is taken up, so that the instant has come for sure."""


class CurrentDataKeys:
    """Keeps the DataKeys of a process, and all that was handed out of it, as the database says."""

    def __init__(self, data_keys: DataKeys, database: Database, kek: KeyEncryptionKey, clock: Clock) -> None:
        self._data_keys = data_keys
        self._database = database
        self._kek = kek
        self._clock = clock
        self._reading = asyncio.Lock()

    async def reload(self) -> float:
        """Read the keys again and return the seconds until they have to be read once more.

        When a row cannot be trusted, or a purpose would be left without a key, the keys stay as they were and the log says so.
        """
        # One after the other: what was read of an earlier instant must not come after what was read of a later one.
        async with self._reading, self._database.transaction() as tx:
            now = self._clock()
            try:
                stored = await data_key_store.load(tx, self._kek, now)
                self._data_keys.replace(stored.keys)
            except (UntrustedDataKey, MissingKey) as error:
                get_logger("keys").error("the data keys stay as they were", reason=str(error))
                return CHECK
        return CHECK if stored.next_at is None else min(CHECK, (stored.next_at - now).total_seconds() + MOMENT)

    async def follow(self, stop: asyncio.Event) -> None:
        """Reload on every told change until ``stop``. Raises DatabaseUnavailable when the database goes away; call it again then."""
        await follow_channel(self._database, data_key_store.CHANNEL, self.reload, stop)
