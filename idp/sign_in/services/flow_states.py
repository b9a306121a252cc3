"""Decides where a flow stands: who it is about, what counts for it, and what comes next; the operator is asked again where that matters."""

from dataclasses import dataclass, replace

from idp.kernel.audit_events import Kind
from idp.kernel.clock import Clock
from idp.kernel.levels import PHONE_MATCH_LIFE, Proved
from idp.people.rules.identifiers import Phone
from idp.people.rules.person import check_standing
from idp.people.rules.refusals import RegisterUnknown
from idp.people.services.directory import KnownPerson, People
from idp.people.services.phone_match import PhoneMatches, PhoneVerdict
from idp.sign_in.rules import steps
from idp.sign_in.rules.interaction import PORTAL, Interaction
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.rules.session import Session
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import Visit

PURPOSE = "sign_in"
"""What codes and checks of a sign-in are for."""


@dataclass(frozen=True)
class FlowState:
    """Who a flow is about, what was proved in it, and what comes next."""

    known: KnownPerson | None
    session: Session | None
    in_flow: tuple[Proved, ...]
    step: steps.NextStep

    @property
    def same_session(self) -> Session | None:
        """Return the browser's live session when it is this person's."""
        if self.session is None or self.known is None or self.session.person_id != self.known.standing.person_id:
            return None
        return self.session

    def require_code_step(self) -> tuple[KnownPerson, Phone]:
        """Return the person and the phone that the code goes to; raise StepRepeated unless the flow waits for a code."""
        if not isinstance(self.step, steps.AskCode) or self.known is None or self.known.phone is None:
            raise StepRepeated
        return self.known, self.known.phone


class FlowStates:
    """Reads and judges flows."""

    def __init__(self, sessions: Sessions, people: People, phone_matches: PhoneMatches, records: SignInRecords, clock: Clock) -> None:
        self._sessions = sessions
        self._people = people
        self._phone_matches = phone_matches
        self._records = records
        self._clock = clock

    async def load(self, interaction: Interaction, visit: Visit) -> FlowState:
        """Return where a flow stands. Raises RegisterUnknown when the register was asked and has no such person (S21)."""
        now = self._clock()
        session = await self._sessions.read(visit.session_cookie)
        in_flow = steps.drop_stale(interaction.proved, now) if interaction.person_id else ()
        person_id = interaction.person_id if in_flow else session.person_id if session else None
        known = await self._people.find_by_id(person_id) if person_id else None
        if known is not None and in_flow:
            in_flow = _drop_outlived(interaction, known, in_flow)
            if not in_flow:  # what the live session says of its person still counts
                known = await self._people.find_by_id(session.person_id) if session else None
        if known is not None and not in_flow and not _is_good(known, interaction):
            known = None  # a session says nothing about an account that may not sign in; the dispatcher does
        return await self.judge(interaction, known, session, in_flow, visit)

    async def judge(
        self, interaction: Interaction, known: KnownPerson | None, session: Session | None, in_flow: tuple[Proved, ...], visit: Visit
    ) -> FlowState:
        """Return where a flow stands about this person. Raises RegisterUnknown."""
        state = self._judge(interaction, known, session, in_flow)
        if known is None or not self._wants_match(interaction, state):
            return state
        who = visit.ask_for(interaction.client_id)
        confirmation = await self._phone_matches.confirm(known, PURPOSE, who)
        if not confirmation.in_register:
            details = {"reason": RegisterUnknown.code}
            await self._records.refuse(Kind.SIGN_IN_FAILED, known.standing.person_id, interaction, visit, details)
            raise RegisterUnknown
        if confirmation.phone is PhoneVerdict.SILENT:
            return state
        return self._judge(interaction, await self._people.find_by_id(known.standing.person_id), session, in_flow)

    def _judge(
        self, interaction: Interaction, known: KnownPerson | None, session: Session | None, in_flow: tuple[Proved, ...]
    ) -> FlowState:
        in_flow = _drop_outlived(interaction, known, in_flow) if known is not None else in_flow
        proved = self._merge(interaction, known, session, in_flow)
        step = steps.decide_next(
            interaction.wanted,
            self._describe(interaction, known),
            proved,
            interaction.fresh_after,
            self._clock(),
            aal=interaction.aal,
            resistant=interaction.resistant,
        )
        return FlowState(known, session, in_flow, step)

    def _wants_match(self, interaction: Interaction, state: FlowState) -> bool:
        """Tell whether asking the operator again could make a code count: the number was long unused, or its match is too old."""
        known, now = state.known, self._clock()
        if known is None or not known.has_own_phone:
            return False
        matched_at = known.standing.phone_matched_at
        too_old = matched_at is not None and now - matched_at >= PHONE_MATCH_LIFE
        if interaction.resistant or (not too_old and not self._phone_matches.is_due(known)):
            return False
        subject = self._describe(interaction, known)
        hopeful = replace(subject, has_phone=True) if subject is not None else None
        proved = self._merge(interaction, known, state.session, state.in_flow)
        return steps.wants_phone_match(interaction.wanted, hopeful, proved, interaction.fresh_after, now, aal=interaction.aal)

    def _describe(self, interaction: Interaction, known: KnownPerson | None) -> steps.Subject | None:
        if known is None:
            return None
        standing = known.standing
        return steps.Subject(
            ial=standing.ial,
            # Nothing goes to a number that may be a stranger's by now, until the operator says otherwise.
            has_phone=known.phone is not None and not self._phone_matches.is_due(known),
            phone_matched_at=standing.phone_matched_at,
            standing_good=_is_good(known, interaction),
            has_password=known.must_change is not None,
            must_change=bool(known.must_change),
            recovered_at=standing.recovered_at,
        )

    def _merge(
        self, interaction: Interaction, known: KnownPerson | None, session: Session | None, in_flow: tuple[Proved, ...]
    ) -> tuple[Proved, ...]:
        if interaction.isolated:
            return in_flow  # what was proved for others does not count here (S33)
        if known is not None and session is not None and session.person_id == known.standing.person_id:
            return steps.merge_proved(session.proved, in_flow)
        return in_flow


def _is_good(known: KnownPerson, interaction: Interaction) -> bool:
    return check_standing(known.standing.status, self_service=interaction.kind == PORTAL) is None


def forget_proofs(interaction: Interaction) -> Interaction:
    """Return the flow as if nobody had shown anything in it."""
    return replace(interaction, person_id=None, proved=(), sends=0, claimed="", password_of=None, passkey_of=None)


def _drop_outlived(interaction: Interaction, known: KnownPerson, in_flow: tuple[Proved, ...]) -> tuple[Proved, ...]:
    return steps.drop_outlived(in_flow, interaction.password_of, known.password_changed_at, known.standing.recovered_at)
