"""Decides how the few hot writes reach the disk: one statement commits all that arrived while the last one was in flight.

Every caller waits for its own flush: a failed flush is a failed answer. Rows of one flush succeed or fail alone: a code that
was redeemed before conflicts, a refresh token of an old generation changes nothing, and the audit row of such a row is not
written (the caller audits the refusal with its reason).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from idp.platform.audit_log import COLUMN_LIST, PreparedEvent
from idp.platform.database import Database

MAX_BATCH = 128


class GrantRow(NamedTuple):
    """A grant as it is first written; ``id`` is the id of the code it comes from, so that a second redemption conflicts."""

    id: UUID
    client_id: str
    person_id: UUID | None
    lineage: bytes | None
    scope: str
    subject: str | None
    audience: str | None
    factors: str
    acr: str | None
    created_at: datetime
    expires_at: datetime
    confirmation: str | None = None
    terms: str | None = None
    signed_by: str | None = None
    idle_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """One use of a refresh token: the grant's generation grows if it still is ``generation``."""

    grant_id: UUID
    generation: int
    at: datetime


Write = GrantRow | Rotation | None


@dataclass(frozen=True, slots=True)
class _Entry:
    write: Write
    event: PreparedEvent
    done: asyncio.Future[bool]


EVENTS_FROM = "INTO audit_events (" + COLUMN_LIST + ") SELECT " + COLUMN_LIST + " FROM "  # noqa: S608 - constants alone
EVENT_ARRAYS = """
    $1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::text[],
    $10::bytea[], $11::bytea[], $12::text[], $13::bytea[]
"""
"""The columns of many audit rows, each as one array."""

ROWS_WITH_NEEDS = "unnest(" + EVENT_ARRAYS + ", $14::uuid[]) AS e (" + COLUMN_LIST + ", needs)"
"""The same, each with the grant that it is only written for."""

FLUSH_EVENTS = "INSERT " + EVENTS_FROM + "unnest(" + EVENT_ARRAYS + ") AS e (" + COLUMN_LIST + ")"

# A person who was banned, or a session that ended, between the code and its redemption inserts nothing.
FLUSH_GRANTS = (
    """
    WITH new AS (
        INSERT INTO grants (id, client_id, person_id, lineage, scope, subject, audience, factors, acr, created_at, expires_at,
                            confirmation, terms, signed_by, idle_limit)
        SELECT id, client_id, person_id, lineage, scope, subject, audience, factors, acr, created_at, expires_at,
               confirmation, terms, signed_by, idle_limit
        FROM unnest($15::uuid[], $16::text[], $17::uuid[], $18::bytea[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[],
                    $24::timestamptz[], $25::timestamptz[], $26::text[], $27::text[], $28::text[],
                    $29::integer[])
            AS g (id, client_id, person_id, lineage, scope, subject, audience, factors, acr, created_at, expires_at,
                  confirmation, terms, signed_by, idle_limit)
        WHERE (g.person_id IS NULL OR (SELECT p.status FROM people p WHERE p.id = g.person_id) = 'active')
          AND (g.lineage IS NULL OR (SELECT true FROM sessions s WHERE s.lineage = g.lineage AND s.ended_at IS NULL LIMIT 1))
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ), events AS (
        INSERT
    """  # noqa: S608 - constants alone
    + EVENTS_FROM
    + ROWS_WITH_NEEDS
    + """
        WHERE e.needs IS NULL OR e.needs IN (SELECT id FROM new)
    )
    SELECT id FROM new
    """
)

FLUSH_ROTATIONS = (
    """
    WITH turned AS (
        UPDATE grants SET generation = grants.generation + 1, rotated_at = r.at, graced = false
        FROM unnest($15::uuid[], $16::integer[], $17::timestamptz[]) AS r (id, generation, at)
        WHERE grants.id = r.id AND grants.generation = r.generation AND grants.ended_at IS NULL AND grants.expires_at > r.at
        RETURNING grants.id
    ), events AS (
        INSERT
    """  # noqa: S608 - constants alone
    + EVENTS_FROM
    + ROWS_WITH_NEEDS
    + """
        WHERE e.needs IS NULL OR e.needs IN (SELECT id FROM turned)
    )
    SELECT id FROM turned
    """
)

TOUCH_SESSIONS = """
    UPDATE sessions SET last_seen_at = t.at
    FROM unnest($1::bytea[], $2::timestamptz[]) AS t (id_hash, at)
    WHERE sessions.id_hash = t.id_hash AND sessions.last_seen_at < t.at
"""


