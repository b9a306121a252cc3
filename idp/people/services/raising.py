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
from idp.people.rules.person import Status
from idp.people.rules.proofing import Proved, Short, judge_raising, plan_items
from idp.people.rules.proofing_items import ITEM_OF
from idp.people.rules.refusals import (
    AuthorityUnavailable,
    ItemsInsufficient,
    ItemsTooFew,
    NotRaisable,
    StillChecking,
)
from idp.people.rules.registration import Draft, add_answers
from idp.people.services.activation import Activation
from idp.people.services.check_limits import refuse_limited
from idp.people.services.directory import People
from idp.people.services.drafts import Drafts, HeldDraft
from idp.people.services.proofing import Case, Proofing, offer_items
from idp.people.services.requester import Requester
from idp.people.stores import drafts as draft_rows
from idp.people.stores import levels
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, DatabaseRefused

PURPOSE: Final = "raising"
CONSENT: Final = "raising"


@dataclass(frozen=True)
class Need:
    """What is missing for level 3. ``earlier`` are the items that matched in cases that are over, ``held`` is what was begun already.

    ``register_differs``: the register does not agree with the account's name and number, so the window has to look.
    """

    ial: int
    phone: Phone
    earlier: frozenset[CheckKind]
    short: Short
    held: HeldDraft | None
    register_differs: bool = False


@dataclass(frozen=True, repr=False)
class _Known:
    """Whom the questions are about, as the account has them."""

    ial: int
    name: str
    document: IdNumber
    phone: Phone
    has_own_phone: bool

    def fits(self, draft: Draft) -> bool:
        """Tell whether a draft is about the same: a corrected name or another phone is another case."""
        return (draft.name, draft.document, draft.phone) == (self.name, self.document, self.phone)


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
        known = await self._read(person_id)
        earlier = await self._list_earlier(person_id) & ITEM_OF.keys()
        held = await self._find(person_id, known)
        if held is None:
            verdict = judge_raising(known.ial, earlier, ())
            return Need(known.ial, known.phone, earlier, verdict if isinstance(verdict, Short) else Short(1, ()), None)
        draft = held.draft
        verdict = judge_raising(known.ial, earlier, draft.answers, draft.pending, bank_names_phone=draft.bank_names_phone)
        short = verdict if isinstance(verdict, Short) else Short(1, ())
        return Need(known.ial, known.phone, earlier, short, held, _has_register_said_no(draft))

    async def submit_items(self, person_id: UUID, items: Mapping[CheckKind, str], language: str, who: Requester) -> None:
        """Ask the authorities about these items; when they suffice, the level is raised and the phone bound.

        An account that the register never confirmed (imported, or from elsewhere) is asked about there as well. Raises
        ItemIsDocument, ItemsTooFew, ItemsInsufficient, ChecksLimited, ChecksBusy, AuthorityUnavailable (what was
        typed is kept), StillChecking, NotRaisable.
        """
        known = await self._read(person_id)
        if not items:
            raise ItemsTooFew
        held = await self._hold(person_id, known, language)
        await self._ask(held, plan_items(offer_items(items, held.draft), held.draft.answers), known, person_id, who)

    async def continue_items(self, person_id: UUID, who: Requester) -> None:
        """Ask again what was typed and not answered. Raises as ``submit_items``."""
        known = await self._read(person_id)
        held = await self._find(person_id, known)
        if held is None or not held.draft.pending:
            raise ItemsTooFew
        await self._ask(held, dict(held.draft.pending), known, person_id, who)

    async def _ask(self, held: HeldDraft, planned: Mapping[CheckKind, str], known: _Known, person_id: UUID, who: Requester) -> None:
        if held.checking:
            raise StillChecking
        if _has_register_said_no(held.draft):
            raise NotRaisable
        earlier = await self._list_earlier(person_id)
        if CheckKind.IDENTITY not in earlier | held.draft.matched:
            planned = {CheckKind.IDENTITY: "", **planned}
        if not planned:
            raise ItemsTooFew
        held = await self._drafts.move(held, replace(held.draft, pending=MappingProxyType(dict(planned))), claim=True)
        draft = held.draft
        case = Case(
            draft.case,
            draft.name,
            draft.document,
            draft.phone,
            PURPOSE,
            draft.answers,
            person_id,
            CONSENT,
            phone_proven=known.has_own_phone,
        )
        answers = await self._proofing.ask(case, planned, who)
        draft = add_answers(draft, answers)
        verdict = judge_raising(known.ial, earlier, draft.answers, draft.pending, bank_names_phone=draft.bank_names_phone)
        if isinstance(verdict, Proved) and CheckKind.IDENTITY in earlier | draft.matched:
            await self._finish(held, draft, verdict.ial, person_id, who)
            return
        await self._drafts.move(held, draft)
        if _has_register_said_no(draft):
            raise NotRaisable
        if draft.pending:
            raise AuthorityUnavailable(kinds=",".join(kind.value for kind in CheckKind if kind in draft.pending))
        # Enough without the register's word is only possible when it was not asked.
        if isinstance(verdict, Proved) or any(a.result is CheckResult.LIMITED for a in answers):
            raise refuse_limited(answers, self._clock())
        raise ItemsInsufficient(missing=verdict.missing)

    async def _finish(self, held: HeldDraft, draft: Draft, ial: int, person_id: UUID, who: Requester) -> None:
        now = self._clock()
        async with self._database.transaction() as tx:
            # Moving the draft first means that of two requests one raises.
            await self._drafts.move_in(tx, held, draft)
            if not await levels.raise_ial(tx, person_id, ial, now):
                raise NotRaisable
            if CheckKind.PHONE in draft.matched:
                # A bank's word adds nothing to the binding: this number reaches the person already.
                await self._activation.bind_phone(tx, person_id, draft.phone, matched=True, who=who)
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

    async def _hold(self, person_id: UUID, known: _Known, language: str) -> HeldDraft:
        held = await self._drafts.find_for(person_id)
        if held is not None and known.fits(held.draft):
            return held
        if held is not None:
            await self._drafts.drop(held.draft)
        case, now = self._drafts.make_id(), self._clock()
        draft = Draft(case, case, language, "", "", now, now, known.name, known.document, known.phone, person_id=person_id, raising=True)
        try:
            async with self._database.transaction() as tx:
                return await self._drafts.add_for(tx, person_id, draft)
        except DatabaseRefused:
            # Of requests at once one begins; the others are told to look how it went.
            if await self._drafts.find_for(person_id) is None:
                raise
            raise StillChecking from None

    async def _find(self, person_id: UUID, known: _Known) -> HeldDraft | None:
        """Return what was begun about the person as the account has them now."""
        held = await self._drafts.find_for(person_id)
        return held if held is not None and known.fits(held.draft) else None

    async def _read(self, person_id: UUID) -> _Known:
        known = await self._people.find_by_id(person_id)
        if known is None or known.standing.status is not Status.ACTIVE:
            raise NotRaisable
        profile = await self._people.read_profile(person_id)
        if profile.document is None or known.phone is None:
            raise NotRaisable
        return _Known(known.standing.ial, profile.name, profile.document, known.phone, known.has_own_phone)

    async def _list_earlier(self, person_id: UUID) -> frozenset[CheckKind]:
        """Return what matched in cases that are over; what is being added now is judged by the draft."""
        return frozenset(CheckKind(kind) for kind in await levels.list_proved(self._database, person_id))


def _has_register_said_no(draft: Draft) -> bool:
    """Tell whether the register answered, and not with a match."""
    return not draft.identity_matched and any(a.kind is CheckKind.IDENTITY for a in draft.answers)
