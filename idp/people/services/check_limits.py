"""Decides whether one more check, or one more registration, may be paid for; each is counted once, and silence costs nobody anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from idp.authenticators.rules.sms_limits import find_day, find_next_day
from idp.authenticators.rules.throttling import name_network, name_origin
from idp.authenticators.rules.waits import say_when
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.people.rules.proofing import CheckAnswer
from idp.people.rules.proofing_items import DAILY
from idp.people.rules.refusals import ChecksBusy, ChecksLimited, StartsLimited
from idp.people.services.requester import Requester
from idp.people.stores import check_counts
from idp.platform.database import Database, Transaction
from idp.platform.transients import Counted, Transients
from keys import BlindIndex

ADDRESSES: Final = "checks_of_address"
NETWORKS: Final = "checks_of_network"
BUDGET: Final = "checks_in_all"
STARTS: Final = "starts_of_address"
START: Final = "start"
"""The kind under which a device's registrations are counted."""

HOUR: Final = 3_600.0
MINUTE: Final = 60.0


@dataclass(frozen=True)
class CheckLimits:
    """Figures of domain.md "Proofing". ``person`` replaces the table's daily figures when it is given (for a demonstration).

    An *address* is an IPv4 address or an IPv6 /64, a *network* an IPv4 /24 or an IPv6 /48.
    """

    person: int | None = None
    unproven_phone: int = 2
    device_day: int = 30
    address_hour: int = 600
    network_hour: int = 3_000
    budget_minute: int = 1_200
    starts_address_hour: int = 120
    starts_device_day: int = 20
    deadline: float = 10.0

    def find_daily(self, kind: CheckKind) -> int:
        """Return how often one person's ``kind`` may be checked in a day."""
        return self.person if self.person is not None else DAILY.get(kind, 5)


@dataclass(frozen=True, repr=False)
class Row:
    """One of a day's counts: whose it is, of what, and how many there may be."""

    scope: str
    kind: str
    subject_hash: bytes
    most: int


Shared = tuple[tuple[str, str, Counted], ...]
"""Counters of an hour or a minute: kind, key and what was counted."""


@dataclass(frozen=True, repr=False)
class Spent:
    """What one check was counted against, to be given back when nobody answers."""

    day: date
    kind: str
    request: bytes
    rows: tuple[Row, ...]
    shared: Shared


@dataclass(frozen=True)
class Full:
    """A limit is used up: until ``until``, or for today when it is None."""

    until: datetime | None


class CheckCounts:
    """Counts checks against every limit at once. Limits of a day survive a crash, those of an hour and a minute may be lost."""

    def __init__(self, database: Database, transients: Transients, index: BlindIndex, clock: Clock, limits: CheckLimits) -> None:
        self._database = database
        self._transients = transients
        self._index = index
        self._clock = clock
        self._limits = limits

    async def admit_start(self, who: Requester) -> None:
        """Count one more registration begun from this address and device. Raises StartsLimited."""
        now = self._clock()
        key = name_origin(who.address)
        counted = await self._transients.count(STARTS, key, HOUR)
        until = counted.expires_at if counted.number > self._limits.starts_address_hour else None
        if until is None and who.device_hash is not None:
            device = self._index.index("checks_of_device", who.device_hash.hex())
            async with self._database.transaction() as tx:
                if not await check_counts.count_check(tx, find_day(now), "device", START, device, self._limits.starts_device_day):
                    until = find_next_day(now)
        if until is not None:
            await self._transients.uncount(STARTS, key, counted)
            raise StartsLimited(**say_when(until, now))

    async def take(self, kind: str, request_id: str, rows: tuple[Row, ...], who: Requester) -> Spent | Full:
        """Count a check; Full, and nothing counted, when a limit is used up. The same request is counted once a day, also after a crash."""
        now = self._clock()
        shared = await self._take_shared(
            (ADDRESSES, name_origin(who.address), HOUR, self._limits.address_hour),
            (NETWORKS, name_network(who.address), HOUR, self._limits.network_hour),
            (BUDGET, "all", MINUTE, self._limits.budget_minute),
        )
        if isinstance(shared, Full):
            return shared
        spent = Spent(find_day(now), kind, bytes.fromhex(request_id), rows, shared)
        try:
            async with self._database.transaction() as tx:
                if await check_counts.mark_request(tx, spent.day, kind, spent.request):
                    for row in rows:
                        if not await check_counts.count_check(tx, spent.day, row.scope, row.kind, row.subject_hash, row.most):
                            raise _UsedUp
        except _UsedUp:
            await self.give_back_shared(shared)
            return Full(None)
        return spent

    async def take_budget(self) -> Shared | Full:
        """Count a question that is nobody's check against the budget alone."""
        return await self._take_shared((BUDGET, "all", MINUTE, self._limits.budget_minute))

    async def give_back(self, tx: Transaction, spent: Spent) -> None:
        """Give back the day's counts of a check that nobody answered: of any number of simultaneous callers one does."""
        if await check_counts.unmark_request(tx, spent.day, spent.kind, spent.request):
            for row in spent.rows:
                await check_counts.give_back(tx, spent.day, row.scope, row.kind, row.subject_hash)

    async def give_back_shared(self, shared: Shared) -> None:
        """Give back the counts of the hour and the minute."""
        for store, key, counted in shared:
            await self._transients.uncount(store, key, counted)

    async def _take_shared(self, *counters: tuple[str, str, float, int]) -> Shared | Full:
        taken: Shared = ()
        for store, key, ttl, most in counters:
            counted = await self._transients.count(store, key, ttl)
            taken = (*taken, (store, key, counted))
            if counted.number > most:
                await self.give_back_shared(taken)
                return Full(counted.expires_at)
        return taken


class _UsedUp(Exception):
    """Rolls the counts back."""


def refuse_limited(answers: Iterable[CheckAnswer], now: datetime) -> Refusal:
    """Return why these answers of ``Proofing.ask`` are LIMITED: for today, or only for the minutes until the latest of them opens."""
    untils = [answer.until for answer in answers if answer.result is CheckResult.LIMITED]
    waits = [until for until in untils if until is not None]
    return ChecksBusy(**say_when(max(waits), now)) if waits and len(waits) == len(untils) else ChecksLimited()
