"""Decides how browser sessions are kept: found by the hash of their cookie, ended but not deleted."""

from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Row, Transaction
from idp.sign_in.rules.session import Session, read_factors, write_factors

ADD_SESSION = """
    INSERT INTO sessions
        (id_hash, lineage, person_id, factors, device_hash, sealed_place, created_at, last_seen_at, expires_at, app_client_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

FIND_SESSION = """
    SELECT id_hash, lineage, person_id, factors, created_at, last_seen_at, expires_at, ended_at FROM sessions WHERE id_hash = $1
"""

FIND_SUCCESSOR = """
    SELECT s.id_hash, s.lineage, s.person_id, s.factors, s.created_at, s.last_seen_at, s.expires_at, s.ended_at
    FROM sessions o JOIN sessions s ON s.lineage = o.lineage
    WHERE o.id_hash = $1 AND o.ended_at IS NOT NULL AND s.ended_at IS NULL AND s.expires_at > $2 AND s.app_client_id IS NULL
    ORDER BY s.last_seen_at DESC LIMIT 1
"""

LINEAGE_GOES_ON = "SELECT true FROM sessions WHERE lineage = $1 AND ended_at IS NULL AND expires_at > $2 LIMIT 1 FOR SHARE"

END_SESSION = """
    UPDATE sessions SET ended_at = $2, ended_reason = $3 WHERE id_hash = $1 AND ended_at IS NULL RETURNING person_id
"""

END_LINEAGE = """
    UPDATE sessions SET ended_at = $2, ended_reason = $3 WHERE lineage = $1 AND ended_at IS NULL RETURNING person_id
"""

LIST_LINEAGES = "SELECT DISTINCT lineage FROM sessions WHERE person_id = $1 AND ended_at IS NULL AND expires_at > $2"

END_SESSIONS_OF_PERSON = """
    UPDATE sessions SET ended_at = $2, ended_reason = $3 WHERE person_id = $1 AND ended_at IS NULL RETURNING lineage
"""

END_OTHER_SESSIONS = """
    UPDATE sessions SET ended_at = $3, ended_reason = $4 WHERE person_id = $1 AND lineage <> $2 AND ended_at IS NULL RETURNING lineage
"""

LINEAGE_HAS_MORE = "SELECT EXISTS (SELECT FROM sessions WHERE lineage = $1 AND ended_at IS NULL)"

PERSON_HAS_MORE = "SELECT EXISTS (SELECT FROM sessions WHERE person_id = $1 AND ended_at IS NULL)"

OTHERS_HAVE_MORE = "SELECT EXISTS (SELECT FROM sessions WHERE person_id = $1 AND lineage <> $2 AND ended_at IS NULL)"

HAS_ENDED = """
    SELECT EXISTS (SELECT FROM sessions WHERE person_id = $1 AND ended_at IS NOT NULL AND ended_reason <> 'replaced')
"""


async def add(
    tx: Transaction, session: Session, device_hash: bytes | None, sealed_place: bytes | None, app_client_id: str | None = None
) -> None:
    """Add a session; ``app_client_id`` names the app that it is of, None for a browser's."""
    await tx.execute(
        ADD_SESSION,
        session.id_hash,
        session.lineage,
        session.person_id,
        write_factors(session.proved),
        device_hash,
        sealed_place,
        session.created_at,
        session.last_seen_at,
        session.expires_at,
        app_client_id,
    )


async def goes_on(tx: Transaction, lineage: bytes, now: datetime) -> bool:
    """Tell whether a sign-in has not ended; it cannot end before the caller's transaction does."""
    return bool(await tx.fetchval(LINEAGE_GOES_ON, lineage, now))


async def find(database: Database, id_hash: bytes) -> Session | None:
    """Return the session, alive or not, None when there never was one."""
    rows = await database.fetch(FIND_SESSION, id_hash)
    return _read(rows[0]) if rows else None


async def find_successor(database: Database, id_hash: bytes, now: datetime) -> Session | None:
    """Return the session that took the place of one that ended, None when there is none or that one did not end."""
    rows = await database.fetch(FIND_SUCCESSOR, id_hash, now)
    return _read(rows[0]) if rows else None


async def end(tx: Transaction, id_hash: bytes, now: datetime, reason: str) -> UUID | None:
    """End a session; return whose it was, None when it had ended before."""
    person_id: UUID | None = await tx.fetchval(END_SESSION, id_hash, now, reason)
    return person_id


async def end_lineage(tx: Transaction, lineage: bytes, now: datetime, reason: str) -> tuple[UUID, int] | None:
    """End every session of a lineage; return whose they were and how many, None when all had ended before."""
    rows = await _end_all(tx, END_LINEAGE, LINEAGE_HAS_MORE, (lineage,), now, reason)
    return (rows[0]["person_id"], len(rows)) if rows else None


async def list_lineages(database: Database, person_id: UUID, now: datetime) -> list[bytes]:
    """Return the lineages of a person's sessions that have not ended, idle or not."""
    return [row["lineage"] for row in await database.fetch(LIST_LINEAGES, person_id, now)]


async def end_all(tx: Transaction, person_id: UUID, now: datetime, reason: str) -> list[bytes]:
    """End every session of a person; return their lineages, one for each."""
    rows = await _end_all(tx, END_SESSIONS_OF_PERSON, PERSON_HAS_MORE, (person_id,), now, reason)
    return [row["lineage"] for row in rows]


async def end_others(tx: Transaction, person_id: UUID, lineage: bytes, now: datetime, reason: str) -> list[bytes]:
    """End every session of a person but those of ``lineage``; return their lineages, one for each."""
    rows = await _end_all(tx, END_OTHER_SESSIONS, OTHERS_HAVE_MORE, (person_id, lineage), now, reason)
    return [row["lineage"] for row in rows]


async def _end_all(tx: Transaction, end: str, has_more: str, whose: tuple[object, ...], now: datetime, reason: str) -> list[Row]:
    """Return what the statement ``end`` ended, repeated until ``has_more`` finds nothing.

    It waits for whoever replaces one of the sessions at this moment, and does not see the one that is put in its place.
    """
    ended = await tx.fetch(end, *whose, now, reason)
    while await tx.fetchval(has_more, *whose):
        ended = [*ended, *await tx.fetch(end, *whose, now, reason)]
    return list(ended)


def _read(row: Row) -> Session:
    return Session(
        id_hash=row["id_hash"],
        lineage=row["lineage"],
        person_id=row["person_id"],
        proved=read_factors(row["factors"]),
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        ended_at=row["ended_at"],
    )


async def has_ended(tx: Transaction, person_id: UUID) -> bool:
    """Tell whether a session of the person ended otherwise than by being replaced."""
    found: bool = await tx.fetchval(HAS_ENDED, person_id)
    return found
