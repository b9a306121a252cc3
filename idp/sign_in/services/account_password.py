"""Decides a change of password: the current one is proved like at a sign-in, then everything else that was signed in ends."""

import hmac
from datetime import datetime
from uuid import UUID

from idp.authenticators.rules import refusals
from idp.authenticators.rules.password_policy import Personal
from idp.authenticators.rules.throttling import Delayed, Locked, Way
from idp.authenticators.rules.waits import say_when
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.services.throttle import Throttle, Ticket, TurnedAway
from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import Detail, Kind, Result
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.people.rules.masking import mask_name
from idp.people.services.directory import People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from idp.platform.password_hashing import Overloaded
from idp.sign_in.rules.account_history import PASSWORD_CHANGE, PASSWORD_CHANGED
from idp.sign_in.rules.account_refusals import CurrentPasswordWrong, PasswordUnchanged
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.account import Account, Owner
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.account_sessions import AccountSessions
from idp.sign_in.services.sessions import Opened, Sessions
from idp.sign_in.services.visits import Visit
from idp.sign_in.stores import account_password as store

NOTICE = "password_changed"


class AccountPassword:
    """Changes the password of who is signed in."""

    def __init__(
        self,
        database: Database,
        account: Account,
        account_sessions: AccountSessions,
        notices: AccountNotices,
        sessions: Sessions,
        people: People,
        passwords: Passwords,
        throttle: Throttle,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._account = account
        self._account_sessions = account_sessions
        self._notices = notices
        self._sessions = sessions
        self._people = people
        self._passwords = passwords
        self._throttle = throttle
        self._audit = audit
        self._clock = clock

    async def find_step(self, owner: Owner) -> str:
        """Return what the form carries: it names the password that is to be replaced, so a form is good once."""
        return self._name_step(owner, await store.find_changed_at(self._database, owner.person_id))

    async def change(self, owner: Owner, step: str, current: str, chosen: str, visit: Visit) -> Opened:
        """Replace the password and return this browser's session under its new id.

        Raises StepRepeated for a form whose password was replaced meanwhile; SignInDelayed, SignInLocked, CurrentPasswordWrong;
        PasswordUnchanged, PasswordLength, PasswordPersonal, PasswordCommon; Overloaded.
        """
        changed_at = await store.find_changed_at(self._database, owner.person_id)
        if not hmac.compare_digest(step.encode(), self._name_step(owner, changed_at).encode()):
            raise StepRepeated
        device_hash = await self._prove(owner, current, visit)
        # What may be chosen depends on the person's own data, so only who knows the current password learns anything about it.
        if chosen == current:
            raise PasswordUnchanged
        profile = await self._people.read_profile(owner.person_id)
        document, phone = profile.document, profile.phone or owner.phone
        personal = Personal(profile.name, document.value if document is not None else "", phone.value if phone is not None else "")
        verifier = await self._passwords.choose(chosen, personal)
        async with self._database.transaction() as tx:
            now = await self._people.hold(tx, owner.person_id, alone=True)
            if now is None or now.status is not owner.standing.status or now.password_changed_at != changed_at:
                raise StepRepeated
            await self._passwords.set(tx, owner.person_id, verifier, self._clock())
            await known_devices.forget(tx, owner.person_id, but=device_hash)
            ended = await self._account_sessions.end_others_in(tx, owner, PASSWORD_CHANGED, visit)
            # Whoever copied this browser's cookie is out as well.
            opened = await self._sessions.open(
                tx, owner.person_id, owner.session.proved, device_hash, visit.place, replaces=owner.session, keep_total=True
            )
            changed: dict[str, Detail] = {"way": "account", "sessions": ended}
            await self._audit.record(tx, visit.describe_deed(Kind.PASSWORD_CHANGED, owner.person_id, changed))
            await self._notices.add(tx, owner.phone, mask_name(profile.name), NOTICE)
        return opened

    async def _prove(self, owner: Owner, current: str, visit: Visit) -> bytes | None:
        """Check the current password under the limits of a sign-in; return the hash of a device the person is known by."""
        person_id = owner.person_id
        device_hash = visit.device_hash
        if device_hash is not None and not await known_devices.is_known(self._database, person_id, device_hash, self._clock()):
            device_hash = None
        ticket = await self._throttle.admit(Way.PASSWORD, person_id.hex, device_hash, visit.address)
        if not isinstance(ticket, Ticket):
            raise await self._turn_away(ticket, person_id, visit)
        try:
            right = await self._passwords.verify(person_id, current, known_device=device_hash is not None, address=visit.address)
        except Overloaded:
            await self._throttle.withdraw(ticket)
            raise
        if not right:
            raise await self._fail(ticket, person_id, visit)
        await self._throttle.succeed(ticket)
        return device_hash

    async def _turn_away(self, refused: TurnedAway, person_id: UUID, visit: Visit) -> Refusal:
        if refused.first:
            reason = "delayed" if isinstance(refused.verdict, Delayed) else "locked"
            details: dict[str, Detail] = {"way": Way.PASSWORD.value, "reason": reason, "purpose": PASSWORD_CHANGE}
            async with self._database.transaction() as tx:
                await self._audit.record(tx, visit.describe_deed(Kind.SIGN_IN_FAILED, person_id, details, Result.REFUSED))
        return self._refuse(refused.verdict)

    async def _fail(self, ticket: Ticket, person_id: UUID, visit: Visit) -> Refusal:
        details: dict[str, Detail] = {
            "way": Way.PASSWORD.value,
            "reason": "wrong",
            "attempt": ticket.number,
            "purpose": PASSWORD_CHANGE,
        }
        async with self._database.transaction() as tx:
            verdict = await self._throttle.fail(tx, ticket)
            await self._audit.record(tx, visit.describe_deed(Kind.SIGN_IN_FAILED, person_id, details, Result.REFUSED))
            if isinstance(verdict, Locked):
                locked = visit.describe_deed(Kind.SIGN_IN_LOCKED, person_id, {"way": Way.PASSWORD.value}, Result.REFUSED)
                await self._audit.record(tx, locked)
        await self._throttle.slow_down(ticket, verdict)
        return self._refuse(verdict) if isinstance(verdict, Locked) else CurrentPasswordWrong()

    def _refuse(self, verdict: Delayed | Locked) -> Refusal:
        if isinstance(verdict, Delayed):
            return refusals.SignInDelayed(seconds=verdict.seconds)
        return refusals.SignInLocked(**say_when(verdict.until, self._clock()))

    def _name_step(self, owner: Owner, changed_at: datetime | None) -> str:
        return self._account.make_mark(owner.session, f"password {changed_at.isoformat() if changed_at else 'none'}")
