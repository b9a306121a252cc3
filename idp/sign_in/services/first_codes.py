"""Decides the way in by SMS code, before anything is proved: every answer is the same whether or not anybody has the identifier."""

import hmac
from dataclasses import replace
from typing import assert_never

from idp.authenticators.rules import refusals
from idp.authenticators.rules.sms_code import CodeDead, CodeGone, CodeRight, CodeWrong, normalize_code
from idp.authenticators.rules.sms_limits import Limit, Send, Wait
from idp.authenticators.rules.throttling import Way
from idp.authenticators.rules.waits import refuse_message
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.authenticators.services.passwords import NOBODY
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.people.rules.identifiers import normalize
from idp.people.services.directory import KnownPerson, People
from idp.people.services.phone_match import PhoneMatches, PhoneVerdict
from idp.platform.afterwards import Afterwards
from idp.sign_in.rules.interaction import Interaction
from idp.sign_in.rules.refusals import StepRepeated
from idp.sign_in.services.attempts import Attempts
from idp.sign_in.services.flow_states import PURPOSE, forget_proofs
from idp.sign_in.services.interactions import Held, Interactions
from idp.sign_in.services.visits import AskFirstCode, Malformed, Visit

DOCUMENT_END = 6
"""Characters of the document's end that an unknown device is asked for."""


