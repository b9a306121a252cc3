"""Decides how somebody with an account reaches a higher level: items that bind the phone, asked anew, kept while nobody answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock
from idp.people.rules.identifiers import IdNumber, Phone
from idp.people.rules.item_numbers import equals_document
from idp.people.rules.person import Status
from idp.people.rules.proofing import Proved, Short, judge_raising, plan_items
from idp.people.rules.proofing_items import ITEM_OF, split_bank_phone
from idp.people.rules.refusals import (
    AuthorityUnavailable,
    ChecksLimited,
    ItemIsDocument,
    ItemsInsufficient,
    ItemsTooFew,
    NotRaisable,
    StillChecking,
)
from idp.people.rules.registration import Draft, add_answers
from idp.people.services.activation import Activation
from idp.people.services.directory import People
from idp.people.services.drafts import Drafts, HeldDraft
from idp.people.services.proofing import Case, Proofing
from idp.people.services.requester import Requester
from idp.people.stores import drafts as draft_rows
from idp.people.stores import evidence, levels
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database

PURPOSE: Final = "raising"
CONSENT: Final = "raising"


@dataclass(frozen=True)
class Need:
    """What is missing for level 3. ``earlier`` matched when the account was opened, ``draft`` is what was begun already."""

    ial: int
    phone: Phone
    earlier: frozenset[CheckKind]
    short: Short
    held: HeldDraft | None


class Raising:
    """Raises the level of people who are signed in."""

    def __init__(
        self,
        database: Database,
        drafts: Drafts,
        people: People,
        proofing: Proofing,
        activation: Activation,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._drafts = drafts
        self._people = people
        self._proofing = proofing
        self._activation = activation
        self._audit = audit
        self._clock = clock

    async def look(self, person_id: UUID) -> Need:
        """Return what is missing. Raises NotRaisable for a person without document or phone: the window can help."""
        ial, _, _, phone = await self._read(person_id)
        earlier = await self._list_earlier(person_id)
        held = await self._drafts.find_for(person_id)
        draft = held.draft if held is not None else None
        answers, pending = (draft.answers, draft.pending) if draft is not None and draft.phone == phone else ((), {})
        verdict = judge_raising(ial, earlier, answers, pending)
        short = verdict if isinstance(verdict, Short) else Short(1, ())
        return Need(ial, phone, earlier, short, held if draft is not None and draft.phone == phone else None)

    async def submit_items(self, person_id: UUID, items: Mapping[CheckKind, str], language: str, who: Requester) -> None:
        """Ask the authorities about these items; when they suffice, the level is raised and the phone bound.

        Raises ItemIsDocument, ItemsTooFew, ItemsInsufficient, ChecksLimited, AuthorityUnavailable (what was typed is kept),
        StillChecking, NotRaisable.
        """
        ial, name, document, phone = await self._read(person_id)
        held = await self._hold(person_id, name, document, phone, language)
        offered = dict(items)
        if CheckKind.PHONE in offered:
            offered[CheckKind.PHONE] = phone.value
        for kind, value in offered.items():
            if equals_document(split_bank_phone(value)[0], document):
                raise ItemIsDocument(field=ITEM_OF[kind].field)
        planned = plan_items(offered, held.draft.answers)
        if not planned:
            raise ItemsTooFew
        await self._ask(held, planned, ial, person_id, who)

    async def continue_items(self, person_id: UUID, who: Requester) -> None:
        """Ask again what was typed and not answered. Raises as ``submit_items``."""
        ial, _, _, phone = await self._read(person_id)
        held = await self._drafts.find_for(person_id)
        if held is None or held.draft.phone != phone or not held.draft.pending:
            raise ItemsTooFew
        await self._ask(held, dict(held.draft.pending), ial, person_id, who)

    async def _ask(self, held: HeldDraft, planned: Mapping[CheckKind, str], ial: int, person_id: UUID, who: Requester) -> None:
        if held.checking:
            raise StillChecking
        held = await self._drafts.move(held, replace(held.draft, pending=MappingProxyType(dict(planned))), claim=True)
        draft = held.draft
        case = Case(draft.id, draft.name, draft.document, draft.phone, PURPOSE, draft.answers, person_id, CONSENT)
        answers = await self._proofing.ask(case, planned, who)
        draft = add_answers(draft, tuple(a for a in answers if a.result is not CheckResult.LIMITED))
        limited = {a.kind for a in answers if a.result is CheckResult.LIMITED}
        draft = replace(draft, pending=MappingProxyType({k: v for k, v in draft.pending.items() if k not in limited}))
        verdict = judge_raising(
            ial, await self._list_earlier(person_id), draft.answers, draft.pending, bank_names_phone=draft.bank_names_phone
        )
        if isinstance(verdict, Proved):
            await self._finish(held, draft, verdict.ial, person_id, who)
            return
        await self._drafts.move(held, draft)
        if verdict.awaited:
            raise AuthorityUnavailable(kinds=",".join(kind.value for kind in verdict.awaited))
        if limited:
            raise ChecksLimited
        raise ItemsInsufficient(missing=verdict.missing)

    async def _finish(self, held: HeldDraft, draft: Draft, ial: int, person_id: UUID, who: Requester) -> None:
        now = self._clock()
        async with self._database.transaction() as tx:
            # Moving the draft first means that of two requests one raises.
            await self._drafts.move_in(tx, held, draft)
            if not await levels.raise_ial(tx, person_id, ial, now):
                raise NotRaisable
            await self._activation.bind_phone(tx, person_id, draft.phone, matched=CheckKind.PHONE in draft.matched, who=who)
            event = AuditEvent(
                Kind.LEVEL_RAISED,
                actor=f"person:{person_id}",
                person_id=person_id,
                client_id=who.client_id,
                request_id=who.request_id,
                details={"ial": ial, "items": ",".join(sorted(kind.value for kind in draft.matched))},
                place=who.place,
            )
            await self._audit.record(tx, event)
            await draft_rows.drop(tx, draft.id)

    async def _hold(self, person_id: UUID, name: str, document: IdNumber, phone: Phone, language: str) -> HeldDraft:
        held = await self._drafts.find_for(person_id)
        if held is not None and held.draft.phone == phone:
            return held
        if held is not None:
            await self._drafts.drop(held.draft)
        draft = Draft(self._drafts.make_id(), language, "", "", self._clock(), name, document, phone, person_id=person_id, raising=True)
        async with self._database.transaction() as tx:
            return await self._drafts.add_for(tx, person_id, draft)

    async def _read(self, person_id: UUID) -> tuple[int, str, IdNumber, Phone]:
        known = await self._people.find_by_id(person_id)
        if known is None or known.standing.status is not Status.ACTIVE:
            raise NotRaisable
        profile = await self._people.read_profile(person_id)
        if profile.document is None or known.phone is None:
            raise NotRaisable
        return known.standing.ial, profile.name, profile.document, known.phone

    async def _list_earlier(self, person_id: UUID) -> frozenset[CheckKind]:
        """Return the items that matched when the account was opened; what is being added now is judged by the draft."""
        return frozenset(CheckKind(kind) for kind in await evidence.list_matched(self._database, person_id)) & ITEM_OF.keys()
