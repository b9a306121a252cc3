"""Decides, with what is remembered, whether an attempt may be checked; counts it before it is checked, so bursts are bounded."""

from dataclasses import dataclass
from datetime import UTC, datetime

from idp.authenticators.rules.throttling import (
    Allowed,
    Delayed,
    Limits,
    Locked,
    Way,
    decide_origin,
    decide_throttle,
    judge_failure,
    name_origin,
    name_subject,
)
from idp.authenticators.stores import locks
from idp.kernel.clock import Clock
from idp.platform.database import Database, Transaction
from idp.platform.transients import Counted, Transients
from keys import BlindIndex

ATTEMPTS = "sign_in_attempts"
ORIGINS = "sign_in_origin"
DELAYS = "sign_in_delay"
REFUSALS = "sign_in_refused"
INDEX_KIND = "throttle"


@dataclass(frozen=True)
class Ticket:
    """Leave to check one attempt, with the windows it was counted in. Hand it back by ``fail``, ``succeed`` or ``withdraw``.

    ``origin`` is what its network was counted under; a known device is not counted there.
    """

    way: Way
    key: str
    subject_hash: bytes
    counted: Counted
    origin: tuple[str, Counted] | None = None

    @property
    def number(self) -> int:
        """Return which attempt of its window this is."""
        return self.counted.number


@dataclass(frozen=True)
class TurnedAway:
    """The attempt is not looked at. ``first``: nobody was told so yet in this window, so it is worth an audit row."""

    verdict: Delayed | Locked
    first: bool


class Throttle:
    """Counts attempts per way, subject and place, and per network. Counts and delays may be lost, locks are in a logged table (S49)."""

    def __init__(self, database: Database, transients: Transients, index: BlindIndex, clock: Clock, limits: Limits) -> None:
        self._database = database
        self._transients = transients
        self._index = index
        self._clock = clock
        self._limits = limits

    async def admit(self, way: Way, identifier: str, device_hash: bytes | None, address: str) -> Ticket | TurnedAway:
        """Count an attempt and tell whether it may be checked.

        ``identifier`` is normalised, as it was typed; who has it plays no part: a budget that two identifiers shared would tell that one
        person has both.
        ``device_hash`` is given only for a device that this person is known to have used.
        """
        now = self._clock()
        hashes = self._index.index_all(INDEX_KIND, name_subject(way, identifier, device_hash, address))
        key = hashes[0].hex()
        locked_until = await locks.find_lock(self._database, way.value, hashes, now)
        # The delay is looked at before anything is counted: what is refused by it leaves no trace that would have to be given back.
        delay = await self._transients.get(DELAYS, key)
        delayed_until = datetime.fromtimestamp(float(delay.value), UTC) if delay else None
        verdict = decide_throttle(0, delayed_until, locked_until, now, self._limits)
        if not isinstance(verdict, Allowed):
            return await self._turn_away(key, verdict)
        window = self._limits.window.total_seconds()
        origin: tuple[str, Counted] | None = None
        if device_hash is None:
            name = name_origin(address)
            attempts = await self._transients.count(ORIGINS, name, window)
            origin = (name, attempts)
            verdict = decide_origin(attempts.number - 1, attempts.expires_at, now, self._limits)
            if not isinstance(verdict, Allowed):
                await self._give_back(origin)
                return await self._turn_away(name, verdict)
        counted = await self._transients.count(ATTEMPTS, key, window)
        verdict = decide_throttle(counted.number - 1, None, None, now, self._limits)
        if not isinstance(verdict, Allowed):
            # Refused for being too many; its own window alone gets it back, so nothing of it reaches the next one.
            await self._transients.uncount(ATTEMPTS, key, counted)
            await self._give_back(origin)
            return await self._turn_away(key, verdict)
        return Ticket(way, key, hashes[0], counted, origin)

    async def fail(self, tx: Transaction, ticket: Ticket) -> Allowed | Delayed | Locked:
        """Record that the attempt was wrong, a lock in the caller's transaction; tell what the person faces next."""
        now = self._clock()
        verdict = judge_failure(ticket.number, now, self._limits)
        if isinstance(verdict, Locked):
            await locks.set_lock(tx, ticket.way.value, ticket.subject_hash, verdict.until)
        return verdict

    async def slow_down(self, ticket: Ticket, verdict: Allowed | Delayed | Locked) -> None:
        """Make the next attempt wait as ``fail`` said; after the transaction, since the store may be elsewhere."""
        if isinstance(verdict, Delayed):
            until = self._clock().timestamp() + verdict.seconds
            await self._transients.put(DELAYS, ticket.key, repr(until).encode(), verdict.seconds)
        elif isinstance(verdict, Locked):
            # The lock replaces the count; when it opens, the person begins anew.
            await self._transients.uncount(ATTEMPTS, ticket.key, ticket.counted, ticket.number)

    async def succeed(self, ticket: Ticket) -> None:
        """Forget the attempts: the person knew the secret."""
        await self._transients.uncount(ATTEMPTS, ticket.key, ticket.counted, ticket.number)
        await self._give_back(ticket.origin)

    async def withdraw(self, ticket: Ticket) -> None:
        """Take the attempt back: it was never checked."""
        await self._transients.uncount(ATTEMPTS, ticket.key, ticket.counted)
        await self._give_back(ticket.origin)

    async def _give_back(self, origin: tuple[str, Counted] | None) -> None:
        if origin is not None:
            await self._transients.uncount(ORIGINS, origin[0], origin[1])

    async def _turn_away(self, key: str, verdict: Delayed | Locked) -> TurnedAway:
        return TurnedAway(verdict, await self._transients.add_once(REFUSALS, key, self._limits.window.total_seconds()))
