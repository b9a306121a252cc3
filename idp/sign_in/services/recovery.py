"""Decides how a recovery ends: the authorities agree, a password is chosen, and one session opens that proves one factor for a day."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import Detail, Kind
from idp.kernel.checks import CheckKind
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.kernel.levels import Factor, Proved
from idp.people.rules.identifiers import Phone
from idp.people.rules.person import check_standing
from idp.people.rules.proofing_items import ItemPlan
from idp.people.rules.recovery import RecoveryStep
from idp.people.rules.refusals import RecoveryGone, RegisterUnknown
from idp.people.services.directory import KnownPerson, People
from idp.people.services.phone_match import PhoneMatches
from idp.people.services.recovery import PersonRecovery
from idp.people.stores.people import HeldPerson
from idp.platform.database import Database
from idp.sign_in.rules import device
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.flow_states import forget_proofs
from idp.sign_in.services.forced_change import NOTICE
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.recovery_states import HeldRecovery, Recoveries
from idp.sign_in.services.session_opening import SessionOpening
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import Continue, Visit


class RecoveryEnd:
    """The second half of a recovery."""

    def __init__(
        self,
        database: Database,
        interactions: Interactions,
        recoveries: Recoveries,
        sessions: Sessions,
        opening: SessionOpening,
        people: People,
        person_recovery: PersonRecovery,
        phone_matches: PhoneMatches,
        notices: AccountNotices,
        records: SignInRecords,
        clock: Clock,
    ) -> None:
        self._database = database
        self._interactions = interactions
        self._recoveries = recoveries
        self._sessions = sessions
        self._opening = opening
        self._people = people
        self._person_recovery = person_recovery
        self._phone_matches = phone_matches
        self._notices = notices
        self._records = records
        self._clock = clock

    @property
    def plan(self) -> ItemPlan:
        """Return how items are asked for in this province."""
        return self._person_recovery.plan

    def serves(self, kind: CheckKind) -> bool:
        """Tell whether any authority can be asked this."""
        return self._person_recovery.serves(kind)

    async def submit_items(self, flow: Held, held: HeldRecovery, items: Mapping[CheckKind, str], visit: Visit) -> HeldRecovery:
        """Ask the register and the authorities of the items.

        Raises RecoveryUnproved, AuthorityUnavailable, ChecksLimited, ChecksBusy, after which another item may be tried; RegisterUnknown,
        after which this recovery is over (S21).
        """
        who = visit.ask_for(flow.interaction.client_id)
        # The recovery moves before anybody is asked: a form that was sent twice spends one check.
        held = await self._recoveries.move(flow.interaction, held, held.recovery)
        asked = await self._person_recovery.ask(held.recovery, items, who)
        if isinstance(asked.refusal, RegisterUnknown):
            await self._recoveries.end(flow.interaction)
            await self._person_recovery.record_refusal(held.recovery, asked.refusal.code, held.recovery.person_id, who)
            raise asked.refusal
        held = await self._recoveries.move(flow.interaction, held, asked.recovery)
        known = await self._people.find_by_id(held.recovery.person_id) if held.recovery.person_id else None
        if known is not None and any(answer.kind is CheckKind.PHONE for answer in asked.answers):
            # A number that is somebody else's is frozen; which question was answered so is not told.
            await self._phone_matches.record(known, Phone(held.recovery.phone), asked.answers, who, weak=True)
        if asked.refusal is not None:
            raise asked.refusal
        return held

    async def submit_password(self, flow: Held, held: HeldRecovery, password: str, visit: Visit) -> Continue:
        """Set the password and open the session; every other session and every grant ends.

        Raises PasswordLength, PasswordPersonal, PasswordCommon, Overloaded; the account's own refusal; RecoveryGone, StepRepeated.
        """
        recovery, interaction = held.recovery, flow.interaction
        who = visit.ask_for(interaction.client_id)
        known = await self._find_person(held)
        person_id = known.standing.person_id
        verifier = await self._person_recovery.choose_password(known, password)
        replaced = await self._sessions.read(visit.session_cookie)
        if not await self._recoveries.end(interaction):
            raise StepRepeated
        moved = replace(forget_proofs(interaction), person_id=person_id, unreachable_by=None)
        flow = await self._interactions.replace(flow, moved)
        now = self._clock()
        proved = (Proved(Factor.SMS, recovery.code_at or now), Proved(Factor.PASSWORD, now))
        device_cookie = await self._opening.choose_device(person_id, visit)
        device_hash = device.hash_device(device_cookie)
        name = await self._people.find_masked_name(person_id)
        async with self._database.transaction() as tx:
            refusal = _judge_held(await self._people.hold(tx, person_id, alone=True), recovery.code_at or now)
            if refusal is not None:
                raise refusal
            # Under the lock once more: somebody may have taken the number over since the code.
            if known.phone is None or not await self._people.note_phone_use(tx, person_id, known.phone):
                raise RecoveryGone
            await self._person_recovery.complete(tx, recovery, person_id, verifier, who)
            is_new = device_hash is not None and await known_devices.remember(tx, person_id, device_hash, now)
            foreign = replaced if replaced is not None and replaced.person_id != person_id else None
            opened = await self._sessions.open(
                tx, person_id, proved, device_hash, visit.place, replaces=foreign, request_id=visit.request_id
            )
            details: dict[str, Detail] = {"amr": "sms pwd", "new_device": is_new, "way": "recovery"}
            await self._records.record(tx, Kind.SIGN_IN_SUCCEEDED, person_id, moved, visit, details)
            await self._notices.add(tx, known.phone, name, NOTICE)
        return Continue(flow, opened.cookie, device_cookie)

    async def _find_person(self, held: HeldRecovery) -> KnownPerson:
        """Return the person whose phone proved the code; the number must still be theirs. Raises RecoveryGone."""
        recovery = held.recovery
        known = await self._people.find_by_id(recovery.person_id) if recovery.person_id and held.step is RecoveryStep.PASSWORD else None
        if known is None or known.phone is None or known.phone.value != recovery.phone or not known.has_own_phone:
            raise RecoveryGone
        return known


def _judge_held(held: HeldPerson | None, code_at: datetime) -> Refusal | None:
    """Return why this recovery must not end in a password: the account's standing, or another change of password after its code."""
    if held is None:
        return RecoveryGone()
    outlived = [at for at in (held.password_changed_at, held.recovered_at) if at is not None and at > code_at]
    return RecoveryGone() if outlived else check_standing(held.status)
