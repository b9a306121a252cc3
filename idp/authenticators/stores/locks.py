"""Decides how locks survive a crash: a logged table, read before every attempt."""

from collections.abc import Sequence
from datetime import datetime

from idp.platform.database import Database, Transaction

FIND_LOCK = (
    "SELECT max(locked_until) AS locked_until FROM sign_in_locks WHERE way = $1 AND subject_hash = ANY($2::bytea[]) AND locked_until > $3"
)

SET_LOCK = """
    INSERT INTO sign_in_locks (way, subject_hash, locked_until) VALUES ($1, $2, $3)
    ON CONFLICT (way, subject_hash) DO UPDATE SET locked_until = greatest(sign_in_locks.locked_until, excluded.locked_until)
"""

DROP_OPEN = "DELETE FROM sign_in_locks WHERE locked_until <= $1"


async def find_lock(database: Database, way: str, subject_hashes: Sequence[bytes], now: datetime) -> datetime | None:
    """Return until when the way is locked for any of ``subject_hashes`` (one per index key), None when it is open."""
    rows = await database.fetch(FIND_LOCK, way, subject_hashes, now)
    until: datetime | None = rows[0]["locked_until"]
    return until


async def set_lock(tx: Transaction, way: str, subject_hash: bytes, until: datetime) -> None:
    """Lock the way until ``until``; a longer lock stays."""
    await tx.execute(SET_LOCK, way, subject_hash, until)


async def drop_open(tx: Transaction, now: datetime) -> None:
    """Forget the locks whose time is over."""
    await tx.execute(DROP_OPEN, now)
