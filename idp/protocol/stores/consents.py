"""Decides how consents are kept: one row per person, client, purpose and version."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Transaction

GIVE_CONSENT = """
    INSERT INTO consents (person_id, client_id, purpose, version, claims, given_at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (person_id, client_id, purpose, version)
    DO UPDATE SET given_at = excluded.given_at, claims = excluded.claims, withdrawn_at = NULL
"""


async def give(
    tx: Transaction, person_id: UUID, client_id: str, purpose: str, version: int, claims: tuple[str, ...], now: datetime
) -> None:
    """Record that the person agreed; agreeing again after a withdrawal counts anew."""
    await tx.execute(GIVE_CONSENT, person_id, client_id, purpose, version, " ".join(claims), now)
