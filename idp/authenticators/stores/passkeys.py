"""Decides how passkeys are kept: found by the id that the authenticator gave them, counted with every use."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.authenticators.rules.passkey import Passkey
from idp.platform.database import Database, Row, Transaction

COLUMNS = """
    id, person_id, credential_id, user_handle, public_key, sign_count, transports, backup_eligible, backed_up, sealed_name, created_at,
    last_used_at
"""

FIND_PASSKEY = "SELECT" + COLUMNS + "FROM passkeys WHERE credential_id = $1"

LIST_PASSKEYS = "SELECT" + COLUMNS + "FROM passkeys WHERE person_id = $1 ORDER BY created_at, id"

ADD_PASSKEY = """
    INSERT INTO passkeys (id, person_id, credential_id, user_handle, public_key, sign_count, transports, backup_eligible, backed_up,
                          sealed_name, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (credential_id) DO NOTHING RETURNING id
"""

# Of two signatures with the same counter one is a copy; an authenticator that does not count says 0 for ever.
NOTE_USE = """
    UPDATE passkeys SET sign_count = $3, backed_up = $4, last_used_at = $5
    WHERE person_id = $1 AND id = $2 AND (sign_count < $3 OR ($3 = 0 AND sign_count = 0)) RETURNING id
"""

REMOVE_PASSKEY = "DELETE FROM passkeys WHERE person_id = $1 AND id = $2 RETURNING id"

COUNT_PASSKEYS = "SELECT count(*)::int AS number FROM passkeys WHERE person_id = $1"

KEEP_PASSKEY = "SELECT id FROM passkeys WHERE person_id = $1 AND id = $2 FOR SHARE"


@dataclass(frozen=True)
class StoredPasskey:
    """A passkey with its sealed name."""

    passkey: Passkey
    sealed_name: bytes


async def find(database: Database, credential_id: bytes) -> Passkey | None:
    """Return the passkey of this credential id, without its name."""
    rows = await database.fetch(FIND_PASSKEY, credential_id)
    return _read(rows[0]).passkey if rows else None


async def list_of_person(database: Database, person_id: UUID) -> list[StoredPasskey]:
    """Return a person's passkeys, the oldest first."""
    return [_read(row) for row in await database.fetch(LIST_PASSKEYS, person_id)]


async def add(tx: Transaction, passkey: Passkey, sealed_name: bytes) -> bool:
    """Add a passkey; tell False when its credential id is known already, whoever has it."""
    added = await tx.fetchval(
        ADD_PASSKEY,
        passkey.id,
        passkey.person_id,
        passkey.credential_id,
        passkey.user_handle,
        passkey.public_key,
        passkey.sign_count,
        " ".join(passkey.transports),
        passkey.backup_eligible,
        passkey.backed_up,
        sealed_name,
        passkey.created_at,
    )
    return added is not None


async def note_use(tx: Transaction, passkey: Passkey, sign_count: int, backed_up: bool, now: datetime) -> bool:
    """Note a use; tell False when the counter did not go on from the stored one, or the passkey is gone."""
    return await tx.fetchval(NOTE_USE, passkey.person_id, passkey.id, sign_count, backed_up, now) is not None


async def remove(tx: Transaction, person_id: UUID, passkey_id: UUID) -> bool:
    """Remove a passkey of a person; tell False when it is gone."""
    return await tx.fetchval(REMOVE_PASSKEY, person_id, passkey_id) is not None


async def count(tx: Transaction, person_id: UUID) -> int:
    """Return how many passkeys a person has."""
    number: int = await tx.fetchval(COUNT_PASSKEYS, person_id)
    return number


async def keep(tx: Transaction, person_id: UUID, passkey_id: UUID) -> bool:
    """Keep a passkey as it is until the transaction ends; tell False when it is gone."""
    return await tx.fetchval(KEEP_PASSKEY, person_id, passkey_id) is not None


def _read(row: Row) -> StoredPasskey:
    passkey = Passkey(
        id=row["id"],
        person_id=row["person_id"],
        credential_id=row["credential_id"],
        user_handle=row["user_handle"],
        public_key=row["public_key"],
        sign_count=row["sign_count"],
        transports=tuple(row["transports"].split()),
        backup_eligible=row["backup_eligible"],
        backed_up=row["backed_up"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
    )
    return StoredPasskey(passkey, row["sealed_name"])
