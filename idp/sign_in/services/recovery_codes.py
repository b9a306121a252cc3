"""Decides the first half of a recovery, name and document and the phone's code: every answer is the same whoever is claimed."""

import hmac
from dataclasses import dataclass, replace

from idp.authenticators.rules import refusals
from idp.authenticators.rules.sms_code import CodeGone, CodeRight, normalize_code
from idp.authenticators.rules.sms_limits import Limit, Send, Wait
from idp.authenticators.rules.throttling import Way
from idp.authenticators.rules.waits import refuse_message
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.authenticators.services.passwords import NOBODY
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.kernel.errors import Refusal
from idp.kernel.ids import make_uuid7
from idp.people.rules.identifiers import Identifier, IdNumber
from idp.people.rules.person import check_standing
from idp.people.rules.proofing import CheckAnswer
from idp.people.rules.recovery import Recovery, fold_name
from idp.people.services.directory import KnownPerson, People
from idp.people.services.phone_match import PhoneMatches, PhoneVerdict
from idp.people.services.recovery import PURPOSE, PersonRecovery
from idp.platform.afterwards import Afterwards
from idp.platform.database import Database
from idp.sign_in.services.attempts import Attempts
from idp.sign_in.services.first_codes import explain_code, name_nobody
from idp.sign_in.services.interactions import Held
from idp.sign_in.services.recovery_states import HeldRecovery, Recoveries
from idp.sign_in.services.visits import Visit


@dataclass(frozen=True)
class CodeAsked:
    """The step of the code. ``problem``: why no (other) code was sent; ``sent``: whether another one was, as far as is told."""

    held: HeldRecovery
    problem: Refusal | None = None
    sent: bool = False
    unsent: bool = False


