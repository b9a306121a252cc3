"""Decides whether a code is sent and whether a typed one is right; a sent code, its count and its audit row are one transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from idp.authenticators.rules.sms_code import (
    CodeDead,
    CodeGone,
    CodeLimits,
    CodeRight,
    CodeVerdict,
    PendingCode,
    bind_code,
    judge_before,
    judge_wrong,
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
    find_share,
    keep_last_hour,
    read_sent,
    wants_resend_lock,
    write_sent,
)
from idp.authenticators.rules.throttling import Way, name_origin, name_subject
from idp.authenticators.stores import locks, message_counts
from idp.kernel.audit_events import AuditEvent, Kind, Place, Result
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
BUDGET_MINUTES = "sms_budget_minute"
MESSAGE = "sms"
HOUR = 3_600.0
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
        phone_key = self._index.index("sms_phone", request.phone).hex()
        # The minute's counter admits one sender at a time, so the list of the hour needs no lock of its own.
        taken: list[Taken] = []
        gap = self._sms_limits.phone_gap.total_seconds()
        verdict = await self._count(taken, PHONE_MINUTES, phone_key, gap, Limit.PHONE_MINUTE, now) if gap else Send()
        stored = await self._transients.get(PHONE_HOURS, phone_key)
        sent = keep_last_hour(read_sent(stored.value) if stored else (), now)
        by_history = decide_phone(sent, request.after_password, now, self._sms_limits)
        if isinstance(by_history, Wait):
            verdict = by_history
        if isinstance(verdict, Send):
            verdict = await self._count(taken, ADDRESS_HOURS, name_origin(request.address), HOUR, Limit.ADDRESS_HOUR, now)
        if isinstance(verdict, Send):
            verdict = await self._count(taken, BUDGET_MINUTES, "all", 60.0, Limit.BUDGET, now)
        code = make_code(self._random)
        if isinstance(verdict, Send):
            verdict = await self._write(request, code, now)
        if isinstance(verdict, Wait):
            for kind, key, counted in taken:
                await self._transients.uncount(kind, key, counted)
            return verdict
        pending = PendingCode(
            self._mac.compute(bind_code(request.purpose, request.binding, request.phone, code)), self._mac.current_id, now
        )
        key = _name_pending(request.purpose, request.binding)
        await self._transients.put(PENDING, key, write_pending(pending), self._code_limits.life.total_seconds())
        await self._transients.put(PHONE_HOURS, phone_key, write_sent((*sent, now)), HOUR)
        return Send()

    async def resend(self, request: CodeRequest, asked: int) -> Send | Wait:
        """Send another code. The ``asked``-th request of one interaction may lock resending to this phone here (S02)."""
        now = self._clock()
        locked_until = await self._find_resend_lock(request, now)
        if locked_until is not None:
            return Wait(Limit.RESENDS, locked_until)
        if not wants_resend_lock(asked, self._sms_limits):
            return await self.send(request)
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
            if not self._mac.verify(bind_code(purpose, binding, phone, code), counted.mac, counted.key_id):
                return judge_wrong(counted, self._code_limits)
            return CodeRight() if await self._transients.take(PENDING, key) is not None else CodeGone()
        return CodeGone()

    async def _count(self, taken: list[Taken], kind: str, key: str, ttl: float, limit: Limit, now: datetime) -> Send | Wait:
        counted = await self._transients.count(kind, key, ttl)
        taken.append((kind, key, counted))
        if limit is Limit.PHONE_MINUTE:
            return Send() if counted.number <= 1 else Wait(limit, now + self._sms_limits.phone_gap)
        return decide_count(limit, counted.number, now, self._sms_limits)

    async def _write(self, request: CodeRequest, code: str, now: datetime) -> Send | Wait:
        """Count the day, write the message and its audit row: all or nothing."""
        day, tomorrow = find_day(now), find_next_day(now)
        parameters = {"code": code, "name": request.masked_name, "minutes": str(int(self._code_limits.life.total_seconds() // 60))}
        try:
            async with self._database.transaction() as tx:
                phone_hash = self._index.index("sms_phone", request.phone)
                share = find_share(self._sms_limits.phone_day, request.after_password)
                if not await message_counts.count_message(tx, day, "phone", phone_hash, share):
                    raise _DayUsedUp(Limit.PHONE_DAY)
                if request.device_hash is not None:
                    device_hash = self._index.index("sms_device", request.device_hash.hex())
                    if not await message_counts.count_message(tx, day, "device", device_hash, self._sms_limits.device_day):
                        raise _DayUsedUp(Limit.DEVICE_DAY)
                payload = {"phone": request.phone, "template": f"{request.purpose}_code", "parameters": parameters}
                await self._outbox.add(tx, MESSAGE, payload, now + self._code_limits.life)
                await self._record(tx, Kind.CODE_SENT, Result.DONE, request)
        except _DayUsedUp as used_up:
            return Wait(used_up.limit, tomorrow)
        return Send()

    async def _record(self, tx: Transaction, kind: Kind, result: Result, request: CodeRequest) -> None:
        event = AuditEvent(
            kind,
            result,
            actor=f"person:{request.person_id}" if request.person_id else "visitor",
            person_id=request.person_id,
            client_id=request.client_id,
            request_id=request.request_id,
            details={"purpose": request.purpose},
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


def _name_resend(request: CodeRequest) -> str:
    return name_subject(Way.RESEND, request.phone, None, request.address)
