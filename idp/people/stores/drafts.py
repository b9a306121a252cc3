"""Decides how registrations on their way are kept: one row a browser, sealed, moved on by one request at a time."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Row, Transaction

# An ended one may still stand there until the worker comes by.
DROP_ENDED = "DELETE FROM registration_drafts WHERE owner_hash = $1 AND expires_at <= $2"

ADD_DRAFT = """
    INSERT INTO registration_drafts (id, owner_hash, step, version, sealed, person_id, created_at, expires_at)
    VALUES ($1, $2, $3, 1, $4, $5, $6, $7)
"""

FIND_DRAFT = """
    SELECT id, version, sealed, checking_until, awaited FROM registration_drafts WHERE owner_hash = $1 AND expires_at > $2
"""

FIND_DRAFT_BY_ID = """
    SELECT id, version, sealed, checking_until, awaited FROM registration_drafts WHERE id = $1 AND expires_at > $2
"""

SAVE_DRAFT = """
    UPDATE registration_drafts
    SET version = version + 1, step = $3, sealed = $4, checking_until = $5, awaited = $6, person_id = $7, expires_at = $8
    WHERE id = $1 AND version = $2
    RETURNING version
"""

DROP_DRAFT = "DELETE FROM registration_drafts WHERE id = $1"

DROP_EXPIRED = """
    DELETE FROM registration_drafts WHERE id IN (
        SELECT id FROM registration_drafts WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, step
"""

LIST_AWAITED = "SELECT DISTINCT awaited FROM registration_drafts WHERE awaited IS NOT NULL"

LIST_AWAITING = """
    SELECT id, version, sealed, checking_until, awaited FROM registration_drafts WHERE awaited = $1 AND id > $2 AND expires_at > $3
    ORDER BY id LIMIT $4
"""

STOP_AWAITING = "UPDATE registration_drafts SET awaited = NULL WHERE id = $1 AND awaited = $2 RETURNING id"


@dataclass(frozen=True, repr=False)
class StoredDraft:
    """One row; ``checking_until``: somebody is asking authorities for it until then."""

    id: UUID
    version: int
    sealed: bytes
    checking_until: datetime | None
    awaited: str | None


async def add(
    tx: Transaction,
    draft_id: UUID,
    owner_hash: bytes,
    step: str,
    sealed: bytes,
    person_id: UUID | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Add a registration. Raises UniqueViolation of the driver when this browser or person has a live one."""
    await tx.execute(DROP_ENDED, owner_hash, now)
    await tx.execute(ADD_DRAFT, draft_id, owner_hash, step, sealed, person_id, now, expires_at)


async def find_by_owner(database: Database, owner_hash: bytes, now: datetime) -> StoredDraft | None:
    """Return the live registration of a browser, or what somebody with an account is adding."""
    rows = await database.fetch(FIND_DRAFT, owner_hash, now)
    return _read(rows[0]) if rows else None


async def find_by_id(database: Database, draft_id: UUID, now: datetime) -> StoredDraft | None:
    """Return a live registration."""
    rows = await database.fetch(FIND_DRAFT_BY_ID, draft_id, now)
    return _read(rows[0]) if rows else None


async def save(
    tx: Transaction,
    draft_id: UUID,
    version: int,
    step: str,
    sealed: bytes,
    checking_until: datetime | None,
    awaited: str | None,
    person_id: UUID | None,
    expires_at: datetime,
) -> int | None:
    """Store the next version and return its number; None, and nothing stored, when another request moved it first."""
    found: int | None = await tx.fetchval(SAVE_DRAFT, draft_id, version, step, sealed, checking_until, awaited, person_id, expires_at)
    return found


async def drop(tx: Transaction, draft_id: UUID) -> None:
    """Forget a registration."""
    await tx.execute(DROP_DRAFT, draft_id)


async def drop_expired(tx: Transaction, now: datetime, limit: int) -> list[tuple[UUID, str]]:
    """Forget at most ``limit`` registrations whose time is over; return their ids and the steps they had reached."""
    return [(row["id"], row["step"]) for row in await tx.fetch(DROP_EXPIRED, now, limit)]


async def list_awaited(database: Database) -> list[str]:
    """Return the kinds whose silent authority somebody waits for."""
    return [row["awaited"] for row in await database.fetch(LIST_AWAITED)]


async def list_awaiting(database: Database, kind: str, after: UUID, now: datetime, limit: int) -> list[StoredDraft]:
    """Return registrations that wait for ``kind``, by id behind ``after``."""
    return [_read(row) for row in await database.fetch(LIST_AWAITING, kind, after, now, limit)]


async def stop_awaiting(tx: Transaction, draft_id: UUID, kind: str) -> bool:
    """Note that the person is told; tell False when somebody else did."""
    return await tx.fetchval(STOP_AWAITING, draft_id, kind) is not None


def _read(row: Row) -> StoredDraft:
    return StoredDraft(row["id"], row["version"], row["sealed"], row["checking_until"], row["awaited"])
