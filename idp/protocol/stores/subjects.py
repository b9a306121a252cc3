"""Decides how pairwise subjects are kept: made once per person and sector, never derived (domain.md §1)."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Transaction

ADD_SUBJECT = """
    INSERT INTO subjects (person_id, sector_id, sub, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (person_id, sector_id) DO NOTHING
"""

READ_SUBJECT = "SELECT sub FROM subjects WHERE person_id = $1 AND sector_id = $2"

READ_PERSON_OF_SUBJECT = "SELECT person_id FROM subjects WHERE sub = $1 AND sector_id = $2"


async def find_person(database: Database, subject: str, sector_id: UUID) -> UUID | None:
    """Return whose subject this is in a sector, None when it is nobody's."""
    rows = await database.fetch(READ_PERSON_OF_SUBJECT, subject, sector_id)
    return rows[0]["person_id"] if rows else None


async def find(database: Database, person_id: UUID, sector_id: UUID) -> str | None:
    """Return the subject of a person in a sector, None when there is none yet."""
    rows = await database.fetch(READ_SUBJECT, person_id, sector_id)
    return rows[0]["sub"] if rows else None


async def find_or_add(tx: Transaction, person_id: UUID, sector_id: UUID, new_subject: str, now: datetime) -> str:
    """Return the subject of a person in a sector; ``new_subject`` is kept only when there was none."""
    await tx.execute(ADD_SUBJECT, person_id, sector_id, new_subject, now)
    subject: str = await tx.fetchval(READ_SUBJECT, person_id, sector_id)
    return subject
