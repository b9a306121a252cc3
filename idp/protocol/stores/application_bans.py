"""Decides how bans that hold at one application are kept: every one with its reason, and on the person's row where it holds now."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

ADD_BAN = """
    INSERT INTO application_bans (person_id, id, client_id, reference, reason, banned_by, banned_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (person_id, client_id) WHERE ended_at IS NULL DO NOTHING RETURNING id
"""

END_BAN = """
    UPDATE application_bans SET ended_by = $3, ended_at = $4 WHERE person_id = $1 AND client_id = $2 AND ended_at IS NULL RETURNING id
"""

# The row is read on every sign-on and by every use of a token anyway: who is barred somewhere costs nobody another look-up.
NOTE_WHERE = """
    UPDATE people SET barred_from = (SELECT array_agg(b.client_id ORDER BY b.client_id) FROM application_bans b
                                     WHERE b.person_id = $1 AND b.ended_at IS NULL)
    WHERE id = $1
"""


@dataclass(frozen=True)
class ApplicationBan:
    """One ban. ``reference`` names the case, ``reason`` is what the person is told."""

    person_id: UUID
    id: UUID
    client_id: str
    reference: str
    reason: str
    banned_by: str
    banned_at: datetime


async def add(tx: Transaction, ban: ApplicationBan) -> bool:
    """Add a ban, which holds at once; tell False when one holds already."""
    fields = (ban.person_id, ban.id, ban.client_id, ban.reference, ban.reason, ban.banned_by, ban.banned_at)
    if await tx.fetchval(ADD_BAN, *fields) is None:
        return False
    await tx.execute(NOTE_WHERE, ban.person_id)
    return True


async def end(tx: Transaction, person_id: UUID, client_id: str, ended_by: str, now: datetime) -> bool:
    """End the ban that holds; tell False when none does."""
    if await tx.fetchval(END_BAN, person_id, client_id, ended_by, now) is None:
        return False
    await tx.execute(NOTE_WHERE, person_id)
    return True
