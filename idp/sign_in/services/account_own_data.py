"""Decides how a person changes e-mail and postal address: what is typed waits until a code sent to the phone comes back."""

import hmac
from dataclasses import dataclass, replace

from idp.authenticators.rules import refusals
from idp.authenticators.rules.sms_code import CodeDead, CodeGone, CodeRight, CodeWrong
from idp.authenticators.rules.sms_limits import Limit, Wait
from idp.authenticators.rules.waits import refuse_message
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.kernel.audit_events import Detail, Kind, Result
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.people.rules.identifiers import Phone
from idp.people.rules.phone_binding import is_unused
from idp.people.rules.profile_change import (
    OwnDatum,
    OwnValue,
    ProfileChange,
    apply_change,
    describe_change,
    find_value,
    name_change,
    read_change,
    write_change,
)
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.transients import Transients
from idp.sign_in.rules.account_history import PROFILE_CHANGE
from idp.sign_in.rules.account_refusals import OwnDatumUnchanged
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.account import Account, Owner
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.first_codes import explain_code
from idp.sign_in.services.visits import Visit

WAITING = "profile_change"
NOTICE = "profile_changed"
LIFE = 1_800.0
"""Seconds that a change waits for its code."""

NAMES = {OwnDatum.EMAIL: "电子邮箱", OwnDatum.ADDRESS: "通讯地址"}
"""What the message, which is Chinese, calls the datum."""


@dataclass(frozen=True)
class Desk:
    """What the page of a datum needs. ``value`` is what is kept, ``phone`` where the code goes.

    ``obstacle``: no_phone or unused_phone when no code can be asked for, else "".
    ``code_ended``: the change waits, and only another code can confirm it.
    """

    value: OwnValue
    phone: Phone | None
    obstacle: str
    waiting: ProfileChange | None
    code_ended: bool
    minutes: int


