"""Decides how the level of a person is raised in the row that every sign-on reads."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

RAISE_IAL = """
    UPDATE people SET ial = greatest(ial, $2), updated_at = $3 WHERE id = $1 AND status = 'active' RETURNING id
"""


async def raise_ial(tx: Transaction, person_id: UUID, ial: int, now: datetime) -> bool:
    """Raise the level, never lower it; tell False when the account is not active."""
    return await tx.fetchval(RAISE_IAL, person_id, ial, now) is not None
