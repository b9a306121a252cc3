"""Decides when the operator is asked again whether a phone is still this person's, and what the answer does to the binding (S52)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_uuid7
from idp.people.rules.identifiers import Phone
from idp.people.rules.phone_binding import is_unused
from idp.people.rules.proofing import CheckAnswer
from idp.people.services.directory import KnownPerson, People
from idp.people.services.proofing import Case, Proofing
from idp.people.services.requester import Requester
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database


class PhoneVerdict(Enum):
    """What the operator's answer means."""

    KEPT = auto()
    """Name, document and phone belong together; the match is fresh again."""
    FROZEN = auto()
    """They do not: the number is nobody's way in any more."""
    SILENT = auto()
    """No answer, or none that says so much: nothing is frozen and nothing passes."""


@dataclass(frozen=True)
class Confirmation:
    """What operator and register said. ``in_register`` is False when the register has no such person that it may confirm (S21)."""

    phone: PhoneVerdict
    in_register: bool = True


class PhoneMatches:
    """Repeats the operator's match. It is a network call: never inside a transaction."""

    def __init__(self, database: Database, people: People, proofing: Proofing, audit: AuditLog, clock: Clock, random: Random) -> None:
        self._database = database
        self._people = people
        self._proofing = proofing
        self._audit = audit
        self._clock = clock
        self._random = random

    def is_due(self, known: KnownPerson) -> bool:
        """Tell whether nothing was heard of the person's own number for so long that it may be a stranger's by now."""
        return is_unused(known.phone_seen_at, self._clock())

    async def confirm(
        self, known: KnownPerson, purpose: str, who: Requester, *, claimed: bool = False, case_id: UUID | None = None
    ) -> Confirmation:
        """Ask register and operator about a person whose own phone it is, and record what follows.

        ``claimed``: whoever asks has proved nothing, so the person's own checks are not spent on it. With ``case_id`` the questions
        belong to that case, so they are not asked twice in it.
        """
        person_id, phone = known.standing.person_id, known.phone
        if phone is None or not known.has_own_phone or not self._proofing.serves(CheckKind.PHONE):
            return Confirmation(PhoneVerdict.SILENT)
        profile = await self._people.read_profile(person_id)
        if profile.document is None:
            return Confirmation(PhoneVerdict.SILENT)
        case = Case(
            case_id or make_uuid7(self._clock, self._random),
            profile.name,
            profile.document,
            phone,
            purpose,
            person_id=person_id,
            scope="claim" if claimed else "person",
            phone_proven=True,
        )
        inputs = {CheckKind.PHONE: phone.value}
        if self._proofing.serves(CheckKind.IDENTITY):
            inputs[CheckKind.IDENTITY] = ""
        return await self.record(known, phone, await self._proofing.ask(case, inputs, who), who, weak=claimed)

    async def record(
        self, known: KnownPerson, phone: Phone, answers: Iterable[CheckAnswer], who: Requester, *, weak: bool = False
    ) -> Confirmation:
        """Record what one round of answers about this number means.

        A number is frozen only when the register agreed in the same round: otherwise it is not the number that is in question. ``weak``:
        new and ported numbers reach the operators' data days late, so on a mere claim that they know nothing is no reason either.
        """
        said = {answer.kind: answer.result for answer in answers}
        in_register = said.get(CheckKind.IDENTITY) is not CheckResult.NOT_FOUND
        match said.get(CheckKind.PHONE):
            case CheckResult.MATCH:
                return Confirmation(await self._keep(known, phone), in_register)
            case (CheckResult.MISMATCH | CheckResult.NOT_FOUND) as result if said.get(CheckKind.IDENTITY) is CheckResult.MATCH:
                if not (weak and result is CheckResult.NOT_FOUND):
                    return Confirmation(await self._freeze(known, phone, result, who))
        return Confirmation(PhoneVerdict.SILENT, in_register)

    async def _keep(self, known: KnownPerson, phone: Phone) -> PhoneVerdict:
        async with self._database.transaction() as tx:
            kept = await self._people.confirm_phone(tx, known.standing.person_id, phone)
        return PhoneVerdict.KEPT if kept else PhoneVerdict.FROZEN

    async def _freeze(self, known: KnownPerson, phone: Phone, result: CheckResult, who: Requester) -> PhoneVerdict:
        async with self._database.transaction() as tx:
            if await self._people.freeze_phone(tx, known.standing.person_id, phone):
                event = AuditEvent(
                    Kind.PHONE_FROZEN,
                    person_id=known.standing.person_id,
                    client_id=who.client_id,
                    request_id=who.request_id,
                    details={"result": result.value},
                    place=who.place,
                )
                await self._audit.record(tx, event)
        return PhoneVerdict.FROZEN
