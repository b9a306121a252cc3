"""Decides what names the password that a change replaces, so that it overtakes no other one."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Database

FIND_PASSWORD_CHANGE = "SELECT changed_at FROM passwords WHERE person_id = $1"  # noqa: S105 - a statement


async def find_changed_at(database: Database, person_id: UUID) -> datetime | None:
    """Return when the password was set, None when there is none."""
    rows = await database.fetch(FIND_PASSWORD_CHANGE, person_id)
    return rows[0]["changed_at"] if rows else None
