"""Decides a sign-in step by step: load, throttle, decide, record; a session opens only when what was proved is enough."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from idp.authenticators.rules import refusals
from idp.authenticators.rules.sms_code import CodeDead, CodeGone, CodeRight, CodeWrong, normalize_code
from idp.authenticators.rules.sms_limits import Limit, Wait
from idp.authenticators.rules.throttling import Delayed, Locked, Way
from idp.authenticators.rules.waits import refuse_message, say_when
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.authenticators.services.passwords import NOBODY, Passwords
from idp.authenticators.services.throttle import Throttle, Ticket, TurnedAway
from idp.authenticators.stores import known_devices
from idp.kernel.audit_events import AuditEvent, Detail, Kind, Result
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import Refusal
from idp.kernel.ids import encode_base64url
from idp.kernel.levels import Factor, Proved
from idp.people.rules.identifiers import Phone, has_form_of_resident_id
from idp.people.rules.masking import mask_name
from idp.people.rules.person import check_standing
from idp.people.services.directory import KnownPerson, People
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.password_hashing import Overloaded
from idp.sign_in.rules import device, steps
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.rules.session import Session
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.sessions import Sessions
from idp.sign_in.services.visits import Answer, AskCode, AskPassword, Continue, Malformed, Visit

PORTAL = "portal"
"""The kind of interaction that leads to the person's own page; a closing account still reaches it."""

CODE_PURPOSE = "sign_in"


@dataclass(frozen=True)
class _State:
    """Where a flow stands: who it is about, what counts for it, and what comes next."""

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


