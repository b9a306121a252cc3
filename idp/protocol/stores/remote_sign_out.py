"""Decides how the grants of a person's other sign-ins end: by lineage, whether they live with the session or outlive it."""

from collections import Counter
from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

END_GRANTS_OF_LINEAGE = """
    UPDATE grants SET ended_at = $3, ended_reason = $4
    WHERE person_id = $1 AND lineage = $2 AND ended_at IS NULL AND expires_at > $3
    RETURNING client_id
"""

END_GRANTS_OF_OTHERS = """
    UPDATE grants SET ended_at = $3, ended_reason = $4
    WHERE person_id = $1 AND lineage IS DISTINCT FROM $2 AND ended_at IS NULL AND expires_at > $3
    RETURNING client_id
"""


async def end_of_lineage(tx: Transaction, person_id: UUID, lineage: bytes, now: datetime, reason: str) -> dict[str, int]:
    """End the grants of one lineage; return how many of which client."""
    return Counter(row["client_id"] for row in await tx.fetch(END_GRANTS_OF_LINEAGE, person_id, lineage, now, reason))


async def end_of_others(tx: Transaction, person_id: UUID, lineage: bytes, now: datetime, reason: str) -> dict[str, int]:
    """End the person's grants of every other lineage; return how many of which client."""
    return Counter(row["client_id"] for row in await tx.fetch(END_GRANTS_OF_OTHERS, person_id, lineage, now, reason))
