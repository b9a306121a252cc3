"""Decides how the key-encryption key changes: every key is wrapped anew in one transaction, while processes accept both."""

from typing import Final

from idp.kernel.audit_events import AuditEvent, Kind
from idp.platform import data_key_store, key_store
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from keys import KeyEncryptionKey

READ_WRAPPED: Final = "SELECT kid, wrapped FROM signing_keys WHERE wrapped IS NOT NULL ORDER BY kid"
REWRAP: Final = "UPDATE signing_keys SET wrapped = $2 WHERE kid = $1"


class KeyExchange:
    """Wraps data keys and signing keys under ``kek``, which also opens what its predecessor wrapped."""

    def __init__(self, database: Database, kek: KeyEncryptionKey, audit_log: AuditLog) -> None:
        self._database = database
        self._kek = kek
        self._audit_log = audit_log

    async def rewrap(self, actor: str) -> int:
        """Wrap every key under the present key-encryption key and return how many were not before; all or none.

        Wrapping the same key gives the same bytes, so doing it twice changes nothing. Raises Unsealable for a row that neither opens.
        """
        async with self._database.transaction() as tx:
            await key_store.lock_keys(tx)
            changed = await data_key_store.rewrap(tx, self._kek)
            for row in await tx.fetch(READ_WRAPPED):
                wrapped = self._kek.wrap(row["kid"], self._kek.unwrap(row["kid"], row["wrapped"]))
                if wrapped != row["wrapped"]:
                    await tx.execute(REWRAP, row["kid"], wrapped)
                    changed += 1
            await tx.execute(key_store.NOTIFY_CHANGE, key_store.CHANNEL)
            if changed:
                await self._audit_log.record(tx, AuditEvent(Kind.KEY_ENCRYPTION_EXCHANGED, actor=actor, details={"keys": changed}))
        return changed
