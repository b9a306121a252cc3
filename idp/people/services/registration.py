"""Decides an online registration step by step: throttle, code, register, items, password, agreement, account (domain.md §1)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final, assert_never

from idp.authenticators.rules import refusals as code_refusals
from idp.authenticators.rules.password_policy import Personal
from idp.authenticators.rules.sms_code import CodeDead, CodeGone, CodeRight, CodeWrong
from idp.authenticators.rules.sms_limits import Limit, Wait
from idp.authenticators.rules.waits import refuse_message
from idp.authenticators.services.codes import CodeRequest, Codes
from idp.authenticators.services.passwords import Passwords
from idp.authenticators.stores import locks
from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock
from idp.people.rules.identifiers import IdNumber, Phone
from idp.people.rules.masking import mask_name
from idp.people.rules.proofing import Proved, judge_items, plan_items
from idp.people.rules.proofing_items import ITEM_OF, NEEDED
from idp.people.rules.refusals import (
    AccountExists,
    AuthorityUnavailable,
    DraftMoved,
    IdentityMismatch,
    IdentityNotFound,
    ItemsInsufficient,
    ItemsTooFew,
    RegistrationRefused,
)
from idp.people.rules.registration import Draft, Step, add_answers, change_applicant, forget_phone, undo_from
from idp.people.services.activation import Activation
from idp.people.services.agreements import Agreement
from idp.people.services.check_limits import refuse_limited
from idp.people.services.drafts import Drafts, HeldDraft, require_idle
from idp.people.services.proofing import Case, Proofing, offer_items
from idp.people.services.requester import Requester
from idp.people.stores import drafts as draft_rows
from idp.people.stores import people
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database
from keys import BlindIndex

PURPOSE: Final = "registration"
CONSENT: Final = "registration_notice"
"""What the form says before it is sent: who is asked about what. The agreement comes later."""

RISK_WAY: Final = "registration"
RISK_LOCK: Final = timedelta(hours=24)
"""How long a browser whose registration the risk service advised against is refused, also after Back (S07)."""


@dataclass(frozen=True, repr=False)
class Applicant:
    """Who registers: the real name, the document and the phone, each checked for its form."""

    name: str
    document: IdNumber
    phone: Phone


@dataclass(frozen=True, repr=False)
class Started:
    """The registration, and the cookie to set when it is new."""

    held: HeldDraft
    cookie: str | None = None


class Registration:
    """Registers people. Every method takes the draft as it was read; refusals are raised and lose nothing."""

    def __init__(
        self,
        database: Database,
        drafts: Drafts,
        codes: Codes,
        proofing: Proofing,
        passwords: Passwords,
        activation: Activation,
        agreements: Mapping[str, Agreement],
        index: BlindIndex,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._drafts = drafts
        self._codes = codes
        self._proofing = proofing
        self._passwords = passwords
        self._activation = activation
        self._agreements = agreements
        self._index = index
        self._audit = audit
        self._clock = clock

    @property
    def code_minutes(self) -> int:
        """How long a code is valid, in minutes."""
        return int(self._codes.life.total_seconds() // 60)

    async def find(self, cookie: str | None) -> HeldDraft | None:
        """Return this browser's live registration."""
        return await self._drafts.find(cookie)

    def find_agreement(self, language: str) -> Agreement:
        """Return the agreement's text in a language."""
        return self._agreements.get(language) or self._agreements["zh-CN"]

    async def start(
        self, held: HeldDraft | None, applicant: Applicant, *, flow: str, origin: str, language: str, who: Requester
    ) -> Started:
        """Take the first step, or correct it; a code is sent unless this phone is proved already, and then the register is asked.

        Raises StartsLimited, ChecksBusy, RegistrationRefused, and what ``send_code`` and ``check_identity`` raise once the draft is stored.
        """
        if held is not None:
            require_idle(held, *(step for step in Step if step is not Step.DONE))
        cookie = None
        if held is None or held.draft.raising:
            await self._proofing.admit_start(who)
            draft_id = self._drafts.make_id()
            now = self._clock()
            case = self._drafts.make_id()
            draft = Draft(draft_id, case, language, flow, origin, now, now, applicant.name, applicant.document, applicant.phone)
            await self._require_low_risk(draft, who)
            async with self._database.transaction() as tx:
                held, cookie = await self._drafts.add(tx, draft)
                await self._audit.record(tx, self._make_event(Kind.REGISTRATION_STARTED, draft, who))
        else:
            changed = change_applicant(held.draft, applicant.name, applicant.document, applicant.phone, self._drafts.make_id())
            changed = replace(changed, flow=flow, origin=origin, language=language)
            await self._require_low_risk(changed, who)
            held = await self._drafts.move(held, changed)
        return Started(held, cookie)

    async def send_code(self, held: HeldDraft, who: Requester) -> HeldDraft:
        """Send the first code of this phone, once. Raises the refusals of a message's limits; asked again, it sends nothing more."""
        require_idle(held, Step.CODE)
        if held.draft.sends:
            return held
        held = await self._drafts.move(held, replace(held.draft, sends=1))
        verdict = await self._codes.send_blind(self._request_code(held.draft, who), _name_front(held.draft))
        if isinstance(verdict, Wait):
            await self._drafts.move(held, replace(held.draft, sends=0))
            raise refuse_message(verdict, self._clock(), unsent=True)
        return held

    async def resend(self, held: HeldDraft, who: Requester) -> HeldDraft:
        """Send another code. Raises the refusals of a message's limits."""
        require_idle(held, Step.CODE)
        unsent = held.draft.sends == 0
        asked = max(held.draft.sends, 1)
        held = await self._drafts.move(held, replace(held.draft, sends=asked + 1))
        verdict = await self._codes.resend_blind(self._request_code(held.draft, who), _name_front(held.draft), asked)
        if isinstance(verdict, Wait):
            if unsent or verdict.limit is Limit.RESENDS:
                await self._drafts.move(held, replace(held.draft, sends=0 if unsent else 1))
            raise refuse_message(verdict, self._clock(), unsent=unsent)
        return held

    async def submit_code(self, held: HeldDraft, typed: str, who: Requester) -> HeldDraft:
        """Check the code and, when it is right, ask the register. Raises CodeWrong, CodeDead, CodeGone, and what the check raises."""
        require_idle(held, Step.CODE)
        verdict = await self._codes.check(PURPOSE, str(held.draft.id), held.draft.phone.value, typed)
        match verdict:
            case CodeRight():
                held = await self._drafts.move(held, replace(held.draft, phone_proved_at=self._clock()))
                return await self.check_identity(held, who)
            case CodeWrong(tries_left=tries) if tries > 0:
                raise code_refusals.CodeWrong(tries=tries)
            case CodeWrong() | CodeDead():
                raise code_refusals.CodeDead
            case CodeGone():
                raise code_refusals.CodeGone
        assert_never(verdict)

    async def check_identity(self, held: HeldDraft, who: Requester) -> HeldDraft:
        """Ask the register about name and number; only then anything is said about an account that exists (S11).

        Raises IdentityMismatch, IdentityNotFound, ChecksLimited, ChecksBusy, AuthorityUnavailable, AccountExists.
        """
        if held.step is not Step.CHECK:
            require_idle(held, Step.ITEMS, Step.PASSWORD, Step.AGREEMENT)
            return held
        require_idle(held, Step.CHECK)
        held = await self._drafts.move(held, held.draft, claim=True)
        (answer,) = await self._proofing.ask(self._make_case(held.draft), {CheckKind.IDENTITY: ""}, who)
        draft = add_answers(held.draft, (answer,))
        match answer.result:
            case CheckResult.MATCH:
                held = await self._drafts.move(held, draft)
                await self._require_newcomer(held, who)
                return held
            case CheckResult.UNAVAILABLE:
                await self._drafts.move(held, draft, awaited=CheckKind.IDENTITY.value)
                raise AuthorityUnavailable(kinds=CheckKind.IDENTITY.value)
            case CheckResult.LIMITED:
                await self._drafts.move(held, draft)
                raise refuse_limited((answer,), self._clock())
            case CheckResult.MISMATCH | CheckResult.INVALID_INPUT:
                await self._drafts.move(held, replace(draft, correcting=True))
                raise IdentityMismatch
            case CheckResult.NOT_FOUND:
                await self._drafts.move(held, replace(draft, correcting=True))
                raise IdentityNotFound
        assert_never(answer.result)

    async def submit_items(self, held: HeldDraft, items: Mapping[CheckKind, str], who: Requester) -> HeldDraft:
        """Ask the authorities about these items, all at once; what matched before is not asked again.

        ``items``: kind → checked value; for the phone any text. Raises ItemIsDocument (S54), ItemsTooFew, ItemsInsufficient,
        ChecksLimited, AuthorityUnavailable (S37); what was typed and not answered is kept.
        """
        require_idle(held, Step.ITEMS)
        planned = plan_items(offer_items(items, held.draft), held.draft.answers)
        if len(planned) + len(held.draft.matched & ITEM_OF.keys()) < NEEDED:
            raise ItemsTooFew
        return await self._ask_items(held, planned, who)

    async def continue_items(self, held: HeldDraft, who: Requester) -> HeldDraft:
        """Ask again what was typed and not answered, also after a crash; nothing is retyped (S37, S50). Raises as ``submit_items``."""
        require_idle(held, Step.ITEMS)
        if not held.draft.pending:
            raise ItemsTooFew
        return await self._ask_items(held, dict(held.draft.pending), who)

    async def set_password(self, held: HeldDraft, password: str, who: Requester) -> HeldDraft:
        """Take the password of the new account. Raises the refusals of the password policy, Overloaded of the hashing."""
        require_idle(held, Step.PASSWORD, Step.AGREEMENT)
        draft = held.draft
        verifier = await self._passwords.choose(password, Personal(draft.name, draft.document.value, draft.phone.value))
        return await self._drafts.move(held, replace(draft, verifier=verifier, password_at=self._clock()))

    async def accept(self, held: HeldDraft, language: str, who: Requester) -> HeldDraft:
        """Open the account: the person agreed. Sent twice, the finished registration comes back.

        Raises AccountExists (another registration of this document was first), PhoneFull.
        """
        if held.step is Step.DONE:
            return held
        require_idle(held, Step.AGREEMENT)
        try:
            return await self._activation.activate(held, self.find_agreement(language), who)
        except AccountExists:
            await self._drafts.drop(held.draft)
            raise
        except DraftMoved:
            again = await self._find_finished(held)
            if again is None:
                raise
            return again

    async def go_back(self, held: HeldDraft, step: Step) -> HeldDraft:
        """Undo a step and all after it."""
        require_idle(held, *(known for known in Step if known is not Step.DONE))
        return await self._drafts.move(held, undo_from(held.draft, step))

    async def renew_origin(self, held: HeldDraft, flow: str, origin: str, *, anew: bool) -> HeldDraft:
        """Note the flow that the registration goes on in. ``anew``: this is another visit, so the phone is proved again.

        Otherwise the flow before was lost on the way. Whether the person waits for an authority stays as it was.
        """
        if held.checking:
            return held
        draft = replace(held.draft, flow=flow, origin=origin)
        if anew and draft.person_id is None:
            draft = forget_phone(draft)
        return await self._drafts.move(held, draft, awaited=held.awaited)

    async def forget(self, held: HeldDraft) -> None:
        """Drop the registration: the person begins anew."""
        await self._drafts.drop(held.draft)

    async def _ask_items(self, held: HeldDraft, planned: Mapping[CheckKind, str], who: Requester) -> HeldDraft:
        # What was typed is stored before anybody is asked: a crash from here on costs the person nothing.
        held = await self._drafts.move(held, replace(held.draft, pending=MappingProxyType(dict(planned))), claim=True)
        answers = await self._proofing.ask(self._make_case(held.draft), planned, who)
        draft = add_answers(held.draft, answers)
        verdict = judge_items(draft.answers, draft.pending, bank_names_phone=draft.bank_names_phone)
        awaited = None if isinstance(verdict, Proved) else _name_awaited(draft)
        held = await self._drafts.move(held, draft, awaited=awaited)
        if isinstance(verdict, Proved):
            return held
        if verdict.awaited:
            raise AuthorityUnavailable(kinds=",".join(kind.value for kind in verdict.awaited))
        if any(a.result is CheckResult.LIMITED for a in answers):
            raise refuse_limited(answers, self._clock())
        raise ItemsInsufficient(missing=verdict.missing)

    async def _require_low_risk(self, draft: Draft, who: Requester) -> None:
        """Raise RegistrationRefused when the risk service says high; silence lets people pass and is audited (S07)."""
        # The browser is marked, not the phone: nobody has proved yet whose it is, and its owner must not be locked out by somebody else.
        hashes = self._index.index_all("registration_risk", (who.device_hash or b"").hex())
        now = self._clock()
        if await locks.find_lock(self._database, RISK_WAY, hashes, now) is not None:
            raise RegistrationRefused
        result = await self._proofing.assess_risk(draft.case, draft.document, draft.phone, who)
        if result is not CheckResult.MISMATCH:
            return
        async with self._database.transaction() as tx:
            await locks.set_lock(tx, RISK_WAY, hashes[0], now + RISK_LOCK)
            await self._audit.record(tx, self._make_event(Kind.REGISTRATION_REFUSED, draft, who, {"reason": "risk"}))
        raise RegistrationRefused

    async def _require_newcomer(self, held: HeldDraft, who: Requester) -> None:
        document = held.draft.document
        # Exactly this kind: the same characters may be somebody else's passport.
        indexes = self._index.index_all(document.kind.value, document.value)
        if await people.find_by_identifier(self._database, document.kind.value, indexes) is None:
            return
        async with self._database.transaction() as tx:
            await self._audit.record(tx, self._make_event(Kind.REGISTRATION_REFUSED, held.draft, who, {"reason": "account_exists"}))
            await draft_rows.drop(tx, held.draft.id)
        raise AccountExists

    async def _find_finished(self, held: HeldDraft) -> HeldDraft | None:
        """Return the registration if another request of the same form finished it meanwhile."""
        again = await self._drafts.read(held.draft.id)
        return again if again is not None and again.step is Step.DONE else None

    def _make_case(self, draft: Draft) -> Case:
        return Case(
            id=draft.case,
            name=draft.name,
            document=draft.document,
            phone=draft.phone,
            purpose=PURPOSE,
            answers=draft.answers,
            person_id=draft.person_id,
            consent=CONSENT,
        )

    def _request_code(self, draft: Draft, who: Requester) -> CodeRequest:
        return CodeRequest(
            purpose=PURPOSE,
            binding=str(draft.id),
            phone=draft.phone.value,
            # Until the register agreed, the name is whatever somebody typed: no words of theirs go out in our message.
            masked_name=mask_name(draft.name) if draft.identity_matched else "",
            person_id=None,
            address=who.address,
            device=who.device,
            device_hash=who.device_hash,
            client_id=who.client_id,
            request_id=who.request_id,
        )

    @staticmethod
    def _make_event(kind: Kind, draft: Draft, who: Requester, details: dict[str, str] | None = None) -> AuditEvent:
        return AuditEvent(
            kind,
            Result.REFUSED if kind is Kind.REGISTRATION_REFUSED else Result.DONE,
            actor="visitor",
            client_id=who.client_id,
            request_id=who.request_id,
            details={"case": str(draft.case), "document_kind": draft.document.kind.value, **(details or {})},
            place=who.place,
        )


def _name_front(draft: Draft) -> str:
    """Return whose limits are told when a message is asked for; those of the phone, which may be somebody's, decide in silence."""
    return f"draft\0{draft.id}\0{draft.phone.value}"


def _name_awaited(draft: Draft) -> str | None:
    """Return the kind whose authority the registration waits for; the first of several stands for all."""
    return next((kind.value for kind in ITEM_OF if kind in draft.pending), None)
