"""Decides how a proved registration becomes an account: everything in one transaction, so never half of one (S38, S50)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from idp.authenticators.services.passwords import Passwords
from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.checks import CheckKind
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import PersonId, make_outward_id, make_uuid7
from idp.people.rules import profile as profiles
from idp.people.rules.identifiers import IdentifierKind, Phone
from idp.people.rules.masking import mask_name
from idp.people.rules.person import PERSON_TRANSITIONS, Status, StatusEvent
from idp.people.rules.profile import make_profile
from idp.people.rules.proofing import Proved, judge_items
from idp.people.rules.refusals import AccountExists, DraftMoved, PhoneFull
from idp.people.rules.registration import Draft
from idp.people.services.agreements import Agreement
from idp.people.services.drafts import Drafts, HeldDraft
from idp.people.services.requester import Requester
from idp.people.stores import agreements, contacts, evidence, identifiers, people
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.outbox import Outbox
from keys import BlindIndex, Sealer, row_aad

OTHERS: Final = 3
"""A number that is nobody's identifier here, or somebody else's, reaches at most so many more people."""

NOTICE_LIFE: Final = timedelta(hours=24)


class Activation:
    """Opens accounts."""

    def __init__(
        self,
        database: Database,
        drafts: Drafts,
        passwords: Passwords,
        sealer: Sealer,
        index: BlindIndex,
        outbox: Outbox,
        audit: AuditLog,
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._drafts = drafts
        self._passwords = passwords
        self._sealer = sealer
        self._index = index
        self._outbox = outbox
        self._audit = audit
        self._clock = clock
        self._random = random

    async def activate(self, held: HeldDraft, agreement: Agreement, who: Requester) -> HeldDraft:
        """Open the account and return the finished registration.

        Raises AccountExists when somebody else's registration of the same document was first, PhoneFull, DraftMoved.
        """
        draft = held.draft
        verdict = judge_items(draft.answers, bank_names_phone=draft.bank_names_phone)
        if not isinstance(verdict, Proved) or draft.verifier is None or draft.person_id is not None:
            raise DraftMoved
        now = self._clock()
        person_id = PersonId(make_uuid7(self._clock, self._random))
        finished = replace(draft, person_id=person_id)
        profile = make_profile(draft.name, draft.document, draft.phone, now, draft.language)
        sealed = self._sealer.seal(profiles.write_profile(profile), row_aad("people", "profile", person_id.bytes), self._random)
        status = PERSON_TRANSITIONS.follow(Status.PENDING, StatusEvent.ACTIVATE)
        async with self._database.transaction() as tx:
            # The person's row comes first because the draft names it; of two submissions of one form the second finds the draft moved.
            await people.add(tx, person_id, status, verdict.ial, sealed, now)
            moved = await self._drafts.move_in(tx, held, finished)
            if not await self._add_identifier(tx, person_id, draft.document.kind, draft.document.value):
                raise AccountExists
            role = await self.bind_phone(tx, person_id, draft.phone, matched=CheckKind.PHONE in draft.matched, who=who)
            await self._passwords.set(tx, person_id, draft.verifier, now)
            await evidence.link(tx, draft.case, person_id)
            await self._accept(tx, person_id, draft, agreement, who)
            await self._record(
                tx,
                Kind.PERSON_REGISTERED,
                person_id,
                who,
                {"way": "online", "ial": verdict.ial, "phone": role, "document_kind": draft.document.kind.value, "case": str(draft.case)},
            )
            notice = {"phone": draft.phone.value, "template": "registered", "parameters": {"name": mask_name(draft.name)}}
            await self._outbox.add(tx, "sms", notice, now + NOTICE_LIFE)
            return moved

    async def bind_phone(self, tx: Transaction, person_id: UUID, phone: Phone, *, matched: bool, who: Requester) -> str:
        """Bind a number whose code was typed: as sign-in identifier when the operator matched it, else as contact.

        A newcomer whom the operator confirms takes the number; the old binding becomes "to be renewed". Returns the role.
        Raises PhoneFull when a mere contact would be one too many.
        """
        now = self._clock()
        indexes = self._index.index_all(IdentifierKind.PHONE.value, phone.value)
        await contacts.lock_phone(tx, indexes)
        if not matched:
            if await contacts.count_others(tx, indexes, person_id) >= OTHERS:
                raise PhoneFull
            await self._add_contact(tx, person_id, phone, indexes, "contact")
            await self._record(tx, Kind.PHONE_BOUND, person_id, who, {"role": "contact"})
            return "contact"
        loser = await contacts.take_identifier(tx, indexes, person_id)
        if loser is not None:
            await self._add_contact(tx, loser, phone, indexes, "to_be_renewed")
            await self._record(tx, Kind.PHONE_TAKEN_OVER, loser, who, {})
        if not await self._add_identifier(tx, person_id, IdentifierKind.PHONE, phone.value, matched=True):
            await identifiers.renew_phone(tx, person_id, indexes, now)
        await contacts.drop(tx, person_id, indexes)
        await self._record(tx, Kind.PHONE_BOUND, person_id, who, {"role": "identifier"})
        return "identifier"

    async def _add_identifier(self, tx: Transaction, person_id: UUID, kind: IdentifierKind, value: str, *, matched: bool = False) -> bool:
        now = self._clock()
        indexes = self._index.index_all(kind.value, value)
        aad = row_aad("person_identifiers", "sealed", kind.value.encode() + b"\0" + indexes[0])
        sealed = self._sealer.seal(value.encode(), aad, self._random)
        return await identifiers.add(tx, kind.value, indexes, self._index.current_id, person_id, sealed, now if matched else None, now)

    async def _accept(self, tx: Transaction, person_id: UUID, draft: Draft, agreement: Agreement, who: Requester) -> None:
        serial = make_outward_id(self._random)
        agreement_id = make_uuid7(self._clock, self._random)
        await agreements.add(
            tx, person_id, agreement_id, agreement.name, agreement.version, agreement.language, agreement.text_hash, serial, self._clock()
        )
        await self._record(tx, Kind.AGREEMENT_ACCEPTED, person_id, who, {"name": agreement.name, "version": agreement.version})

    async def _add_contact(self, tx: Transaction, person_id: UUID, phone: Phone, indexes: Sequence[bytes], state: str) -> None:
        aad = row_aad("person_contacts", "sealed", person_id.bytes + indexes[0])
        sealed = self._sealer.seal(phone.value.encode(), aad, self._random)
        await contacts.add(tx, person_id, indexes, self._index.current_id, sealed, state, self._clock())

    async def _record(
        self, tx: Transaction, kind: Kind, person_id: UUID, who: Requester, details: dict[str, str | int | bool | None]
    ) -> None:
        event = AuditEvent(
            kind,
            actor=f"person:{person_id}",
            person_id=person_id,
            client_id=who.client_id,
            request_id=who.request_id,
            details=details,
            place=who.place,
        )
        await self._audit.record(tx, event)
