"""Decides how the questions of a sign-in end: with a session under a new id, or with what the account's standing is."""

from dataclasses import replace
from uuid import UUID

from idp.authenticators.services.passkeys import Passkeys
from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import Detail, Kind
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import encode_base64url
from idp.kernel.levels import Factor
from idp.people.rules.person import check_standing
from idp.people.services.directory import People
from idp.platform.database import Database
from idp.sign_in.rules import device, steps
from idp.sign_in.rules.interaction import PORTAL
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.attempts import Attempts
from idp.sign_in.services.flow_states import FlowState, forget_proofs
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.session_links import SessionLinks
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import Continue, Visit


class SessionOpening:
    """Opens the session of a flow in which everything was proved."""

    def __init__(
        self,
        database: Database,
        interactions: Interactions,
        sessions: Sessions,
        people: People,
        attempts: Attempts,
        records: SignInRecords,
        passkeys: Passkeys,
        links: SessionLinks,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._attempts = attempts
        self._records = records
        self._passkeys = passkeys
        self._links = links
        self._clock = clock
        self._random = random

    async def finish(self, held: Held, state: FlowState, visit: Visit) -> Continue:
        """Open the session. Raises the account's own refusal, now that every factor was right; StepRepeated."""
        known = state.known
        if known is None:
            raise StepRepeated
        interaction = held.interaction
        person_id = known.standing.person_id
        refusal = check_standing(known.standing.status, self_service=interaction.kind == PORTAL)
        if refusal is not None:
            await self._interactions.replace(held, forget_proofs(interaction))
            await self._records.refuse(Kind.SIGN_IN_FAILED, person_id, interaction, visit, {"reason": refusal.code})
            raise refusal
        unreachable_by = person_id if isinstance(state.step, steps.CannotReach) else None
        # A cookie whose session was replaced meanwhile, in another tab, names its successor: never are two left behind.
        replaced = state.session or await self._sessions.find_replaced(visit.session_cookie)
        # The flow moves first: a form that was sent twice opens one session.
        moved = replace(forget_proofs(interaction), person_id=person_id, unreachable_by=unreachable_by)
        held = await self._interactions.replace(held, moved)
        same = state.same_session
        in_flow = {p.factor for p in state.in_flow}
        carried = tuple(p for p in same.proved if p.factor not in in_flow) if same else ()
        proved = steps.merge_proved(carried, state.in_flow)
        device_cookie = await self.choose_device(person_id, visit)
        device_hash = device.hash_device(device_cookie)
        async with self._database.transaction() as tx:
            # Whoever changes the account's standing or password waits, and then ends this session with all others.
            now = await self._people.hold(tx, person_id)
            if now is None or now.status is not known.standing.status:
                raise StepRepeated
            if steps.drop_outlived(state.in_flow, interaction.password_of, now.password_changed_at, now.recovered_at) != state.in_flow:
                raise StepRepeated  # the password was changed, or the account recovered, while this was on its way
            passkey_of = interaction.passkey_of
            if Factor.PASSKEY in in_flow and (passkey_of is None or not await self._passkeys.keep(tx, person_id, passkey_of)):
                raise StepRepeated  # so was the passkey removed
            is_new = device_hash is not None and await known_devices.remember(tx, person_id, device_hash, self._clock())
            if Factor.SMS in in_flow and known.phone is not None:
                await self._people.note_phone_use(tx, person_id, known.phone)
            opened = await self._sessions.open(
                tx,
                person_id,
                proved,
                device_hash,
                visit.place,
                replaces=replaced,
                # What is not proved anew does not get a new life either.
                keep_total=bool(carried),
                request_id=visit.request_id,
            )
            # The password alone begins a sign-in anew; anything else adds to the session that there is.
            stepped_up = same is not None and Factor.PASSWORD not in in_flow
            reached = state.step.reached if isinstance(state.step, steps.Enough | steps.CannotReach) else None
            details: dict[str, Detail] = {
                "amr": " ".join(p.factor.value for p in proved),
                "acr": reached.value if reached else None,
                "new_device": is_new,
            }
            kind = Kind.STEP_UP_SUCCEEDED if stepped_up else Kind.SIGN_IN_SUCCEEDED
            await self._records.record(tx, kind, person_id, interaction, visit, details)
        if interaction.isolated or interaction.confirms:
            await self._links.note(opened.session.lineage, interaction.client_id, state.in_flow)
        return Continue(held, opened.cookie, device_cookie)

    async def choose_device(self, person_id: UUID, visit: Visit) -> str:
        """Return the device cookie that the browser keeps.

        A cookie that this person is not known by may be somebody else's choice: theirs is one that we made.
        """
        known = await self._attempts.find_known_device(person_id, visit) is not None
        return visit.device_cookie if known and visit.device_cookie else encode_base64url(self._random(device.COOKIE_BYTES))
