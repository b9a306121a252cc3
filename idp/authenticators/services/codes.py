"""Decides whether a code is sent and whether a typed one is right; a sent code, its count and its audit row are one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from idp.authenticators.rules.sms_code import (
    CodeDead,
    CodeGone,
    CodeLimits,
    CodeRight,
    CodeVerdict,
    PendingCode,
    bind_code,
    is_over,
    judge_before,
    judge_wrong,
    keep_earlier,
    make_code,
    normalize_code,
    read_pending,
    write_pending,
)
from idp.authenticators.rules.sms_limits import (
    Limit,
    Send,
    SmsLimits,
    Wait,
    decide_count,
    decide_phone,
    find_day,
    find_next_day,
    find_registration_share,
    find_share,
    keep_last_hour,
    read_sent,
    wants_resend_lock,
    write_sent,
)
from idp.authenticators.rules.throttling import Way, name_network, name_origin, name_subject
from idp.authenticators.stores import locks, message_counts
from idp.kernel.audit_events import AuditEvent, Detail, Kind, Place, Result
from idp.kernel.clock import Clock, Random
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.outbox import Outbox
from idp.platform.transients import Counted, Transients
from keys import BlindIndex, Mac

PENDING = "sms_code"
PHONE_MINUTES = "sms_phone_minute"
PHONE_HOURS = "sms_phone_hour"
ADDRESS_HOURS = "sms_address_hour"
NETWORK_HOURS = "sms_network_hour"
BUDGET_MINUTES = "sms_budget_minute"
WHOLE = "all"
"""The key of the installation's one budget."""

REGISTRATION = "registration"
"""The purpose whose messages have a share of their own: whoever types a phone there silences no sign-in and no recovery of its owner."""

MESSAGE = "sms"
WITHHELD = "withheld"
"""The kind of a message that nobody delivers; it is over when it is written."""

HOUR = 3_600.0
MINUTE = 60.0
Taken = tuple[str, str, Counted]
"""A counter that has to be given back, in its own window, when a later limit refuses: kind, key and what was counted."""

COMPARISONS = 8
"""How often one try starts again because others tried in the same moment."""


@dataclass(frozen=True, repr=False)
class CodeRequest:
    """Who asks for a code, for what and from where. ``phone`` is E.164; ``binding`` the interaction or session it is for.

    ``person_id`` is None for a visitor who has no account yet. ``after_password`` opens the half of the phone's quota that is kept for
    those who already proved something.
    """

    purpose: str
    binding: str
    phone: str
    masked_name: str
    person_id: UUID | None
    address: str
    device: str = ""
    device_hash: bytes | None = None
    after_password: bool = False
    client_id: str | None = None
    request_id: str = ""

    @property
    def registering(self) -> bool:
        """Whether the message counts against the share of registrations."""
        return self.purpose == REGISTRATION and not self.after_password