class Ledger:
    """Group commit of grant redemptions, rotations, session touches and the audit rows that need no other SQL.

    ``on_flush(rows, seconds, failed=…)`` is told of every flush.
    """

    def __init__(self, database: Database, on_flush: Callable[..., None] | None = None) -> None:
        self._database = database
        self._on_flush = on_flush
        self._pending: list[_Entry] = []
        self._touches: dict[bytes, datetime] = {}
        self._flying: asyncio.Task[None] | None = None

    async def record(self, event: PreparedEvent) -> None:
        """Write one audit row; returns when it is durable."""
        await self._enter(None, event)

    async def redeem(self, grant: GrantRow, event: PreparedEvent) -> bool:
        """Write the grant and its audit row; False (and no audit row) when it exists already or may no longer be given."""
        return await self._enter(grant, event)

    async def rotate(self, rotation: Rotation, event: PreparedEvent) -> bool:
        """Advance a grant's generation with its audit row; False (and no audit row) when it is not at that generation."""
        return await self._enter(rotation, event)

    def touch(self, session_hash: bytes, at: datetime) -> None:
        """Note that a session was used; it is written soon, and nobody waits for it."""
        self._touches[session_hash] = at
        self._start()

    async def drain(self) -> None:
        """Wait until everything that was entered is written."""
        while self._flying is not None:
            await asyncio.wait([self._flying])

    def _enter(self, write: Write, event: PreparedEvent) -> asyncio.Future[bool]:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append(_Entry(write, event, done))
        self._start()
        return done

    def _start(self) -> None:
        if self._flying is None:
            self._flying = asyncio.create_task(self._fly())

    async def _fly(self) -> None:
        try:
            while self._pending or self._touches:
                if self._touches:
                    await self._flush_touches()
                entries = self._take()
                if entries:
                    await self._flush(entries)
        finally:
            self._flying = None
            if self._pending or self._touches:
                self._start()

    def _take(self) -> list[_Entry]:
        """Take the next flush: entries in order, at most one rotation or redemption per grant, and only one kind of the two."""
        chosen: list[_Entry] = []
        kept: list[_Entry] = []
        seen: set[UUID] = set()
        kind: type | None = None
        for entry in self._pending:
            write = entry.write
            if len(chosen) >= MAX_BATCH:
                kept.append(entry)
            elif write is None:
                chosen.append(entry)
            else:
                identity = write.id if isinstance(write, GrantRow) else write.grant_id
                if kind not in (None, type(write)) or identity in seen:
                    kept.append(entry)
                else:
                    kind = type(write)
                    seen.add(identity)
                    chosen.append(entry)
        self._pending = kept
        return chosen

    async def _flush(self, entries: list[_Entry]) -> None:
        started = time.perf_counter()
        failed = True
        try:
            written = await self._write(entries)
            failed = False
        except BaseException as error:
            failure = error if isinstance(error, Exception) else RuntimeError("the ledger was stopped")
            for entry in entries:
                if not entry.done.done():
                    entry.done.set_exception(failure)
            if not isinstance(error, Exception):
                raise
            return
        finally:
            if self._on_flush is not None:
                self._on_flush(len(entries), time.perf_counter() - started, failed=failed)
        for entry in entries:
            if not entry.done.done():
                entry.done.set_result(entry.write is None or _identify(entry.write) in written)

    async def _write(self, entries: list[_Entry]) -> set[UUID]:
        columns: list[Sequence[Any]] = list(zip(*(entry.event.values() for entry in entries), strict=True))
        writes = [entry.write for entry in entries if entry.write is not None]
        if not writes:
            await self._database.write(FLUSH_EVENTS, *columns)
            return set()
        needs = [None if entry.write is None else _identify(entry.write) for entry in entries]
        grants = [w for w in writes if isinstance(w, GrantRow)]
        if grants:
            rows = await self._database.write(
                FLUSH_GRANTS,
                *columns,
                needs,
                *zip(*grants, strict=True),
            )
        else:
            turns = [(w.grant_id, w.generation, w.at) for w in writes if isinstance(w, Rotation)]
            rows = await self._database.write(FLUSH_ROTATIONS, *columns, needs, *zip(*turns, strict=True))
        return {row[0] for row in rows}

    async def _flush_touches(self) -> None:
        touches, self._touches = self._touches, {}
        # A lost touch shortens an idle session by a minute at most; the next use writes it again.
        with contextlib.suppress(Exception):
            await self._database.write(TOUCH_SESSIONS, list(touches), list(touches.values()))


def _identify(write: GrantRow | Rotation) -> UUID:
    return write.id if isinstance(write, GrantRow) else write.grant_id
