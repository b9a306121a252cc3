"""Decides how a person's own sessions are listed, and why one ended."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.platform.database import Database

LIST_SESSIONS = """
    SELECT id_hash, lineage, sealed_place, created_at, last_seen_at, app_client_id FROM sessions
    WHERE person_id = $1 AND ended_at IS NULL AND expires_at > $2
    ORDER BY last_seen_at DESC, id_hash LIMIT $3
"""

FIND_ENDED_REASON = "SELECT ended_reason FROM sessions WHERE id_hash = $1 AND ended_at IS NOT NULL"


@dataclass(frozen=True)
class StoredSession:
    """A session that has not ended, idle or not, with its sealed place."""

    id_hash: bytes
    lineage: bytes
    sealed_place: bytes | None
    created_at: datetime
    last_seen_at: datetime
    app_client_id: str | None


async def list_of_person(database: Database, person_id: UUID, now: datetime, limit: int) -> list[StoredSession]:
    """Return at most ``limit`` sessions of a person that have not ended, the last used first."""
    rows = await database.fetch(LIST_SESSIONS, person_id, now, limit)
    return [
        StoredSession(r["id_hash"], r["lineage"], r["sealed_place"], r["created_at"], r["last_seen_at"], r["app_client_id"]) for r in rows
    ]


async def find_ended_reason(database: Database, id_hash: bytes) -> str | None:
    """Return why a session ended, None when it did not or never was."""
    rows = await database.fetch(FIND_ENDED_REASON, id_hash)
    return rows[0]["ended_reason"] if rows else None
