"""Decides how a person's own consents are listed and withdrawn; a withdrawn one is kept with its instant."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Transaction

LIST_CONSENTS = """
    SELECT client_id, purpose, version, claims, given_at, withdrawn_at FROM consents
    WHERE person_id = $1 ORDER BY given_at DESC, client_id, purpose, version DESC LIMIT $2
"""

WITHDRAW_CONSENT = """
    UPDATE consents SET withdrawn_at = $4
    WHERE person_id = $1 AND client_id = $2 AND purpose = $3 AND withdrawn_at IS NULL
    RETURNING version, claims
"""


@dataclass(frozen=True)
class StoredConsent:
    """What a person once agreed to."""

    client_id: str
    purpose: str
    version: int
    claims: tuple[str, ...]
    given_at: datetime
    withdrawn_at: datetime | None


async def list_consents(database: Database, person_id: UUID, limit: int) -> list[StoredConsent]:
    """Return at most ``limit`` consents of a person, the newest first."""
    return [
        StoredConsent(r["client_id"], r["purpose"], r["version"], tuple(r["claims"].split()), r["given_at"], r["withdrawn_at"])
        for r in await database.fetch(LIST_CONSENTS, person_id, limit)
    ]


async def withdraw(tx: Transaction, person_id: UUID, client_id: str, purpose: str, now: datetime) -> list[tuple[int, str]]:
    """Withdraw every version of a purpose; return (version, claims) of each, nothing when there is none (any more)."""
    return [(r["version"], r["claims"]) for r in await tx.fetch(WITHDRAW_CONSENT, person_id, client_id, purpose, now)]