class SignIn:
    """Signs people in. Every method takes the flow as it was read and the request; refusals are raised."""

    def __init__(
        self,
        database: Database,
        interactions: Interactions,
        sessions: Sessions,
        people: People,
        passwords: Passwords,
        throttle: Throttle,
        codes: Codes,
        audit: AuditLog,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._interactions = interactions
        self._sessions = sessions
        self._people = people
        self._passwords = passwords
        self._throttle = throttle
        self._codes = codes
        self._audit = audit
        self._clock = clock
        self._random = random

    @property
    def code_minutes(self) -> int:
        """How long a code is valid, in minutes."""
        return int(self._codes.life.total_seconds() // 60)

    async def look(self, held: Held, visit: Visit) -> Answer:
        """Return the step that the flow stands at; the first code of a flow is sent when its page is first shown."""
        state = await self._load(held.interaction, visit)
        if held.interaction.proved and not state.in_flow:
            # What was shown in this flow is too old to count: the flow forgets it.
            held = await self._interactions.replace(held, replace(held.interaction, person_id=None, proved=(), sends=0))
        match state.step:
            case steps.AskIdentifierAndPassword():
                notice = await self._sessions.explain(visit.session_cookie) if state.session is None else None
                return AskPassword(held, notice)
            case steps.AskCode():
                return await self._look_at_code(held, state, visit)
            case steps.Enough() | steps.CannotReach():
                if state.in_flow or state.same_session is None:
                    return await self._finish(held, state, visit)
                if isinstance(state.step, steps.CannotReach):
                    held = await self._interactions.replace(held, replace(held.interaction, unreachable=True))
                return Continue(held)
        assert_never(state.step)

    async def submit_password(self, held: Held, text: str, password: str, visit: Visit) -> Continue | AskCode | Malformed:
        """Check identifier and password.

        Raises WrongCredentials, SignInDelayed, SignInLocked alike for known and unknown identifiers; StepRepeated; Overloaded
        of the password hashing; the account's own refusal once every factor was right.
        """
        identifier = self._people.recognize(text)
        if identifier is None:
            return Malformed(held, "identifier_slip" if has_form_of_resident_id(text) else "identifier_malformed")
        known = await self._people.find_by_identifier(identifier)
        person_id = known.standing.person_id if known else None
        device_hash = await self._find_known_device(person_id, visit)
        ticket = await self._throttle.admit(Way.PASSWORD, identifier.value, person_id, device_hash, visit.address)
        if not isinstance(ticket, Ticket):
            raise await self._turn_away(ticket, person_id, held.interaction, visit)
        try:
            right = await self._passwords.verify(person_id, password, known_device=device_hash is not None, address=visit.address)
        except Overloaded:
            await self._throttle.withdraw(ticket)
            raise
        if known is None or not right:
            raise await self._fail_password(ticket, person_id, held.interaction, visit)
        await self._throttle.succeed(ticket)
        return await self._prove(held, known, Factor.PASSWORD, visit)

    async def submit_code(self, held: Held, typed: str, visit: Visit) -> Continue | AskCode | Malformed:
        """Check the code; what cannot be one costs no try.

        Raises CodeWrong, CodeDead, CodeGone; StepRepeated when the flow does not wait for a code.
        """
        state = await self._load(held.interaction, visit)
        known, phone = _require_code_step(state)
        if normalize_code(typed) is None:
            return Malformed(held, "code_malformed")
        verdict = await self._codes.check(CODE_PURPOSE, held.interaction.id, phone.value, typed)
        if isinstance(verdict, CodeRight):
            return await self._prove(held, known, Factor.SMS, visit)
        details: dict[str, Detail] = {"way": Way.CODE.value, "reason": _CODE_REASONS[type(verdict)]}
        async with self._database.transaction() as tx:
            await self._record(tx, Kind.SIGN_IN_FAILED, known.standing.person_id, held.interaction, visit, details, Result.REFUSED)
        match verdict:
            case CodeWrong(tries_left=tries) if tries > 0:
                raise refusals.CodeWrong(tries=tries)
            case CodeWrong() | CodeDead():
                raise refusals.CodeDead
            case CodeGone():
                raise refusals.CodeGone
        assert_never(verdict)

    async def resend(self, held: Held, visit: Visit) -> AskCode:
        """Send another code, or say in ``problem`` why not. Raises StepRepeated when the flow does not wait for a code."""
        state = await self._load(held.interaction, visit)
        known, phone = _require_code_step(state)
        unsent = held.interaction.sends == 0
        asked = max(held.interaction.sends, 1)
        held = await self._interactions.replace(held, replace(held.interaction, sends=asked + 1))
        verdict = await self._codes.resend(await self._request_code(held.interaction, known, phone, state, visit), asked)
        if not isinstance(verdict, Wait):
            return AskCode(held, phone, sent=True)
        if unsent or verdict.limit is Limit.RESENDS:
            # Still nothing is on its way; or the count begins anew when the lock opens.
            held = await self._interactions.replace(held, replace(held.interaction, sends=0 if unsent else 1))
        return AskCode(held, phone, refuse_message(verdict, self._clock(), unsent=unsent), unsent=unsent)

    async def start_over(self, held: Held) -> Held:
        """Forget who this flow is about, so that somebody else can sign in. Raises StepRepeated.

        What a live session proved before does not count in this flow any more; the session itself ends when somebody else signs in.
        """
        now = self._clock()
        forgotten = replace(held.interaction, person_id=None, proved=(), sends=0, unreachable=False, login_hint=None, fresh_after=now)
        return await self._interactions.replace(held, forgotten)

    async def look_again(self, held: Held, visit: Visit) -> AskCode:
        """Return the code's page without sending anything, to show it with what was wrong. Raises StepRepeated."""
        _, phone = _require_code_step(await self._load(held.interaction, visit))
        return AskCode(held, phone, unsent=held.interaction.sends == 0)

    async def _look_at_code(self, held: Held, state: _State, visit: Visit) -> AskCode:
        known, phone = _require_code_step(state)
        if held.interaction.sends > 0:
            return AskCode(held, phone)
        # Moving the flow first means that of two tabs one sends.
        held = await self._interactions.replace(held, replace(held.interaction, sends=1))
        verdict = await self._codes.send(await self._request_code(held.interaction, known, phone, state, visit))
        if isinstance(verdict, Wait):
            # Nothing is on its way: whoever opens the page when the wait is over gets the code then.
            held = await self._interactions.replace(held, replace(held.interaction, sends=0))
            return AskCode(held, phone, refuse_message(verdict, self._clock(), unsent=True), unsent=True)
        return AskCode(held, phone)

    async def _load(self, interaction: Interaction, visit: Visit) -> _State:
        now = self._clock()
        session = await self._sessions.read(visit.session_cookie)
        in_flow = steps.drop_stale(interaction.proved, now) if interaction.person_id else ()
        person_id = interaction.person_id if in_flow else session.person_id if session else None
        known = await self._people.find_by_id(person_id) if person_id else None
        if known is not None and not in_flow and check_standing(known.standing.status, self_service=interaction.kind == PORTAL):
            known = None  # a session says nothing about an account that may not sign in; the dispatcher does
        return self._judge(interaction, known, session, in_flow, now)

    def _judge(
        self, interaction: Interaction, known: KnownPerson | None, session: Session | None, in_flow: tuple[Proved, ...], now: datetime
    ) -> _State:
        subject = None
        proved = in_flow
        if known is not None:
            standing = known.standing
            good = check_standing(standing.status, self_service=interaction.kind == PORTAL) is None
            subject = steps.Subject(standing.ial, known.phone is not None, standing.phone_matched_at, good)
            if session is not None and session.person_id == standing.person_id:
                proved = steps.merge_proved(session.proved, in_flow)
        step = steps.decide_next(interaction.wanted, subject, proved, interaction.fresh_after, now)
        return _State(known, session, in_flow, step)

    async def _prove(self, held: Held, known: KnownPerson, factor: Factor, visit: Visit) -> Continue | AskCode:
        """Count a factor that was right, and go on: to the code, or to the end."""
        now = self._clock()
        interaction = held.interaction
        person_id = known.standing.person_id
        before = steps.drop_stale(interaction.proved, now) if interaction.person_id == person_id else ()
        in_flow = steps.merge_proved(before, (Proved(factor, now),))
        session = await self._sessions.read(visit.session_cookie)
        state = self._judge(interaction, known, session, in_flow, now)
        match state.step:
            case steps.AskCode():
                moved = replace(interaction, person_id=person_id, proved=in_flow, sends=0)
                held = await self._interactions.replace(held, moved)
                _, phone = _require_code_step(state)
                return AskCode(held, phone)
            case steps.AskIdentifierAndPassword():
                raise StepRepeated
            case steps.Enough() | steps.CannotReach():
                return await self._finish(held, state, visit)
        assert_never(state.step)

    async def _finish(self, held: Held, state: _State, visit: Visit) -> Continue:
        """End the questions: open the session, or say what the account's standing is, now that every factor was right."""
        known = state.known
        if known is None:
            raise StepRepeated
        interaction = held.interaction
        person_id = known.standing.person_id
        refusal = check_standing(known.standing.status, self_service=interaction.kind == PORTAL)
        if refusal is not None:
            await self._interactions.replace(held, replace(interaction, person_id=None, proved=(), sends=0))
            async with self._database.transaction() as tx:
                await self._record(tx, Kind.SIGN_IN_FAILED, person_id, interaction, visit, {"reason": refusal.code}, Result.REFUSED)
            raise refusal
        unreachable = isinstance(state.step, steps.CannotReach)
        # A cookie whose session was replaced meanwhile, in another tab, names its successor: never are two left behind.
        replaced = state.session or await self._sessions.find_replaced(visit.session_cookie)
        # The flow moves first: a form that was sent twice opens one session.
        moved = replace(interaction, person_id=person_id, proved=(), sends=0, unreachable=unreachable)
        held = await self._interactions.replace(held, moved)
        same = state.same_session
        in_flow = {p.factor for p in state.in_flow}
        stepped_up = same is not None and Factor.PASSWORD not in in_flow
        carried = tuple(p for p in same.proved if p.factor not in in_flow) if same else ()
        proved = steps.merge_proved(carried, state.in_flow)
        # A cookie that this person is not known by may be somebody else's choice: theirs is one that we made.
        known_device = await self._find_known_device(person_id, visit) is not None
        device_cookie = visit.device_cookie if known_device else encode_base64url(self._random(device.COOKIE_BYTES))
        device_hash = device.hash_device(device_cookie)
        async with self._database.transaction() as tx:
            # Whoever changes the account's standing waits, and then ends this session with all others.
            if await self._people.hold_status(tx, person_id) is not known.standing.status:
                raise StepRepeated
            is_new = device_hash is not None and await known_devices.remember(tx, person_id, device_hash, self._clock())
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
            kind = Kind.STEP_UP_SUCCEEDED if stepped_up else Kind.SIGN_IN_SUCCEEDED
            reached = state.step.reached if isinstance(state.step, steps.Enough | steps.CannotReach) else None
            details: dict[str, Detail] = {
                "amr": " ".join(p.factor.value for p in proved),
                "acr": reached.value if reached else None,
                "new_device": is_new,
            }
            await self._record(tx, kind, person_id, interaction, visit, details)
        return Continue(held, opened.cookie, device_cookie)

    async def _turn_away(self, refused: TurnedAway, person_id: UUID | None, interaction: Interaction, visit: Visit) -> Refusal:
        """Record, once in a window, that somebody goes on trying while they may not."""
        if refused.first:
            reason = "delayed" if isinstance(refused.verdict, Delayed) else "locked"
            details: dict[str, Detail] = {"way": Way.PASSWORD.value, "reason": reason}
            async with self._database.transaction() as tx:
                await self._record(tx, Kind.SIGN_IN_FAILED, person_id, interaction, visit, details, Result.REFUSED)
        return self._refuse(refused.verdict)

    async def _fail_password(self, ticket: Ticket, person_id: UUID | None, interaction: Interaction, visit: Visit) -> Refusal:
        details: dict[str, Detail] = {"way": Way.PASSWORD.value, "reason": "wrong", "attempt": ticket.number}
        async with self._database.transaction() as tx:
            verdict = await self._throttle.fail(tx, ticket)
            await self._record(tx, Kind.SIGN_IN_FAILED, person_id, interaction, visit, details, Result.REFUSED)
            if isinstance(verdict, Locked):
                locked = {"way": Way.PASSWORD.value}
                await self._record(tx, Kind.SIGN_IN_LOCKED, person_id, interaction, visit, locked, Result.REFUSED)
        await self._throttle.slow_down(ticket, verdict)
        return self._refuse(verdict) if isinstance(verdict, Locked) else refusals.WrongCredentials()

    async def _find_known_device(self, person_id: UUID | None, visit: Visit) -> bytes | None:
        device_hash = visit.device_hash
        if device_hash is None:
            return None
        return device_hash if await known_devices.is_known(self._database, person_id or NOBODY, device_hash) else None

    async def _request_code(self, interaction: Interaction, known: KnownPerson, phone: Phone, state: _State, visit: Visit) -> CodeRequest:
        profile = await self._people.read_profile(known.standing.person_id)
        return CodeRequest(
            purpose=CODE_PURPOSE,
            binding=interaction.id,
            phone=phone.value,
            masked_name=mask_name(profile.name),
            person_id=known.standing.person_id,
            address=visit.address,
            device=visit.device,
            device_hash=visit.device_hash,
            after_password=True,  # the code is only ever asked after the password
            client_id=interaction.client_id or None,
            request_id=visit.request_id,
        )

    async def _record(
        self,
        tx: Transaction,
        kind: Kind,
        person_id: UUID | None,
        interaction: Interaction,
        visit: Visit,
        details: Mapping[str, Detail],
        result: Result = Result.DONE,
    ) -> None:
        event = AuditEvent(
            kind,
            result,
            actor=f"person:{person_id}" if person_id and result is Result.DONE else "visitor",
            person_id=person_id,
            client_id=interaction.client_id or None,
            request_id=visit.request_id,
            details=dict(details),
            place=visit.place,
        )
        await self._audit.record(tx, event)

    def _refuse(self, verdict: Delayed | Locked) -> Refusal:
        if isinstance(verdict, Delayed):
            return refusals.SignInDelayed(seconds=verdict.seconds)
        return refusals.SignInLocked(**say_when(verdict.until, self._clock()))


_CODE_REASONS: Mapping[type, str] = {CodeWrong: "wrong", CodeDead: "dead", CodeGone: "gone"}


def _require_code_step(state: _State) -> tuple[KnownPerson, Phone]:
    """Return the person and the phone that the code goes to; raise StepRepeated unless the flow waits for a code."""
    if not isinstance(state.step, steps.AskCode) or state.known is None or state.known.phone is None:
        raise StepRepeated
    return state.known, state.known.phone
