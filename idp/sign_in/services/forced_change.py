"""Decides how a password that everybody knows is replaced: after everything that is asked, before a session opens (S06)."""

from dataclasses import replace

from idp.authenticators.rules.password_policy import Personal
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import Detail, Kind
from idp.kernel.clock import Clock
from idp.people.rules.masking import mask_name
from idp.people.rules.profile import Profile
from idp.people.services.directory import KnownPerson, People
from idp.platform.database import Database
from idp.sign_in.rules.account_history import PASSWORD_CHANGED
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.account_notices import AccountNotices
from idp.sign_in.services.account_sessions import EndGrants
from idp.sign_in.services.flow_states import FlowState
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import Visit

NOTICE = "password_changed"

NO_LINEAGE = b""
"""The lineage of no session: all of them are others."""


class ForcedChange:
    """Asks for another password, and takes it."""

    def __init__(
        self,
        database: Database,
        interactions: Interactions,
        sessions: Sessions,
        people: People,
        passwords: Passwords,
        notices: AccountNotices,
        records: SignInRecords,
        end_grants: EndGrants,
        clock: Clock,
    ) -> None:
        self._database = database
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._passwords = passwords
        self._notices = notices
        self._records = records
        self._end_grants = end_grants
        self._clock = clock

    async def demand(self, known: KnownPerson) -> KnownPerson:
        """Note that the password just proved has to be replaced; return the person as known now."""
        async with self._database.transaction() as tx:
            await self._passwords.demand_change(tx, known.standing.person_id, known.password_changed_at or self._clock())
        return replace(known, must_change=True)

    async def read_name(self, state: FlowState) -> str:
        """Return the name of the flow's person, masked. Raises StepRepeated without one."""
        if state.known is None:
            raise StepRepeated
        return await self._people.find_masked_name(state.known.standing.person_id)

    async def change(self, held: Held, state: FlowState, password: str, visit: Visit) -> tuple[Held, KnownPerson]:
        """Replace the password; return the flow, and the person as known now.

        Every session that the old one may have opened elsewhere ends. Raises PasswordLength, PasswordPersonal, PasswordCommon;
        Overloaded; StepRepeated for a form that was sent twice.
        """
        known = state.known
        if known is None:
            raise StepRepeated
        person_id = known.standing.person_id
        profile = await self._people.read_profile(person_id)
        verifier = await self._passwords.choose(password, list_personal(profile, known))
        # The flow moves first: of two submissions one changes anything.
        held = await self._interactions.replace(held, held.interaction)
        own = state.same_session
        async with self._database.transaction() as tx:
            before = await self._people.hold(tx, person_id, alone=True)
            if before is None or before.status is not known.standing.status:
                raise StepRepeated
            if (before.password_changed_at, before.recovered_at) != (known.password_changed_at, known.standing.recovered_at):
                raise StepRepeated  # somebody else replaced it meanwhile
            now = self._clock()
            await self._passwords.set(tx, person_id, verifier, now)
            await known_devices.forget(tx, person_id)
            lineage = own.lineage if own is not None else NO_LINEAGE
            ended = await self._sessions.end_others(tx, person_id, lineage, PASSWORD_CHANGED, visit.request_id)
            await self._end_grants(tx, person_id, lineage, PASSWORD_CHANGED, others=True)
            details: dict[str, Detail] = {"way": "forced", "sessions": ended}
            await self._records.record(tx, Kind.PASSWORD_CHANGED, person_id, held.interaction, visit, details)
            await self._notices.add(tx, known.phone, mask_name(profile.name), NOTICE)
        # Who chose the new password knows it: what the flow proved goes on under it.
        held = replace(held, interaction=replace(held.interaction, password_of=now))
        return held, replace(known, must_change=False, password_changed_at=now)


def list_personal(profile: Profile, known: KnownPerson) -> Personal:
    """Return what a password of this person may not be made of."""
    phone = known.phone or profile.phone
    return Personal(profile.name, profile.document.value if profile.document else "", phone.value if phone else "")
