"""Decides how identifiers are kept: found by blind index, unique by (kind, index), sealed for whoever may read them."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

ADD_IDENTIFIER = """
    INSERT INTO person_identifiers (kind, index_value, person_id, sealed, matched_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (kind, index_value) DO NOTHING
    RETURNING person_id
"""

REFRESH_PHONE_MATCH = "UPDATE person_identifiers SET matched_at = $2 WHERE person_id = $1 AND kind = 'phone' RETURNING kind"


async def add(
    tx: Transaction, kind: str, index_value: bytes, person_id: UUID, sealed: bytes, matched_at: datetime | None, now: datetime
) -> bool:
    """Add an identifier; tell False, and add nothing, when somebody has it."""
    return await tx.fetchval(ADD_IDENTIFIER, kind, index_value, person_id, sealed, matched_at, now) is not None


async def refresh_phone_match(tx: Transaction, person_id: UUID, matched_at: datetime) -> bool:
    """Note that the operator matched name, document and phone; tell False when the person has no phone."""
    return await tx.fetchval(REFRESH_PHONE_MATCH, person_id, matched_at) is not None
