"""Decides how a change of password is kept from overtaking another one."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Transaction

FIND_PASSWORD_CHANGE = "SELECT changed_at FROM passwords WHERE person_id = $1"  # noqa: S105 - a statement

HOLD_PASSWORD_CHANGE = "SELECT changed_at FROM passwords WHERE person_id = $1 FOR UPDATE"  # noqa: S105 - a statement


async def find_changed_at(database: Database, person_id: UUID) -> datetime | None:
    """Return when the password was set, None when there is none."""
    rows = await database.fetch(FIND_PASSWORD_CHANGE, person_id)
    return rows[0]["changed_at"] if rows else None


async def hold_changed_at(tx: Transaction, person_id: UUID) -> datetime | None:
    """Return the same, and let nobody else set it before the transaction ends."""
    changed_at: datetime | None = await tx.fetchval(HOLD_PASSWORD_CHANGE, person_id)
    return changed_at
