"""Decides how a message leaves: written sealed in the business transaction, claimed under a lease, delivered at least once, then erased."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from idp.kernel.clock import Clock, Random
from idp.kernel.ids import MessageId, make_uuid7
from idp.platform.database import Database, Row, Transaction
from keys import Sealer, Unsealable, row_aad

CHANNEL = "outbox"
"""The NOTIFY channel on which every insert is told (trigger ``outbox_filled``)."""

MAXIMUM_PAYLOAD = 16_384
"""Bytes of a payload as JSON."""

MAXIMUM_REFERENCE = 200
"""Characters kept of a handler's reference or a refusal's reason."""

CALL_TIMEOUT = 15.0
"""Seconds one handler may take."""

LEASE = timedelta(seconds=45)
"""A claimed message is nobody else's for this long; longer than CALL_TIMEOUT, so only a dead worker's message is claimed twice."""

BATCH = 32
LAST_BACKOFF = timedelta(minutes=10)

Payload = dict[str, Any]
Handler = Callable[[Payload, MessageId], Awaitable[str]]
"""Delivers one payload and returns the far side's reference; the message id is the idempotency key.

Raises DeliveryRefused when trying again cannot help; any other error is tried again until the message expires.
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

ADD = """
    INSERT INTO outbox (at, id, kind, state, sealed, expires_at, attempts, next_attempt_at)
    VALUES ($1, $2, $3, 'waiting', $4, $5, 0, $1)
"""

EXPIRE = """
    UPDATE outbox SET state = 'expired', sealed = NULL, finished_at = $1
    WHERE (at, id) IN (
        SELECT at, id FROM outbox WHERE state = 'waiting' AND next_attempt_at <= $1 AND expires_at <= $1
        ORDER BY next_attempt_at LIMIT 500 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, attempts
"""

CLAIM = """
    UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $2
    WHERE (at, id) IN (
        SELECT at, id FROM outbox WHERE state = 'waiting' AND next_attempt_at <= $1 AND expires_at > $1 AND kind = ANY($3::text[])
        ORDER BY next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    RETURNING at, id, kind, sealed, attempts, expires_at
"""

# A delivery is recorded even after the lease ran out: what was sent, was sent.
DELIVERED = """
    UPDATE outbox SET state = 'delivered', sealed = NULL, finished_at = $3, reference = $4, error = NULL
    WHERE at = $1 AND id = $2 AND state = 'waiting'
"""

# A failure counts only for the worker that still holds the message: ``attempts`` fences off the others.
FAILED = """
    UPDATE outbox SET state = 'failed', sealed = NULL, finished_at = $3, error = $4
    WHERE at = $1 AND id = $2 AND state = 'waiting' AND attempts = $5
"""

RETRY = """
    UPDATE outbox SET next_attempt_at = $3, error = $4
    WHERE at = $1 AND id = $2 AND state = 'waiting' AND attempts = $5
"""

NEXT_DUE = "SELECT next_attempt_at FROM outbox WHERE state = 'waiting' AND kind = ANY($1::text[]) ORDER BY next_attempt_at LIMIT 1"


