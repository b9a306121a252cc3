"""Decides how the few hot writes reach the disk: one statement commits all that arrived while the last one was in flight.

Every caller waits for its own flush: a failed flush is a failed answer. Rows of one flush succeed or fail alone: a code that
was redeemed before conflicts, a refresh token of an old generation changes nothing, and the audit row of such a row is not
written (the caller audits the refusal with its reason).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from idp.platform.audit_log import PreparedEvent
from idp.platform.database import Database, DatabaseUnavailable
from idp.platform.ledger_statements import (
    EVENT_TYPES,
    GRANT_TYPES,
    ROTATION_TYPES,
    SIZES,
    write_event_flush,
    write_grant_flush,
    write_rotation_flush,
)

MAX_BATCH = SIZES[-1]

MOST_WAITING = 1_024
"""Entries that wait for a flush; who comes when so many do is refused at once, because they would wait for longer than anybody does."""


class LedgerFull(DatabaseUnavailable):
    """The database does not keep up: nothing was written, and the answer is 503 with Retry-After."""


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
    parent_id: UUID | None = None


class Rotation(NamedTuple):
    """One use of a refresh token: the grant's generation grows if it still is ``generation``.

    ``signed_by``: the keys that sign its new tokens, as in GrantRow; ``confirmation``: the key that was proved for them; None leaves what
    the grant says.
    """

    grant_id: UUID
    generation: int
    at: datetime
    signed_by: str | None = None
    confirmation: str | None = None


Write = GrantRow | Rotation | None


class _Entry(NamedTuple):
    write: Write
    event: PreparedEvent
    done: asyncio.Future[bool]


assert GrantRow._fields == tuple(GRANT_TYPES), "every field of a grant is written, in its order"  # noqa: S101
assert Rotation._fields == tuple(ROTATION_TYPES), "every field of a rotation is written, in its order"  # noqa: S101

NO_GRANT = (None,) * len(GRANT_TYPES)
NO_ROTATION = (None,) * len(ROTATION_TYPES)
"""What stands beside an audit row that needs no other write."""

TOUCH_SESSIONS = """
    UPDATE sessions SET last_seen_at = t.at
    FROM unnest($1::bytea[], $2::timestamptz[]) AS t (id_hash, at)
    WHERE sessions.id_hash = t.id_hash AND sessions.last_seen_at < t.at
"""


class Ledger:
    """Group commit of grant redemptions, rotations, session touches and the audit rows that need no other SQL.

    ``on_flush(rows, seconds, failed=…)`` is told of every flush, ``on_full()`` of every entry refused because ``most_waiting`` wait.
    """

    def __init__(
        self,
        database: Database,
        on_flush: Callable[..., None] | None = None,
        on_full: Callable[[], None] | None = None,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._database = database
        self._on_flush = on_flush
        self._on_full = on_full
        self._most_waiting = most_waiting
        self._pending: list[_Entry] = []
        self._touches: dict[bytes, datetime] = {}
        self._flying: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many entries wait for a flush, without those in flight."""
        return len(self._pending)

    async def record(self, event: PreparedEvent) -> None:
        """Write one audit row; returns when it is durable. Raises LedgerFull, as all that enters something does."""
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
        if len(self._pending) >= self._most_waiting:
            if self._on_full is not None:
                self._on_full()
            raise LedgerFull("too many entries wait for the database")
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
        kind = next((type(entry.write) for entry in entries if entry.write is not None), None)
        absent: tuple[None, ...]
        if kind is None:
            write, absent = write_event_flush, ()
        elif kind is GrantRow:
            write, absent = write_grant_flush, NO_GRANT
        else:
            write, absent = write_rotation_flush, NO_ROTATION
        values: list[Any] = []
        for entry in entries:
            values += entry.event.values()
            values += absent if entry.write is None else entry.write
        size = next(size for size in SIZES if size >= len(entries))
        values += [None] * ((size - len(entries)) * (len(EVENT_TYPES) + len(absent)))
        return {row[0] for row in await self._database.write(write(size), *values)}

    async def _flush_touches(self) -> None:
        touches, self._touches = self._touches, {}
        # A lost touch shortens an idle session by a minute at most; the next use writes it again.
        with contextlib.suppress(Exception):
            await self._database.write(TOUCH_SESSIONS, list(touches), list(touches.values()))


def _identify(write: GrantRow | Rotation) -> UUID:
    return write[0]