class FirstCodes:
    """Codes for people who said who they are and proved nothing yet."""

    def __init__(
        self,
        interactions: Interactions,
        people: People,
        codes: Codes,
        phone_matches: PhoneMatches,
        attempts: Attempts,
        afterwards: Afterwards,
        clock: Clock,
    ) -> None:
        self._interactions = interactions
        self._people = people
        self._codes = codes
        self._phone_matches = phone_matches
        self._attempts = attempts
        self._afterwards = afterwards
        self._clock = clock

    async def begin(self, held: Held, claimed: str) -> Held:
        """Let the flow wait for a code of whoever has the identifier ``claimed``; the message leaves when its page is first shown."""
        return await self._interactions.replace(held, replace(forget_proofs(held.interaction), claimed=claimed))

    async def look(self, held: Held, visit: Visit) -> AskFirstCode:
        """Return the step; the first code is sent when it is first shown."""
        known = await self._people.find_by_identifier(held.interaction.claimed)
        asks_document = await self._asks_document(known, visit)
        if held.interaction.sends > 0:
            return AskFirstCode(held, asks_document)
        # Moving the flow first means that of two tabs one sends.
        held = await self._interactions.replace(held, replace(held.interaction, sends=1))
        verdict = await self._send(held.interaction, known, visit, trusted=not asks_document)
        if isinstance(verdict, Wait):
            held = await self._interactions.replace(held, replace(held.interaction, sends=0))
            return AskFirstCode(held, asks_document, refuse_message(verdict, self._clock(), unsent=True), unsent=True)
        return AskFirstCode(held, asks_document)

    async def look_again(self, held: Held, visit: Visit) -> AskFirstCode:
        """Return the step without sending anything, to show it with what was wrong."""
        known = await self._people.find_by_identifier(held.interaction.claimed)
        return AskFirstCode(held, await self._asks_document(known, visit), unsent=held.interaction.sends == 0)

    async def resend(self, held: Held, visit: Visit) -> AskFirstCode:
        """Send another code, or say in ``problem`` why not."""
        known = await self._people.find_by_identifier(held.interaction.claimed)
        asks_document = await self._asks_document(known, visit)
        unsent = held.interaction.sends == 0
        asked = max(held.interaction.sends, 1)
        held = await self._interactions.replace(held, replace(held.interaction, sends=asked + 1))
        verdict = await self._send(held.interaction, known, visit, trusted=not asks_document, asked=asked)
        if isinstance(verdict, Send):
            return AskFirstCode(held, asks_document, sent=True)
        if unsent or verdict.limit is Limit.RESENDS:
            held = await self._interactions.replace(held, replace(held.interaction, sends=0 if unsent else 1))
        return AskFirstCode(held, asks_document, refuse_message(verdict, self._clock(), unsent=unsent), unsent=unsent)

    async def submit(self, held: Held, typed: str, document_end: str, visit: Visit) -> KnownPerson | Malformed:
        """Check the code, on an unknown device with the end of the document's number; what cannot be one costs no try.

        Raises CodeWrong, CodeOrDocumentWrong, CodeDead, CodeGone; SignInDelayed, CodeSignInLocked.
        """
        interaction = held.interaction
        known = await self._people.find_by_identifier(interaction.claimed)
        person_id = known.standing.person_id if known else None
        device_hash = await self._attempts.find_known_device(person_id, visit)
        if normalize_code(typed) is None:
            return Malformed(held, "code_malformed")
        end = normalize(document_end)
        if device_hash is None and len(end) != DOCUMENT_END:
            return Malformed(held, "document_end_malformed", "document_end")
        ticket = await self._attempts.admit(Way.CODE, interaction.claimed, person_id, device_hash, interaction, visit)
        document = await self._people.find_document(person_id or NOBODY)
        fits = device_hash is not None or hmac.compare_digest(document[-DOCUMENT_END:].encode(), end.encode())
        phone = known.phone if known is not None else None
        # The code's own try is spent either way, so that the end of the document cannot be guessed beside it.
        verdict = await self._codes.check(
            PURPOSE, interaction.id, phone.value if phone else name_nobody(interaction.claimed), typed if fits else ""
        )
        if isinstance(verdict, CodeRight) and known is not None:
            await self._attempts.succeed(ticket)
            return known
        if isinstance(verdict, CodeGone):
            await self._attempts.withdraw(ticket)
            raise refusals.CodeGone
        raise await self._attempts.fail(ticket, person_id, interaction, visit, explain_code(verdict, asked_both=device_hash is None))

    async def _asks_document(self, known: KnownPerson | None, visit: Visit) -> bool:
        return await self._attempts.find_known_device(known.standing.person_id if known else None, visit) is None

    async def _send(
        self, interaction: Interaction, known: KnownPerson | None, visit: Visit, *, trusted: bool, asked: int | None = None
    ) -> Send | Wait:
        person_id = known.standing.person_id if known else None
        due = known is not None and self._phone_matches.is_due(known)
        phone = known.phone if known is not None else None
        real = CodeRequest(
            purpose=PURPOSE,
            binding=interaction.id,
            phone=phone.value if phone else name_nobody(interaction.claimed),
            masked_name=await self._people.find_masked_name(person_id or NOBODY),
            person_id=person_id,
            address=visit.address,
            device=visit.device,
            device_hash=visit.device_hash,
            after_password=trusted,
            client_id=interaction.client_id or None,
            request_id=visit.request_id,
        )
        request = replace(real, phone=name_nobody(interaction.claimed)) if due else real
        reaches = phone is not None and not due
        if asked is None:
            verdict = await self._codes.send_unseen(request, interaction.claimed, reaches=reaches)
        else:
            verdict = await self._codes.resend_unseen(request, interaction.claimed, asked, reaches=reaches)
        if due and known is not None and isinstance(verdict, Send):
            self._afterwards.start("phone_match", self._confirm_and_send(known, real, visit))
        return verdict

    async def _confirm_and_send(self, known: KnownPerson, request: CodeRequest, visit: Visit) -> None:
        """Send the code once the operator says that the number is still this person's; nobody's answer waits for it (S52)."""
        who = visit.ask_for(request.client_id)
        confirmation = await self._phone_matches.confirm(known, PURPOSE, who, claimed=True)
        if confirmation.phone is PhoneVerdict.KEPT and confirmation.in_register:
            await self._codes.send_late(request)


def require_claim(held: Held) -> None:
    """Raise StepRepeated unless the flow waits for a code that was asked for before anything was proved."""
    if not held.interaction.claimed:
        raise StepRepeated


def explain_code(verdict: CodeWrong | CodeDead | CodeRight, *, asked_both: bool) -> Refusal:
    """Return what a code that did not open is told as; ``asked_both``: the end of the document was asked with it."""
    match verdict:
        case CodeWrong(tries_left=tries) if tries > 0:
            return refusals.CodeOrDocumentWrong(tries=tries) if asked_both else refusals.CodeWrong(tries=tries)
        case CodeWrong() | CodeDead():
            return refusals.CodeDead()
        case CodeRight():
            return refusals.CodeGone()  # nobody has the identifier, and somebody guessed a code that never left
    assert_never(verdict)


def name_nobody(claimed: str) -> str:
    """Return what stands for the phone of nobody: no number has this form."""
    return f"nobody\0{claimed}"
