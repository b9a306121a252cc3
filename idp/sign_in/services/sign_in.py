"""Decides a sign-in step by step: load, throttle, decide, record; a session opens only when what was proved is enough."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from idp.authenticators.rules import refusals
from idp.authenticators.rules.sms_code import CodeDead, CodeGone, CodeRight, CodeWrong, normalize_code
from idp.authenticators.rules.sms_limits import Limit, Wait
from idp.authenticators.rules.throttling import Way
from idp.authenticators.rules.waits import refuse_message
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.authenticators.services.passwords import Passwords
from idp.kernel.audit_events import Detail, Kind
from idp.kernel.clock import Clock
from idp.kernel.levels import Factor, Proved
from idp.people.rules.identifiers import Identifier, Phone, has_form_of_resident_id
from idp.people.services.directory import KnownPerson, People
from idp.platform.password_hashing import Overloaded
from idp.sign_in.rules import interaction as interactions_rules
from idp.sign_in.rules import steps
from idp.sign_in.rules.interaction import Interaction, answer_as
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.attempts import Attempts
from idp.sign_in.services.first_codes import FirstCodes, require_claim
from idp.sign_in.services.flow_states import PURPOSE, FlowState, FlowStates, forget_proofs
from idp.sign_in.services.forced_change import ForcedChange
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.passkey_steps import PasskeySteps
from idp.sign_in.services.session_opening import SessionOpening
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.sign_in_records import SignInRecords
from idp.sign_in.services.visits import (
    Answer,
    AskCode,
    AskFirstCode,
    AskNewPassword,
    AskPasskey,
    AskPassword,
    AskSecret,
    Continue,
    Malformed,
    Visit,
)

PORTAL = interactions_rules.PORTAL


class SignIn:
    """Signs people in. Every method takes the flow as it was read and the request; refusals are raised.

    Everywhere: StepRepeated when the flow stands elsewhere, RegisterUnknown when the register was asked again and has no such person.
    """

    def __init__(
        self,
        interactions: Interactions,
        sessions: Sessions,
        people: People,
        passwords: Passwords,
        codes: Codes,
        attempts: Attempts,
        states: FlowStates,
        opening: SessionOpening,
        first_codes: FirstCodes,
        forced_change: ForcedChange,
        passkey_steps: PasskeySteps,
        records: SignInRecords,
        clock: Clock,
    ) -> None:
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._passwords = passwords
        self._codes = codes
        self._attempts = attempts
        self._states = states
        self._opening = opening
        self._first_codes = first_codes
        self._forced_change = forced_change
        self._passkey_steps = passkey_steps
        self._records = records
        self._clock = clock

    @property
    def code_minutes(self) -> int:
        """How long a code is valid, in minutes."""
        return int(self._codes.life.total_seconds() // 60)

    def ask_passkey(self, held: Held) -> str:
        """Return what the passkey button beside other ways asks the browser, as JSON; "" where there are no passkeys."""
        return self._passkey_steps.ask(held.interaction)

    async def look(self, held: Held, visit: Visit) -> Answer:
        """Return the step that the flow stands at; the first code of a flow is sent when its page is first shown."""
        if held.interaction.claimed:
            return await self._first_codes.look(held, visit)
        state = await self._states.load(held.interaction, visit)
        if held.interaction.proved and not state.in_flow:
            # What was shown in this flow is too old to count: the flow forgets it.
            held = await self._interactions.replace(held, forget_proofs(held.interaction))
        match state.step:
            case steps.AskIdentifierAndPassword():
                notice = await self._sessions.explain(visit.session_cookie) if state.session is None else None
                return AskPassword(held, notice)
            case steps.AskPassword():
                return AskSecret(held)
            case steps.AskCode():
                return await self._look_at_code(held, state, visit)
            case steps.AskPasskey():
                return await self._passkey_steps.look(held, state)
            case steps.AskNewPassword():
                return AskNewPassword(held, await self._forced_change.read_name(state))
            case steps.Enough() | steps.CannotReach():
                if state.in_flow or state.same_session is None:
                    return await self._opening.finish(held, state, visit)
                if isinstance(state.step, steps.CannotReach):
                    whose = state.same_session.person_id
                    held = await self._interactions.replace(held, replace(held.interaction, unreachable_by=whose))
                return Continue(held)
        assert_never(state.step)

    async def ask_first_code(self, held: Held, text: str) -> AskFirstCode | Malformed:
        """Let the flow wait for a code of whoever is named, if anybody is."""
        _require_weaker_ways(held)
        identifier = self._people.recognize(text)
        if identifier is None:
            return self._explain_identifier(held, text)
        return AskFirstCode(await self._first_codes.begin(held, identifier.value), asks_document=True)

    async def submit_first_code(self, held: Held, typed: str, document_end: str, visit: Visit) -> Answer | Malformed:
        """Check a code that was asked for before anything was proved; see FirstCodes.submit."""
        require_claim(held)
        asked_at = self._clock()
        answer = await self._first_codes.submit(held, typed, document_end, visit)
        return answer if isinstance(answer, Malformed) else await self._prove(held, answer, Proved(Factor.SMS, asked_at), visit)

    async def submit_password(self, held: Held, text: str, password: str, visit: Visit) -> Answer | Malformed:
        """Check identifier and password.

        Raises WrongCredentials, SignInDelayed, SignInLocked alike for known and unknown identifiers; Overloaded of the password
        hashing; the account's own refusal once every factor was right.
        """
        identifier = self._people.recognize(text)
        if identifier is None:
            return self._explain_identifier(held, text)
        return await self._check_password(held, identifier, await self._people.find_by_identifier(identifier), password, visit)

    async def submit_secret(self, held: Held, password: str, visit: Visit) -> Answer | Malformed:
        """Check the password of whoever the flow is about; raises as ``submit_password`` does."""
        state = await self._states.load(held.interaction, visit)
        if not isinstance(state.step, steps.AskPassword) or state.known is None:
            raise StepRepeated
        return await self._check_password(held, None, state.known, password, visit)

    async def submit_passkey(self, held: Held, response: str, visit: Visit) -> Answer:
        """Check what a browser answered. Raises PasskeyRefused, PasskeyOfAnother; the account's own refusal for one that is right."""
        asked_at = self._clock()
        state = await self._states.load(held.interaction, visit)
        held, known = await self._passkey_steps.prove(held, state, response, visit)
        return await self._prove(held, known, Proved(Factor.PASSKEY, asked_at), visit)

    async def look_at_passkey(self, held: Held, visit: Visit) -> AskPasskey:
        """Return the page of the passkey, to show it with what was wrong."""
        return await self._passkey_steps.look(held, await self._states.load(held.interaction, visit))

    async def go_without_passkey(self, held: Held, visit: Visit) -> Held:
        """Go on without the passkey that was asked for: to a lower class, or back with an error where nothing else is accepted."""
        if not held.interaction.resistant:
            raise StepRepeated
        known = (await self._states.load(held.interaction, visit)).known
        answered = answer_as(held.interaction, known.standing.person_id if known is not None else None)
        without = replace(forget_proofs(answered), without_passkey=True, resistant=held.interaction.essential)
        return await self._interactions.replace(held, without)

    async def submit_new_password(self, held: Held, password: str, visit: Visit) -> Answer:
        """Replace a password that everybody knows. Raises PasswordLength, PasswordPersonal, PasswordCommon; Overloaded."""
        state = await self._states.load(held.interaction, visit)
        if not isinstance(state.step, steps.AskNewPassword):
            raise StepRepeated
        held, changed = await self._forced_change.change(held, state, password, visit)
        return await self._go_on(held, await self._states.judge(held.interaction, changed, state.session, state.in_flow, visit), visit)

    async def submit_code(self, held: Held, typed: str, visit: Visit) -> Answer | Malformed:
        """Check the code; what cannot be one costs no try. Raises CodeWrong, CodeDead, CodeGone."""
        state = await self._states.load(held.interaction, visit)
        known, phone = state.require_code_step()
        if normalize_code(typed) is None:
            return Malformed(held, "code_malformed")
        asked_at = self._clock()
        verdict = await self._codes.check(PURPOSE, held.interaction.id, phone.value, typed)
        if isinstance(verdict, CodeRight):
            return await self._prove(held, known, Proved(Factor.SMS, asked_at), visit)
        details: dict[str, Detail] = {"way": Way.CODE.value, "reason": _CODE_REASONS[type(verdict)]}
        await self._records.refuse(Kind.SIGN_IN_FAILED, known.standing.person_id, held.interaction, visit, details)
        match verdict:
            case CodeWrong(tries_left=tries) if tries > 0:
                raise refusals.CodeWrong(tries=tries)
            case CodeWrong() | CodeDead():
                raise refusals.CodeDead
            case CodeGone():
                raise refusals.CodeGone
        assert_never(verdict)

    async def resend(self, held: Held, visit: Visit) -> AskCode | AskFirstCode:
        """Send another code, or say in ``problem`` why not."""
        if held.interaction.claimed:
            return await self._first_codes.resend(held, visit)
        state = await self._states.load(held.interaction, visit)
        known, phone = state.require_code_step()
        unsent = held.interaction.sends == 0
        asked = max(held.interaction.sends, 1)
        held = await self._interactions.replace(held, replace(held.interaction, sends=asked + 1))
        verdict = await self._codes.resend(await self._request_code(held.interaction, known, phone, visit), asked)
        if not isinstance(verdict, Wait):
            return AskCode(held, phone, sent=True)
        if unsent or verdict.limit is Limit.RESENDS:
            # Still nothing is on its way; or the count begins anew when the lock opens.
            held = await self._interactions.replace(held, replace(held.interaction, sends=0 if unsent else 1))
        return AskCode(held, phone, refuse_message(verdict, self._clock(), unsent=unsent), unsent=unsent)

    async def start_over(self, held: Held) -> Held:
        """Forget who this flow is about, so that somebody else can sign in.

        What a live session proved before does not count in this flow any more; the session itself ends when somebody else signs in.
        """
        now = self._clock()
        forgotten = replace(forget_proofs(held.interaction), unreachable_by=None, login_hint=None, fresh_after=now)
        return await self._interactions.replace(held, forgotten)

    async def change_way(self, held: Held) -> Held:
        """Go back from a code that was asked for before anything was proved to the choice of the way."""
        return await self._interactions.replace(held, forget_proofs(held.interaction)) if held.interaction.claimed else held

    async def look_again(self, held: Held, visit: Visit) -> AskCode | AskFirstCode:
        """Return the code's page without sending anything, to show it with what was wrong."""
        if held.interaction.claimed:
            return await self._first_codes.look_again(held, visit)
        _, phone = (await self._states.load(held.interaction, visit)).require_code_step()
        return AskCode(held, phone, unsent=held.interaction.sends == 0)

    async def look_at_new_password(self, held: Held, visit: Visit) -> AskNewPassword:
        """Return the page of the forced change, to show it with what was wrong."""
        return AskNewPassword(held, await self._forced_change.read_name(await self._states.load(held.interaction, visit)))

    async def _look_at_code(self, held: Held, state: FlowState, visit: Visit) -> AskCode:
        known, phone = state.require_code_step()
        if held.interaction.sends > 0:
            return AskCode(held, phone)
        # Moving the flow first means that of two tabs one sends.
        held = await self._interactions.replace(held, replace(held.interaction, sends=1))
        verdict = await self._codes.send(await self._request_code(held.interaction, known, phone, visit))
        if isinstance(verdict, Wait):
            # Nothing is on its way: whoever opens the page when the wait is over gets the code then.
            held = await self._interactions.replace(held, replace(held.interaction, sends=0))
            return AskCode(held, phone, refuse_message(verdict, self._clock(), unsent=True), unsent=True)
        return AskCode(held, phone)

    def _explain_identifier(self, held: Held, text: str) -> Malformed:
        return Malformed(held, "identifier_slip" if has_form_of_resident_id(text) else "identifier_malformed")

    async def _check_password(
        self, held: Held, identifier: Identifier | None, known: KnownPerson | None, password: str, visit: Visit
    ) -> Answer:
        person_id = known.standing.person_id if known else None
        _require_weaker_ways(held)
        device_hash = await self._attempts.find_known_device(person_id, visit)
        asked_at = self._clock()
        subject = identifier.value if identifier is not None else person_id.hex if person_id else ""
        ticket = await self._attempts.admit(Way.PASSWORD, subject, person_id, device_hash, held.interaction, visit)
        try:
            right = await self._passwords.verify(
                person_id,
                password,
                known_device=device_hash is not None,
                address=visit.address,
                flow=held.interaction.id,
                proof=visit.proof,
            )
        except (Overloaded, refusals.ProofWanted):
            await self._attempts.withdraw(ticket)
            raise
        if known is None or not right:
            raise await self._attempts.fail(ticket, person_id, held.interaction, visit, refusals.WrongCredentials())
        await self._attempts.succeed(ticket)
        if not known.must_change and self._passwords.is_known_to_all(password):
            known = await self._forced_change.demand(known)
        # Which password it was is what was read before it was compared: one that is changed meanwhile proves nothing.
        held = replace(held, interaction=replace(held.interaction, password_of=known.password_changed_at))
        return await self._prove(held, known, Proved(Factor.PASSWORD, asked_at), visit)

    async def _prove(self, held: Held, known: KnownPerson, proved: Proved, visit: Visit) -> Answer:
        """Count a factor that was right, at the instant before it was compared, and go on: to the next question, or to the end."""
        now = self._clock()
        interaction = held.interaction
        before = steps.drop_stale(interaction.proved, now) if interaction.person_id == known.standing.person_id else ()
        in_flow = steps.merge_proved(before, (proved,))
        session = await self._sessions.read(visit.session_cookie)
        return await self._go_on(held, await self._states.judge(interaction, known, session, in_flow, visit), visit)

    async def _go_on(self, held: Held, state: FlowState, visit: Visit) -> Answer:
        """Move the flow to its next question, or end it."""
        if state.known is None or isinstance(state.step, steps.AskIdentifierAndPassword):
            raise StepRepeated
        if isinstance(state.step, steps.Enough | steps.CannotReach):
            return await self._opening.finish(held, state, visit)
        kept = held.interaction
        moved = replace(
            forget_proofs(kept),
            person_id=state.known.standing.person_id,
            proved=state.in_flow,
            password_of=kept.password_of,
            passkey_of=kept.passkey_of,
        )
        held = await self._interactions.replace(held, moved)
        match state.step:
            case steps.AskCode():
                return AskCode(held, state.require_code_step()[1])
            case steps.AskPassword():
                return AskSecret(held)
            case steps.AskPasskey():
                return await self._passkey_steps.look(held, state)
            case steps.AskNewPassword():
                return AskNewPassword(held, "")
        assert_never(state.step)

    async def _request_code(self, interaction: Interaction, known: KnownPerson, phone: Phone, visit: Visit) -> CodeRequest:
        return CodeRequest(
            purpose=PURPOSE,
            binding=interaction.id,
            phone=phone.value,
            masked_name=await self._people.find_masked_name(known.standing.person_id),
            person_id=known.standing.person_id,
            address=visit.address,
            device=visit.device,
            device_hash=visit.device_hash,
            after_password=True,  # this code is only ever asked after the password
            client_id=interaction.client_id or None,
            request_id=visit.request_id,
        )


def _require_weaker_ways(held: Held) -> None:
    """Raise StepRepeated where only a passkey leads on: its page offers no other form (S12)."""
    if held.interaction.resistant:
        raise StepRepeated


_CODE_REASONS: Mapping[type, str] = {CodeWrong: "wrong", CodeDead: "dead", CodeGone: "gone"}
