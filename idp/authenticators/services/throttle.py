"""Decides, with what is remembered, whether an attempt may be checked; counts it before it is checked, so bursts are bounded."""

from dataclasses import dataclass
from datetime import UTC, datetime

from idp.authenticators.rules.throttling import (
    Allowed,
    Delayed,
    Limits,
    Locked,
    Way,
    decide_throttle,
    judge_failure,
    name_subject,
)
from idp.authenticators.stores import locks
from idp.kernel.clock import Clock
from idp.platform.database import Database, Transaction
from idp.platform.transients import Transients
from keys import BlindIndex

ATTEMPTS = "sign_in_attempts"
DELAYS = "sign_in_delay"
INDEX_KIND = "throttle"


@dataclass(frozen=True)
class Ticket:
    """Leave to check one attempt; it says which attempt of the window this is. Hand it back by ``fail`` or ``succeed``."""

    way: Way
    key: str
    subject_hash: bytes
    number: int


class Throttle:
    """Counts attempts per way, identifier and place. Counts and delays may be lost, locks are in a logged table (S49)."""

    def __init__(self, database: Database, transients: Transients, index: BlindIndex, clock: Clock, limits: Limits) -> None:
        self._database = database
        self._transients = transients
        self._index = index
        self._clock = clock
        self._limits = limits

    async def admit(self, way: Way, identifier: str, device_hash: bytes | None, address: str) -> Ticket | Delayed | Locked:
        """Count an attempt and tell whether it may be checked.

        ``identifier`` is normalised, whether anybody has it or not. ``device_hash`` is given only for a device that this
        person is known to have used.
        """
        now = self._clock()
        hashes = self._index.index_all(INDEX_KIND, name_subject(way, identifier, device_hash, address))
        key = hashes[0].hex()
        locked_until = await locks.find_lock(self._database, way.value, hashes, now)
        verdict = decide_throttle(0, None, locked_until, now, self._limits)
        if not isinstance(verdict, Allowed):
            return verdict
        window = self._limits.window.total_seconds()
        number = await self._transients.count(ATTEMPTS, key, window)
        # Nobody waits before the first delay is due, so most attempts are spared this look.
        delay = await self._transients.get(DELAYS, key) if number > self._limits.before_delay else None
        delayed_until = datetime.fromtimestamp(float(delay.value), UTC) if delay else None
        verdict = decide_throttle(number - 1, delayed_until, None, now, self._limits)
        if not isinstance(verdict, Allowed):
            await self._transients.count(ATTEMPTS, key, window, -1)
            return verdict
        return Ticket(way, key, hashes[0], number)

    async def fail(self, tx: Transaction, ticket: Ticket) -> Allowed | Delayed | Locked:
        """Record that the attempt was wrong, a lock in the caller's transaction; tell what the person faces next."""
        now = self._clock()
        verdict = judge_failure(ticket.number, now, self._limits)
        if isinstance(verdict, Locked):
            await locks.set_lock(tx, ticket.way.value, ticket.subject_hash, verdict.until)
        return verdict

    async def slow_down(self, ticket: Ticket, verdict: Allowed | Delayed | Locked) -> None:
        """Make the next attempt wait as ``fail`` said; after the transaction, since the store may be elsewhere."""
        window = self._limits.window.total_seconds()
        if isinstance(verdict, Delayed):
            until = self._clock().timestamp() + verdict.seconds
            await self._transients.put(DELAYS, ticket.key, repr(until).encode(), verdict.seconds)
        elif isinstance(verdict, Locked):
            # The lock replaces the count; when it opens, the person begins anew.
            await self._transients.count(ATTEMPTS, ticket.key, window, -ticket.number)

    async def succeed(self, ticket: Ticket) -> None:
        """Forget the attempts: the person knew the secret."""
        await self._transients.count(ATTEMPTS, ticket.key, self._limits.window.total_seconds(), -ticket.number)

    async def withdraw(self, ticket: Ticket) -> None:
        """Take the attempt back: it was never checked."""
        await self._transients.count(ATTEMPTS, ticket.key, self._limits.window.total_seconds(), -1)