class RecoveryCodes:
    """Sends and checks the code of a recovery."""

    def __init__(
        self,
        database: Database,
        recoveries: Recoveries,
        people: People,
        person_recovery: PersonRecovery,
        codes: Codes,
        phone_matches: PhoneMatches,
        attempts: Attempts,
        afterwards: Afterwards,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._recoveries = recoveries
        self._people = people
        self._person_recovery = person_recovery
        self._codes = codes
        self._phone_matches = phone_matches
        self._attempts = attempts
        self._afterwards = afterwards
        self._clock = clock
        self._random = random

    async def start(self, flow: Held, name: str, document: IdNumber) -> None:
        """Begin, for whoever is claimed; the message leaves when the code's page is first shown."""
        recovery = Recovery(make_uuid7(self._clock, self._random), name, document, self._clock())
        await self._recoveries.begin(flow.interaction, recovery)

    async def look(self, flow: Held, held: HeldRecovery, visit: Visit) -> CodeAsked:
        """Return the step; the first code is sent when it is first shown."""
        if held.recovery.sends > 0:
            return CodeAsked(held)
        held = await self._recoveries.move(flow.interaction, held, replace(held.recovery, sends=1))
        verdict = await self._send(flow, held.recovery, visit)
        if isinstance(verdict, Wait):
            held = await self._recoveries.move(flow.interaction, held, replace(held.recovery, sends=0))
            return CodeAsked(held, refuse_message(verdict, self._clock(), unsent=True), unsent=True)
        return CodeAsked(held)

    async def resend(self, flow: Held, held: HeldRecovery, visit: Visit) -> CodeAsked:
        """Send another code, or say in ``problem`` why not."""
        unsent = held.recovery.sends == 0
        asked = max(held.recovery.sends, 1)
        held = await self._recoveries.move(flow.interaction, held, replace(held.recovery, sends=asked + 1))
        verdict = await self._send(flow, held.recovery, visit, asked)
        if isinstance(verdict, Send):
            return CodeAsked(held, sent=True)
        if unsent or verdict.limit is Limit.RESENDS:
            held = await self._recoveries.move(flow.interaction, held, replace(held.recovery, sends=0 if unsent else 1))
        return CodeAsked(held, refuse_message(verdict, self._clock(), unsent=unsent), unsent=unsent)

    async def submit(self, flow: Held, held: HeldRecovery, typed: str, visit: Visit) -> HeldRecovery | None:
        """Check the code; None for what cannot be one, which costs no try.

        Raises CodeWrong, CodeDead, CodeGone, SignInDelayed, CodeSignInLocked; and only after the right code the account's own refusal:
        a recovery never lifts a ban (S03).
        """
        if normalize_code(typed) is None:
            return None
        recovery, interaction = held.recovery, flow.interaction
        known = await self._find_claimed(recovery)
        person_id = known.standing.person_id if known else None
        claimed = recovery.document.value
        device_hash = await self._attempts.find_known_device(person_id, visit)
        ticket = await self._attempts.admit(Way.CODE, claimed, person_id, device_hash, interaction, visit)
        phone = known.phone if known is not None else None
        asked_at = self._clock()
        verdict = await self._codes.check(PURPOSE, str(recovery.id), phone.value if phone else name_nobody(claimed), typed)
        if not isinstance(verdict, CodeRight) or known is None or phone is None:
            if isinstance(verdict, CodeGone):
                await self._attempts.withdraw(ticket)
                raise refusals.CodeGone
            raise await self._attempts.fail(ticket, person_id, interaction, visit, explain_code(verdict, asked_both=False))
        await self._attempts.succeed(ticket)
        refusal = check_standing(known.standing.status)
        if refusal is not None:
            await self._recoveries.end(interaction)
            await self._person_recovery.record_refusal(recovery, refusal.code, person_id, visit.ask_for(flow.interaction.client_id))
            raise refusal
        proved = replace(
            recovery, person_id=known.standing.person_id, phone=phone.value, code_at=asked_at, answers=_keep_match(recovery, known)
        )
        held = await self._recoveries.move(interaction, held, proved)
        async with self._database.transaction() as tx:
            await self._people.note_phone_use(tx, known.standing.person_id, phone)
        return held

    async def _send(self, flow: Held, recovery: Recovery, visit: Visit, asked: int | None = None) -> Send | Wait:
        """Send the code, doing for everybody what is done for nobody.

        What is known of the number is enough for that; one that was long unused is asked about first, and its message follows (S52).
        """
        known = await self._find_claimed(recovery)
        person_id = known.standing.person_id if known else None
        claimed = recovery.document.value
        phone = known.phone if known is not None else None
        due = known is not None and self._phone_matches.is_due(known)
        reaches = phone is not None and not due
        request = CodeRequest(
            purpose=PURPOSE,
            binding=str(recovery.id),
            phone=phone.value if phone is not None and reaches else name_nobody(claimed),
            masked_name=await self._people.find_masked_name(person_id or NOBODY),
            person_id=person_id,
            address=visit.address,
            device=visit.device,
            device_hash=visit.device_hash,
            client_id=flow.interaction.client_id or None,
            request_id=visit.request_id,
        )
        if asked is None:
            verdict = await self._codes.send_unseen(request, claimed, reaches=reaches)
            if isinstance(verdict, Send):  # so that the limits of messages bound the rows as well
                await self._person_recovery.record_start(recovery, person_id, visit.ask_for(flow.interaction.client_id))
        else:
            verdict = await self._codes.resend_unseen(request, claimed, asked, reaches=reaches)
        if isinstance(verdict, Send) and due and known is not None and phone is not None:
            real = replace(request, phone=phone.value)
            self._afterwards.start("recovery_code", self._confirm_and_send(flow, recovery, known, real, visit))
        return verdict

    async def _confirm_and_send(self, flow: Held, recovery: Recovery, known: KnownPerson, request: CodeRequest, visit: Visit) -> None:
        who = visit.ask_for(flow.interaction.client_id)
        confirmation = await self._phone_matches.confirm(known, PURPOSE, who, claimed=True, case_id=recovery.id)
        if not confirmation.in_register:
            await self._person_recovery.record_refusal(recovery, "register_unknown", known.standing.person_id, who)
        # Who is not in the register is told so after the code, when the register is asked again; a number that the operator knows to be
        # this person's is not long unused any more, so nobody asks about it a second time.
        if confirmation.phone is PhoneVerdict.KEPT:
            await self._codes.send_late(request)

    async def _find_claimed(self, recovery: Recovery) -> KnownPerson | None:
        """Return the person of exactly this document and name whose own phone can get a code: as many reads whoever is claimed."""
        document = recovery.document
        known = await self._people.find_by_identifier(Identifier(document.kind, document.value))
        name = await self._people.find_name(known.standing.person_id if known else NOBODY)
        same = hmac.compare_digest(fold_name(name).encode(), fold_name(recovery.name).encode())
        return known if known is not None and same and known.has_own_phone else None


def _keep_match(recovery: Recovery, known: KnownPerson) -> tuple[CheckAnswer, ...]:
    """Return the recovery's answers, with the operator's when it was asked before the code was sent: once in a recovery is enough."""
    at = known.standing.phone_matched_at
    if at is None or at < recovery.started_at:
        return recovery.answers
    return (*recovery.answers, CheckAnswer(CheckKind.PHONE, CheckResult.MATCH, at))
