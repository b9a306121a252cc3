"""Decides what a wrong password or code costs: the throttle's verdict, its audit row, and the words of the refusal."""

from collections.abc import Mapping
from uuid import UUID

from idp.authenticators.rules import refusals
from idp.authenticators.rules.throttling import Delayed, Locked, Way
from idp.authenticators.rules.waits import say_when
from idp.authenticators.services.passwords import NOBODY
from idp.authenticators.services.throttle import Throttle, Ticket, TurnedAway
from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import Detail, Kind, Result
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.platform.database import Database
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import Visit


class Attempts:
    """Admits attempts of one way and ends those that were wrong."""

    def __init__(self, database: Database, throttle: Throttle, records: SignInRecords, clock: Clock) -> None:
        self._database = database
        self._throttle = throttle
        self._records = records
        self._clock = clock

    async def find_known_device(self, person_id: UUID | None, visit: Visit) -> bytes | None:
        """Return the hash of the browser's device when the person is known by it; one read, also for nobody."""
        device_hash = visit.device_hash
        if device_hash is None:
            return None
        return device_hash if await known_devices.is_known(self._database, person_id or NOBODY, device_hash, self._clock()) else None

    async def admit(
        self, way: Way, identifier: str, person_id: UUID | None, device_hash: bytes | None, interaction: Interaction, visit: Visit
    ) -> Ticket:
        """Count an attempt; ``person_id`` is for the audit alone. Raises SignInDelayed, SignInLocked, CodeSignInLocked."""
        ticket = await self._throttle.admit(way, identifier, device_hash, visit.address)
        if isinstance(ticket, TurnedAway):
            if ticket.first:
                reason = "delayed" if isinstance(ticket.verdict, Delayed) else "locked"
                details: dict[str, Detail] = {"way": way.value, "reason": reason}
                await self._records.refuse(Kind.SIGN_IN_FAILED, person_id, interaction, visit, details)
            raise self._name(way, ticket.verdict)
        return ticket

    async def fail(
        self, ticket: Ticket, person_id: UUID | None, interaction: Interaction, visit: Visit, wrong: Refusal, reason: str = "wrong"
    ) -> Refusal:
        """Record that an attempt was wrong; return ``wrong``, or the lock that it leads to."""
        way = ticket.way.value
        details: Mapping[str, Detail] = {"way": way, "reason": reason, "attempt": ticket.number}
        async with self._database.transaction() as tx:
            verdict = await self._throttle.fail(tx, ticket)
            await self._records.record(tx, Kind.SIGN_IN_FAILED, person_id, interaction, visit, details, Result.REFUSED)
            if isinstance(verdict, Locked):
                await self._records.record(tx, Kind.SIGN_IN_LOCKED, person_id, interaction, visit, {"way": way}, Result.REFUSED)
        await self._throttle.slow_down(ticket, verdict)
        return self._name(ticket.way, verdict) if isinstance(verdict, Locked) else wrong

    async def succeed(self, ticket: Ticket) -> None:
        """Forget the attempts: the person knew the secret."""
        await self._throttle.succeed(ticket)

    async def withdraw(self, ticket: Ticket) -> None:
        """Take the attempt back: it was never checked."""
        await self._throttle.withdraw(ticket)

    def _name(self, way: Way, verdict: Delayed | Locked) -> Refusal:
        if isinstance(verdict, Delayed):
            return refusals.SignInDelayed(seconds=verdict.seconds)
        when = say_when(verdict.until, self._clock())
        return refusals.CodeSignInLocked(**when) if way is Way.CODE else refusals.SignInLocked(**when)
