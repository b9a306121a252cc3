"""Decides how the level of a person is raised in the row that every sign-on reads, and which evidence counts towards it."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Transaction

RAISE_IAL = """
    UPDATE people SET ial = greatest(ial, $2), updated_at = $3 WHERE id = $1 AND status = 'active' RETURNING id
"""

# What a case under way matched is not told before the case is over: it would tell what did not match.
LIST_PROVED = """
    SELECT kind, max(at) AS at FROM proofing_evidence e
    WHERE person_id = $1 AND result = 'match'
      AND NOT EXISTS (SELECT 1 FROM registration_drafts d WHERE d.id = e.case_id AND d.step <> 'done')
    GROUP BY kind ORDER BY kind
"""


async def raise_ial(tx: Transaction, person_id: UUID, ial: int, now: datetime) -> bool:
    """Raise the level, never lower it; tell False when the account is not active."""
    return await tx.fetchval(RAISE_IAL, person_id, ial, now) is not None


async def list_proved(database: Database, person_id: UUID) -> dict[str, datetime]:
    """Return which kinds matched for a person in cases that are over, with the latest instant of each."""
    return {row["kind"]: row["at"] for row in await database.fetch(LIST_PROVED, person_id)}