class DeliveryRefused(Exception):
    """The far side will never take this message. ``reason`` is a code that is stored, so it holds no personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Outcome(StrEnum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    RETRIED = "retried"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message that was tried: its id, kind and how many tries it has had, this one included."""

    message_id: MessageId
    kind: str
    number: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message under our lease; ``sealed`` is the envelope of its payload."""

    at: datetime
    message_id: MessageId
    kind: str
    sealed: bytes
    attempts: int
    expires_at: datetime


class Outbox:
    """Seals payloads into ``outbox`` rows, and claims and finishes them for the worker."""

    def __init__(self, sealer: Sealer, clock: Clock, random: Random) -> None:
        self._sealer = sealer
        self._clock = clock
        self._random = random

    async def add(self, tx: Transaction, kind: str, payload: Mapping[str, Any], expires_at: datetime) -> MessageId:
        """Write a message in the caller's transaction; it leaves after the commit, or never once ``expires_at`` has passed.

        Raises ValueError for an over-long payload or a kind that is not a short word.
        """
        encoded = _encode(payload)
        if len(encoded) > MAXIMUM_PAYLOAD:
            raise ValueError("the payload is longer than a message may be")
        if not kind.isidentifier() or len(kind) > 40:
            raise ValueError("the kind is not a short word")
        now = self._clock()
        message_id = MessageId(make_uuid7(lambda: now, self._random))
        sealed = self._sealer.seal(encoded, _aad(message_id), self._random)
        await tx.execute(ADD, now, message_id, kind, sealed, expires_at)
        return message_id

    async def claim(self, database: Database, kinds: list[str], limit: int = BATCH) -> tuple[list[Claimed], list[Attempt]]:
        """Expire what is too late and lease up to ``limit`` due messages of ``kinds``; return both."""
        now = self._clock()
        async with database.transaction() as tx:
            expired = await tx.fetch(EXPIRE, now)
            rows = await tx.fetch(CLAIM, now, now + LEASE, kinds, limit)
        claimed = [_read_claimed(row) for row in rows]
        return claimed, [Attempt(MessageId(row["id"]), row["kind"], row["attempts"], Outcome.EXPIRED) for row in expired]

    async def deliver(self, database: Database, message: Claimed, handler: Handler) -> Attempt:
        """Call ``handler`` outside any transaction and record how it ended."""
        try:
            payload = _decode(self._sealer.open(message.sealed, _aad(message.message_id)))
            async with asyncio.timeout(CALL_TIMEOUT):
                reference = await handler(payload, message.message_id)
        except (Unsealable, msgspec.DecodeError):
            return await self._fail(database, message, "unsealable")
        except DeliveryRefused as refused:
            return await self._fail(database, message, refused.reason)
        except Exception as error:  # any error of a gateway means: again later
            return await self._retry(database, message, type(error).__name__)
        await database.write(DELIVERED, message.at, message.message_id, self._clock(), reference[:MAXIMUM_REFERENCE])
        return Attempt(message.message_id, message.kind, message.attempts, Outcome.DELIVERED)

    async def find_next_due(self, database: Database, kinds: list[str]) -> datetime | None:
        """Return when the next waiting message of ``kinds`` is due, None when none waits."""
        rows = await database.fetch(NEXT_DUE, kinds)
        return rows[0]["next_attempt_at"] if rows else None

    async def _fail(self, database: Database, message: Claimed, reason: str) -> Attempt:
        await database.write(FAILED, message.at, message.message_id, self._clock(), reason[:MAXIMUM_REFERENCE], message.attempts)
        return Attempt(message.message_id, message.kind, message.attempts, Outcome.FAILED)

    async def _retry(self, database: Database, message: Claimed, reason: str) -> Attempt:
        # Never later than the expiry: at that instant the message is due again, to be expired and erased.
        due = min(self._clock() + find_backoff(message.attempts), message.expires_at)
        await database.write(RETRY, message.at, message.message_id, due, reason[:MAXIMUM_REFERENCE], message.attempts)
        return Attempt(message.message_id, message.kind, message.attempts, Outcome.RETRIED)


def find_backoff(attempts: int) -> timedelta:
    """Return the pause after that many attempts: 1, 5, 25, 125 s …, at most LAST_BACKOFF."""
    return min(timedelta(seconds=5 ** min(attempts - 1, 10)), LAST_BACKOFF)


async def deliver_due(outbox: Outbox, database: Database, handlers: Mapping[str, Handler]) -> list[Attempt]:
    """Claim one batch of due messages, deliver them side by side, and return what became of each."""
    claimed, attempts = await outbox.claim(database, list(handlers))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outbox.deliver(database, message, handlers[message.kind])) for message in claimed]
    return attempts + [task.result() for task in tasks]


def _read_claimed(row: Row) -> Claimed:
    return Claimed(row["at"], MessageId(row["id"]), row["kind"], row["sealed"], row["attempts"], row["expires_at"])


def _aad(message_id: MessageId) -> bytes:
    return row_aad("outbox", "sealed", message_id.bytes)
