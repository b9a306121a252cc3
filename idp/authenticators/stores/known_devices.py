"""Decides how the devices a person signed in with are remembered: by the hash of their cookie."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Transaction

FIND_DEVICE = "SELECT last_seen_at FROM known_devices WHERE person_id = $1 AND device_hash = $2"

REMEMBER_DEVICE = """
    INSERT INTO known_devices (person_id, device_hash, first_seen_at, last_seen_at) VALUES ($1, $2, $3, $3)
    ON CONFLICT (person_id, device_hash) DO UPDATE SET last_seen_at = excluded.last_seen_at
    RETURNING first_seen_at = last_seen_at AS is_new
"""


async def is_known(database: Database, person_id: UUID, device_hash: bytes) -> bool:
    """Tell whether the person signed in with this device before."""
    return bool(await database.fetch(FIND_DEVICE, person_id, device_hash))


async def remember(tx: Transaction, person_id: UUID, device_hash: bytes, now: datetime) -> bool:
    """Note that the person signed in with this device; tell whether it is new."""
    is_new: bool = await tx.fetchval(REMEMBER_DEVICE, person_id, device_hash, now)
    return is_new
