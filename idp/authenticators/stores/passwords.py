"""Decides how password verifiers are kept: one per person, replaced only while it is still the one that was read."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Transaction

FIND_VERIFIER = "SELECT verifier FROM passwords WHERE person_id = $1"

SET_VERIFIER = """
    INSERT INTO passwords (person_id, verifier, changed_at) VALUES ($1, $2, $3)
    ON CONFLICT (person_id) DO UPDATE
    SET verifier = excluded.verifier, changed_at = excluded.changed_at, must_change = false
"""

UPGRADE_VERIFIER = "UPDATE passwords SET verifier = $3 WHERE person_id = $1 AND verifier = $2"

DEMAND_CHANGE = "UPDATE passwords SET must_change = true WHERE person_id = $1 AND changed_at <= $2"


async def find_verifier(database: Database, person_id: UUID) -> str | None:
    """Return the person's verifier, None when there is no password."""
    rows = await database.fetch(FIND_VERIFIER, person_id)
    return rows[0]["verifier"] if rows else None


async def set_verifier(tx: Transaction, person_id: UUID, verifier: str, now: datetime) -> None:
    """Store a new password's verifier over whatever was there."""
    await tx.execute(SET_VERIFIER, person_id, verifier, now)


async def upgrade_verifier(tx: Transaction, person_id: UUID, old: str, new: str) -> None:
    """Exchange the verifier of the same password; nothing happens when the password was changed meanwhile."""
    await tx.execute(UPGRADE_VERIFIER, person_id, old, new)


async def demand_change(tx: Transaction, person_id: UUID, proved_at: datetime) -> None:
    """Note that the next sign-in asks for another password, unless there is a newer one than was proved at ``proved_at``."""
    await tx.execute(DEMAND_CHANGE, person_id, proved_at)
