"""Decides how the devices a person signed in with are remembered: by the hash of their cookie."""

from datetime import datetime, timedelta
from uuid import UUID

from idp.platform.database import Database, Transaction

KNOWN_FOR = timedelta(days=180)
"""After so long without a sign-in a device is a stranger's again; browsers keep its cookie no longer."""

FIND_DEVICE = "SELECT last_seen_at FROM known_devices WHERE person_id = $1 AND device_hash = $2 AND last_seen_at > $3"

REMEMBER_DEVICE = """
    INSERT INTO known_devices (person_id, device_hash, first_seen_at, last_seen_at) VALUES ($1, $2, $3, $3)
    ON CONFLICT (person_id, device_hash) DO UPDATE SET last_seen_at = excluded.last_seen_at
    RETURNING first_seen_at = last_seen_at AS is_new
"""

# Everything but one device; with NULL really everything.
FORGET_DEVICES = "DELETE FROM known_devices WHERE person_id = $1 AND device_hash IS DISTINCT FROM $2"

# Whoever signs in with one at this moment holds it; it is met again tomorrow, and no longer old.
DROP_UNUSED = """
    DELETE FROM known_devices WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM known_devices WHERE last_seen_at <= $1 ORDER BY last_seen_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING 1 AS dropped
"""


async def is_known(database: Database, person_id: UUID, device_hash: bytes, now: datetime) -> bool:
    """Tell whether the person signed in with this device lately."""
    return bool(await database.fetch(FIND_DEVICE, person_id, device_hash, now - KNOWN_FOR))


async def remember(tx: Transaction, person_id: UUID, device_hash: bytes, now: datetime) -> bool:
    """Note that the person signed in with this device; tell whether it is new."""
    is_new: bool = await tx.fetchval(REMEMBER_DEVICE, person_id, device_hash, now)
    return is_new


async def forget(tx: Transaction, person_id: UUID, but: bytes | None = None) -> None:
    """Forget the person's devices, all or all but one: whoever had the account before is a stranger on them."""
    await tx.execute(FORGET_DEVICES, person_id, but)


async def drop_unused(tx: Transaction, before: datetime, batch: int) -> int:
    """Forget at most ``batch`` devices that nobody signed in with since ``before``; return how many."""
    return len(await tx.fetch(DROP_UNUSED, before, batch))