class AccountOwnData:
    """Changes what the person of a live session says of themselves.

    A code is bound to purpose, sign-in, datum, value and phone: one that was sent for something else opens nothing here. Guessing is
    bounded by the code's five tries and the messages that one phone gets in a day.
    """

    def __init__(
        self,
        database: Database,
        account: Account,
        people: People,
        codes: Codes,
        transients: Transients,
        notices: AccountNotices,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._account = account
        self._people = people
        self._codes = codes
        self._transients = transients
        self._notices = notices
        self._audit = audit
        self._clock = clock

    async def look(self, owner: Owner, datum: OwnDatum) -> Desk:
        """Return what there is, and what waits for its code."""
        value = find_value(await self._people.read_profile(owner.person_id), datum)
        obstacle = await self._find_obstacle(owner)
        held = None if obstacle else await self._find(owner, datum)
        waiting = held[0] if held else None
        ended = waiting is not None and not self._has_code(waiting)
        return Desk(value, owner.phone, obstacle, waiting, ended, int(self._codes.life.total_seconds() // 60))

    async def ask(self, owner: Owner, datum: OwnDatum, value: OwnValue, visit: Visit) -> None:
        """Let a change wait, in the place of another one of this sign-in, and send its code.

        The same form sent twice is one change, as long as its code can be used. Raises OwnDatumUnchanged; SmsForAnother, SendingLocked,
        SmsLimitReached, SmsBusy; StepRepeated where no code can be sent.
        """
        phone = await self._require_phone(owner)
        profile = await self._people.read_profile(owner.person_id)
        if find_value(profile, datum) == value:
            raise OwnDatumUnchanged
        change = ProfileChange(self._account.make_mark(owner.session, name_change(datum, value)), datum, value)
        held = await self._find(owner, datum)
        if held is not None and held[0].id == change.id and self._has_code(held[0]):
            return
        verdict = await self._codes.send(await self._request_code(owner, change, phone, visit))
        if isinstance(verdict, Wait):
            raise refuse_message(verdict, self._clock(), unsent=True)
        waiting = replace(change, code_until=self._end_code())
        await self._transients.put(WAITING, self._name(owner, datum), write_change(waiting), LIFE)

    async def resend(self, owner: Owner, datum: OwnDatum, step: str, visit: Visit) -> None:
        """Send another code. Raises StepRepeated for a form of another change; ResendLocked, SmsTooSoon, SmsLimitReached, SmsBusy."""
        phone = await self._require_phone(owner)
        change, version = await self._require(owner, datum, step)
        key = self._name(owner, datum)
        moved = replace(change, sends=change.sends + 1)
        if not await self._transients.replace(WAITING, key, write_change(moved), version):
            raise StepRepeated
        verdict = await self._codes.resend(await self._request_code(owner, change, phone, visit), change.sends)
        if isinstance(verdict, Wait):
            if verdict.limit is Limit.RESENDS:
                await self._transients.replace(WAITING, key, write_change(replace(change, sends=1)), version + 1)
            raise refuse_message(verdict, self._clock(), unsent=False)
        await self._transients.replace(WAITING, key, write_change(replace(moved, code_until=self._end_code())), version + 1)

    async def confirm(self, owner: Owner, datum: OwnDatum, step: str, typed: str, visit: Visit) -> str:
        """Change the datum with a right code; return whether it was added, changed or removed.

        Raises StepRepeated for a form of another change; CodeWrong, CodeDead, CodeGone.
        """
        phone = await self._require_phone(owner)
        change, version = await self._require(owner, datum, step)
        verdict = await self._codes.check(PROFILE_CHANGE, change.id, phone.value, typed)
        if isinstance(verdict, CodeDead | CodeGone):  # the page, opened anew, must not promise that it can still be used
            await self._transients.replace(WAITING, self._name(owner, datum), write_change(replace(change, code_until=0.0)), version)
        if not isinstance(verdict, CodeRight):
            raise await self._fail(owner, datum, verdict, visit)
        name = await self._account.read_name(owner)
        async with self._database.transaction() as tx:
            now = await self._people.hold(tx, owner.person_id, alone=True)
            if now is None or now.status is not owner.standing.status:
                raise StepRepeated
            before = await self._people.change_profile(tx, owner.person_id, lambda profile: apply_change(profile, change))
            done = describe_change(find_value(before, datum), change.value)
            changed = visit.describe_deed(Kind.PROFILE_CHANGED, owner.person_id, {"datum": datum.value, "change": done})
            await self._audit.record(tx, changed)
            await self._notices.add(tx, phone, name, NOTICE, {"what": NAMES[datum]})
        await self._transients.take(WAITING, self._name(owner, datum))
        return done

    async def _fail(self, owner: Owner, datum: OwnDatum, verdict: CodeWrong | CodeDead | CodeGone, visit: Visit) -> Refusal:
        if isinstance(verdict, CodeWrong):
            details: dict[str, Detail] = {"way": "code", "reason": "wrong", "purpose": PROFILE_CHANGE, "datum": datum.value}
            async with self._database.transaction() as tx:
                await self._audit.record(tx, visit.describe_deed(Kind.SIGN_IN_FAILED, owner.person_id, details, Result.REFUSED))
        return refusals.CodeGone() if isinstance(verdict, CodeGone) else explain_code(verdict, asked_both=False)

    def _end_code(self) -> float:
        """Return when a code that is sent now ends."""
        return (self._clock() + self._codes.life).timestamp()

    def _has_code(self, change: ProfileChange) -> bool:
        return self._clock().timestamp() < change.code_until

    async def _find_obstacle(self, owner: Owner) -> str:
        if owner.phone is None:
            return "no_phone"
        known = await self._people.find_by_id(owner.person_id)
        # A number that was silent for so long may be a stranger's by now (S52).
        return "unused_phone" if known is None or is_unused(known.phone_seen_at, self._clock()) else ""

    async def _require_phone(self, owner: Owner) -> Phone:
        if owner.phone is None or await self._find_obstacle(owner):
            raise StepRepeated
        return owner.phone

    async def _find(self, owner: Owner, datum: OwnDatum) -> tuple[ProfileChange, int] | None:
        stored = await self._transients.get(WAITING, self._name(owner, datum))
        change = read_change(stored.value) if stored is not None else None
        return (change, stored.version) if stored is not None and change is not None else None

    async def _require(self, owner: Owner, datum: OwnDatum, step: str) -> tuple[ProfileChange, int]:
        held = await self._find(owner, datum)
        if held is None or not hmac.compare_digest(held[0].id.encode(), step.encode()):
            raise StepRepeated
        return held

    def _name(self, owner: Owner, datum: OwnDatum) -> str:
        return self._account.make_mark(owner.session, f"profile change of {datum.value}")

    async def _request_code(self, owner: Owner, change: ProfileChange, phone: Phone, visit: Visit) -> CodeRequest:
        return CodeRequest(
            purpose=PROFILE_CHANGE,
            binding=change.id,
            phone=phone.value,
            masked_name=await self._account.read_name(owner),
            person_id=owner.person_id,
            address=visit.address,
            device=visit.device,
            device_hash=visit.device_hash,
            after_password=True,  # whoever asks is signed in
            request_id=visit.request_id,
        )
