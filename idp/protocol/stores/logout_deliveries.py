"""Decides how it is kept which departments know of a sign-in, and whether they were told that it ended."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from idp.platform.database import Database, Row, Transaction
from idp.protocol.rules.client import read_document
from idp.protocol.rules.client_metadata import LogoutAddresses
from idp.protocol.rules.client_status import CLOSED
from idp.protocol.rules.logout import Channel, State

# Whoever has a grant was issued an ID Token, unless a token was exchanged for it; also an ended grant leaves a sign-in at the department.
FIND_INVOLVED = """
    SELECT DISTINCT ON (g.lineage, g.client_id) g.lineage, g.subject, g.created_at, c.client_id, c.status, c.document
    FROM grants g JOIN clients c ON c.client_id = g.client_id
    WHERE g.lineage = ANY($1::bytea[]) AND g.subject IS NOT NULL AND g.parent_id IS NULL AND ($2::text IS NULL OR g.client_id = $2)
    ORDER BY g.lineage, g.client_id, g.created_at DESC
"""

# What was told before a later sign-on says nothing of it: somebody was barred from one department, let in again, and signed on anew.
ADD_DELIVERY = """
    INSERT INTO logout_deliveries (lineage, client_id, person_id, subject, channel, state, reason, created_at, expires_at, finished_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (lineage, client_id) DO UPDATE SET channel = excluded.channel, state = excluded.state, reason = excluded.reason,
        created_at = excluded.created_at, expires_at = excluded.expires_at, finished_at = excluded.finished_at
        WHERE logout_deliveries.created_at < $11
    RETURNING client_id
"""

FIND_WAITING = """
    SELECT lineage, client_id, person_id, subject, created_at FROM logout_deliveries
    WHERE lineage = $1 AND client_id = $2 AND state = 'waiting'
"""

NOTE_TROUBLE = """
    UPDATE logout_deliveries SET reason = $3 WHERE lineage = $1 AND client_id = $2 AND state = 'waiting'
"""

FINISH = """
    UPDATE logout_deliveries SET state = $3, reason = $4, finished_at = $5
    WHERE lineage = $1 AND client_id = $2 AND state = 'waiting'
    RETURNING person_id
"""

SHOW = """
    UPDATE logout_deliveries SET state = 'shown', reason = NULL, finished_at = $2
    WHERE lineage = $1 AND channel = 'front' AND state = 'untold'
      AND client_id IN (SELECT c.client_id FROM clients c WHERE c.status <> ALL ($3::text[]))
    RETURNING client_id, person_id
"""

GIVE_UP_OVERDUE = """
    UPDATE logout_deliveries SET state = 'untold', reason = coalesce(reason, $2), finished_at = $1
    WHERE (lineage, client_id) IN (
        SELECT lineage, client_id FROM logout_deliveries WHERE state = 'waiting' AND expires_at <= $1
        ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    RETURNING client_id, person_id, reason
"""

LIST_OF_LINEAGE = """
    SELECT d.channel, d.state, d.expires_at, c.client_id, c.status, c.document
    FROM logout_deliveries d JOIN clients c ON c.client_id = d.client_id
    WHERE d.lineage = $1 ORDER BY c.client_id
"""

DROP_OLD = """
    DELETE FROM logout_deliveries WHERE (lineage, client_id) IN (
        SELECT lineage, client_id FROM logout_deliveries WHERE created_at < $1 ORDER BY created_at LIMIT $2
    )
    RETURNING client_id
"""


@dataclass(frozen=True)
class Told:
    """A client as far as it is told of sign-outs; a closed one is not told through a browser."""

    client_id: str
    name: str
    name_en: str
    logout: LogoutAddresses


@dataclass(frozen=True)
class Involved:
    """A client that knows a sign-in, under which subject, and since when by its latest sign-on."""

    lineage: bytes
    subject: str
    signed_on_at: datetime
    client: Told


@dataclass(frozen=True)
class Delivery:
    """What is to be told to one department: the sign-in of this lineage, known there as ``subject``, ended at ``created_at``."""

    lineage: bytes
    client_id: str
    person_id: UUID
    subject: str
    created_at: datetime


@dataclass(frozen=True)
class Ended:
    """One delivery that found its end: of whose sign-in, to whom, and why it was not told."""

    client_id: str
    person_id: UUID
    reason: str = ""


@dataclass(frozen=True)
class Kept:
    """What is known of telling one department."""

    client: Told
    channel: Channel
    state: State
    expires_at: datetime


async def find_involved(tx: Transaction, lineages: Sequence[bytes], client_id: str | None) -> list[Involved]:
    """Return the departments that know these sign-ins, each once per lineage; of them ``client_id`` alone when it is named."""
    rows = await tx.fetch(FIND_INVOLVED, list(lineages), client_id)
    return [Involved(row["lineage"], row["subject"], row["created_at"], _read_told(row)) for row in rows]


async def add(
    tx: Transaction,
    delivery: Delivery,
    channel: Channel,
    state: State,
    reason: str | None,
    expires_at: datetime,
    signed_on_at: datetime,
) -> bool:
    """Note that a department is to be told; False when it was noted after ``signed_on_at``: of one end nobody is told twice."""
    finished_at = None if state is State.WAITING else delivery.created_at
    row = await tx.fetchrow(
        ADD_DELIVERY,
        delivery.lineage,
        delivery.client_id,
        delivery.person_id,
        delivery.subject,
        channel.value,
        state.value,
        reason,
        delivery.created_at,
        expires_at,
        finished_at,
        signed_on_at,
    )
    return row is not None


async def find_waiting(database: Database, lineage: bytes, client_id: str) -> Delivery | None:
    """Return what still waits to be told, None when it came to an end."""
    rows = await database.fetch(FIND_WAITING, lineage, client_id)
    return Delivery(**dict(rows[0])) if rows else None


async def note_trouble(database: Database, lineage: bytes, client_id: str, reason: str) -> None:
    """Keep why the last attempt did not work."""
    await database.write(NOTE_TROUBLE, lineage, client_id, reason)


async def finish(tx: Transaction, lineage: bytes, client_id: str, state: State, reason: str | None, now: datetime) -> UUID | None:
    """Note how telling ended; return whose sign-in it was, None when that was noted before."""
    person_id: UUID | None = await tx.fetchval(FINISH, lineage, client_id, state.value, reason, now)
    return person_id


async def show(tx: Transaction, lineage: bytes, now: datetime) -> list[Ended]:
    """Note that the browser is given the addresses of all departments that are told through it; return which, the first time.

    A closed one has none, and stays untold.
    """
    return [Ended(row["client_id"], row["person_id"]) for row in await tx.fetch(SHOW, lineage, now, list(CLOSED))]


async def give_up_overdue(tx: Transaction, now: datetime, reason: str, limit: int) -> list[Ended]:
    """Note of at most ``limit`` deliveries that their time is up, with what stood in their way last; return them."""
    return [_read_ended(row) for row in await tx.fetch(GIVE_UP_OVERDUE, now, reason, limit)]


async def list_of_lineage(database: Database, lineage: bytes) -> list[Kept]:
    """Return what is known of telling the departments of one sign-in."""
    rows = await database.fetch(LIST_OF_LINEAGE, lineage)
    return [Kept(_read_told(row), Channel(row["channel"]), State(row["state"]), row["expires_at"]) for row in rows]


async def drop_old(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete at most ``limit`` rows of ends before ``before``; return how many."""
    return len(await tx.fetch(DROP_OLD, before, limit))


def _read_told(row: Row) -> Told:
    document = read_document(json.loads(row["document"]))
    logout: LogoutAddresses = document["logout"]
    if row["status"] in CLOSED:
        logout = replace(logout, frontchannel_logout_uri=None)
    return Told(row["client_id"], document["name"], document["name_en"], logout)


def _read_ended(row: Row) -> Ended:
    return Ended(row["client_id"], row["person_id"], row["reason"])