class Codes:
    """Codes by SMS. Codes and hourly counts may be lost, daily counts and the resend lock are in logged tables."""

    def __init__(
        self,
        database: Database,
        transients: Transients,
        outbox: Outbox,
        audit: AuditLog,
        mac: Mac,
        index: BlindIndex,
        clock: Clock,
        random: Random,
        code_limits: CodeLimits,
        sms_limits: SmsLimits,
    ) -> None:
        self._database = database
        self._transients = transients
        self._outbox = outbox
        self._audit = audit
        self._mac = mac
        self._index = index
        self._clock = clock
        self._random = random
        self._code_limits = code_limits
        self._sms_limits = sms_limits

    @property
    def life(self) -> timedelta:
        """How long a code is valid."""
        return self._code_limits.life

    async def send(self, request: CodeRequest) -> Send | Wait:
        """Send a new code, which kills the old one, or tell which limit says wait, and until when."""
        now = self._clock()
        locked_until = await self._find_resend_lock(request, now)
        if locked_until is not None:
            return Wait(Limit.RESENDS, locked_until)
        taken: list[Taken] = []
        verdict, sent = await self._admit_phone(taken, request, now)
        if isinstance(verdict, Send):
            verdict = await self._admit_sender(taken, request, now)
        code = make_code(self._random, self._code_limits.fixed)
        if isinstance(verdict, Send):
            verdict, _ = await self._write(request, code, now)
        if isinstance(verdict, Wait):
            await self._give_back(taken)
            return verdict
        await self._keep(request, code, sent, now)
        return Send()

    async def send_unseen(self, request: CodeRequest, claimed: str, *, reaches: bool) -> Send | Wait:
        """Send a code to whoever has the identifier ``claimed``, so that the answer tells nobody whether anyone has.

        What is told are the limits of the claim itself; those of the phone behind it decide in silence. ``reaches`` is False when there
        is no phone that a code may go to: then everything is done but the message. ``request.phone`` is used either way.
        """
        return await self._send_behind(request, f"claimed\0{claimed}", reaches=reaches)

    async def send_blind(self, request: CodeRequest, front: str) -> Send | Wait:
        """Send a code to a phone that proves nothing yet, so that the answer tells nothing of the messages it had from elsewhere.

        What is told are the limits of ``front``, the device and the address; those of the phone withhold the message in silence.
        """
        return await self._send_behind(request, front, reaches=True)

    async def _send_behind(self, request: CodeRequest, name: str, *, reaches: bool) -> Send | Wait:
        now = self._clock()
        front = replace(request, phone=name)
        locked_until = await self._find_resend_lock(front, now)
        if locked_until is not None:
            return Wait(Limit.RESENDS, locked_until)
        taken: list[Taken] = []
        verdict, seen = await self._admit_phone(taken, front, now)
        if isinstance(verdict, Send):
            verdict = await self._admit_sender(taken, request, now)
        behind: list[Taken] = []
        hidden, sent = await self._admit_phone(behind, request, now)
        code = make_code(self._random, self._code_limits.fixed)
        reached = reaches and isinstance(hidden, Send)
        leaves = False
        if isinstance(verdict, Send):
            verdict, leaves = await self._write(request, code, now, front=front, reached=reached)
        if isinstance(verdict, Wait):
            await self._give_back([*taken, *behind])
            return verdict
        # A message that nobody gets costs nothing, so it uses up no budget; the other answer takes a step of the same length.
        *_, (_, _, budget) = taken
        await self._transients.uncount(BUDGET_MINUTES, "none" if leaves else WHOLE, budget)
        if isinstance(hidden, Wait):
            await self._give_back(behind)
        await self._keep(request, code, sent if isinstance(hidden, Send) else None, now, leaves=leaves)
        await self._remember(front, seen, now)
        return Send()

    async def send_late(self, request: CodeRequest) -> bool:
        """Send the code that ``send_unseen`` held back, under the limits of the phone and the budget; tell whether it was sent."""
        now = self._clock()
        taken: list[Taken] = []
        verdict, sent = await self._admit_phone(taken, request, now)
        if isinstance(verdict, Send):
            verdict = await self._count(taken, BUDGET_MINUTES, WHOLE, MINUTE, Limit.BUDGET, now)
        code = make_code(self._random, self._code_limits.fixed)
        if isinstance(verdict, Send):
            verdict, _ = await self._write(replace(request, device_hash=None), code, now)
        if isinstance(verdict, Wait):
            await self._give_back(taken)
            return False
        await self._keep(request, code, sent, now)
        return True

    async def resend(self, request: CodeRequest, asked: int) -> Send | Wait:
        """Send another code. The ``asked``-th request of one interaction may lock resending to this phone here (S02)."""
        locked = await self._lock_resending(request, asked)
        return await self.send(request) if locked is None else locked

    async def resend_unseen(self, request: CodeRequest, claimed: str, asked: int, *, reaches: bool) -> Send | Wait:
        """Send another code as ``send_unseen`` does; the lock is that of the claim."""
        locked = await self._lock_resending(replace(request, phone=f"claimed\0{claimed}"), asked)
        return await self.send_unseen(request, claimed, reaches=reaches) if locked is None else locked

    async def resend_blind(self, request: CodeRequest, front: str, asked: int) -> Send | Wait:
        """Send another code as ``send_blind`` does; the lock is that of ``front``."""
        locked = await self._lock_resending(replace(request, phone=front), asked)
        return await self.send_blind(request, front) if locked is None else locked

    async def _lock_resending(self, request: CodeRequest, asked: int) -> Wait | None:
        now = self._clock()
        locked_until = await self._find_resend_lock(request, now)
        if locked_until is not None:
            return Wait(Limit.RESENDS, locked_until)
        if not wants_resend_lock(asked, self._sms_limits):
            return None
        until = now + self._sms_limits.resend_lock
        async with self._database.transaction() as tx:
            await locks.set_lock(tx, Way.RESEND.value, self._index.index("throttle", _name_resend(request)), until)
            await self._record(tx, Kind.RESEND_LOCKED, Result.REFUSED, request)
        return Wait(Limit.RESENDS, until)

    async def check(self, purpose: str, binding: str, phone: str, typed: str) -> CodeVerdict:
        """Compare what was typed; a right code is used up, of two right ones sent at once one is right."""
        code = normalize_code(typed) or ""
        key = _name_pending(purpose, binding)
        for _ in range(COMPARISONS):
            stored = await self._transients.get(PENDING, key)
            counted = judge_before(read_pending(stored.value) if stored else None, self._clock(), self._code_limits)
            if stored is None or isinstance(counted, CodeGone | CodeDead):
                return counted if isinstance(counted, CodeDead) else CodeGone()
            if not await self._transients.replace(PENDING, key, write_pending(counted), stored.version):
                continue
            fits = self._mac.verify(bind_code(purpose, binding, phone, code), counted.mac, counted.key_id)
            if not fits or is_over(counted, self._clock()):
                return judge_wrong(counted, self._code_limits)
            if await self._transients.take(PENDING, key) is None:
                return CodeGone()
            if purpose == REGISTRATION:
                await self._give_back_registration(phone, counted.sent_at)
            return CodeRight()
        return CodeGone()

    async def _give_back_registration(self, phone: str, sent_at: datetime) -> None:
        """Give back the day's share: whoever types the code holds the phone, and a family registers with one (domain.md §1)."""
        async with self._database.transaction() as tx:
            await message_counts.give_back(tx, find_day(sent_at), "phone", self._index.index("sms_phone", _name_registrations(phone)))

    async def _admit_phone(self, taken: list[Taken], request: CodeRequest, now: datetime) -> tuple[Send | Wait, tuple[datetime, ...]]:
        """Count a message of this minute and hour to a phone; return the verdict and when the hour's messages were sent."""
        phone_key = self._index.index("sms_phone", request.phone).hex()
        # The minute's counter admits one sender at a time, so the list of the hour needs no lock of its own.
        gap = self._sms_limits.phone_gap.total_seconds()
        verdict = await self._count(taken, PHONE_MINUTES, phone_key, gap, Limit.PHONE_MINUTE, now) if gap else Send()
        sent, beside = await self._read_hour(request, now), await self._read_hour(request, now, beside=True)
        by_history = decide_phone(sent, request.after_password, now, self._sms_limits, beside=beside, registering=request.registering)
        return by_history if isinstance(by_history, Wait) else verdict, sent

    async def _admit_sender(self, taken: list[Taken], request: CodeRequest, now: datetime) -> Send | Wait:
        verdict = await self._count(taken, ADDRESS_HOURS, name_origin(request.address), HOUR, Limit.ADDRESS_HOUR, now)
        if isinstance(verdict, Send):
            verdict = await self._count(taken, NETWORK_HOURS, name_network(request.address), HOUR, Limit.NETWORK_HOUR, now)
        return await self._count(taken, BUDGET_MINUTES, WHOLE, MINUTE, Limit.BUDGET, now) if isinstance(verdict, Send) else verdict

    async def _give_back(self, taken: list[Taken]) -> None:
        for kind, key, counted in taken:
            await self._transients.uncount(kind, key, counted)

    async def _keep(
        self, request: CodeRequest, code: str, sent: tuple[datetime, ...] | None, now: datetime, *, leaves: bool = True
    ) -> None:
        """Remember the code, and with ``sent`` that its phone had one more message. One that does not leave replaces none that did."""
        message = bind_code(request.purpose, request.binding, request.phone, code)
        pending = PendingCode(self._mac.compute(message), self._mac.current_id, now)
        key = _name_pending(request.purpose, request.binding)
        # Taken, not read: a code that is used at this moment is either used or still there.
        stored = await self._transients.take(PENDING, key)
        if not leaves:
            pending = keep_earlier(read_pending(stored) if stored else None, pending, self._code_limits)
        await self._transients.put(PENDING, key, write_pending(pending), self._code_limits.life.total_seconds())
        if sent is not None:
            await self._remember(request, sent, now)

    async def _remember(self, request: CodeRequest, sent: tuple[datetime, ...], now: datetime) -> None:
        await self._transients.put(PHONE_HOURS, self._name_hour(request), write_sent((*sent, now)), HOUR)

    async def _read_hour(self, request: CodeRequest, now: datetime, *, beside: bool = False) -> tuple[datetime, ...]:
        stored = await self._transients.get(PHONE_HOURS, self._name_hour(request, beside=beside))
        return keep_last_hour(read_sent(stored.value) if stored else (), now)

    def _name_hour(self, request: CodeRequest, *, beside: bool = False) -> str:
        """Return the name of the phone's list of the hour: this request's share, or the one ``beside`` it."""
        name = _name_registrations(request.phone) if request.registering is not beside else request.phone
        return self._index.index("sms_phone", name).hex()

    async def _count(self, taken: list[Taken], kind: str, key: str, ttl: float, limit: Limit, now: datetime) -> Send | Wait:
        counted = await self._transients.count(kind, key, ttl)
        taken.append((kind, key, counted))
        if limit is Limit.PHONE_MINUTE:
            return Send() if counted.number <= 1 else Wait(limit, now + self._sms_limits.phone_gap)
        return decide_count(limit, counted.number, now, self._sms_limits)

    async def _write(
        self, request: CodeRequest, code: str, now: datetime, *, front: CodeRequest | None = None, reached: bool = True
    ) -> tuple[Send | Wait, bool]:
        """Count the day, write the message and its audit row: all or nothing; return the verdict and whether a message leaves.

        With ``front`` only the claim's own day is told; the phone's, or having none to reach, withholds the message in silence.
        """
        day, tomorrow = find_day(now), find_next_day(now)
        parameters = {"code": code, "name": request.masked_name, "minutes": str(int(self._code_limits.life.total_seconds() // 60))}
        share = find_share(self._sms_limits.phone_day, request.after_password)
        try:
            async with self._database.transaction() as tx:
                if front is not None and not await self._count_day(tx, day, front, share):
                    raise _DayUsedUp(Limit.PHONE_DAY)
                in_share = await self._count_day(tx, day, request, share)
                if not in_share and front is None:
                    raise _DayUsedUp(Limit.PHONE_DAY)
                if request.device_hash is not None:
                    device_hash = self._index.index("sms_device", request.device_hash.hex())
                    if not await message_counts.count_message(tx, day, "device", device_hash, self._sms_limits.device_day):
                        raise _DayUsedUp(Limit.DEVICE_DAY)
                payload = {"phone": request.phone, "template": f"{request.purpose}_code", "parameters": parameters}
                leaves = reached and in_share
                if leaves:
                    await self._outbox.add(tx, MESSAGE, payload, now + self._code_limits.life)
                    await self._record(tx, Kind.CODE_SENT, Result.DONE, request)
                else:
                    # Written and over at once: the answer takes as long as the one for a message that leaves.
                    await self._outbox.add(tx, WITHHELD, payload, now)
                    await self._record(tx, Kind.CODE_SENT, Result.REFUSED, request, {"reason": "withheld" if in_share else "limit"})
        except _DayUsedUp as used_up:
            return Wait(used_up.limit, tomorrow), False
        return Send(), leaves

    async def _count_day(self, tx: Transaction, day: date, request: CodeRequest, share: int) -> bool:
        # First its own share: a registration beyond it takes nothing from what is left to the others.
        if request.registering:
            own = self._index.index("sms_phone", _name_registrations(request.phone))
            if not await message_counts.count_message(tx, day, "phone", own, find_registration_share(self._sms_limits.phone_day)):
                return False
        return await message_counts.count_message(tx, day, "phone", self._index.index("sms_phone", request.phone), share)

    async def _record(
        self, tx: Transaction, kind: Kind, result: Result, request: CodeRequest, details: Mapping[str, Detail] | None = None
    ) -> None:
        event = AuditEvent(
            kind,
            result,
            actor=f"person:{request.person_id}" if request.person_id else "visitor",
            person_id=request.person_id,
            client_id=request.client_id,
            request_id=request.request_id,
            details={"purpose": request.purpose, **(details or {})},
            place=Place(request.address, request.device),
        )
        await self._audit.record(tx, event)

    async def _find_resend_lock(self, request: CodeRequest, now: datetime) -> datetime | None:
        hashes = self._index.index_all("throttle", _name_resend(request))
        return await locks.find_lock(self._database, Way.RESEND.value, hashes, now)


class _DayUsedUp(Exception):
    """Rolls the transaction back; the count is not taken."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit.value)
        self.limit = limit


def _name_pending(purpose: str, binding: str) -> str:
    return f"{purpose}\0{binding}"


def _name_registrations(phone: str) -> str:
    return f"{REGISTRATION}\0{phone}"


def _name_resend(request: CodeRequest) -> str:
    return name_subject(Way.RESEND, request.phone, None, request.address)
