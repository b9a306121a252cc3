"""Decides when the operator is asked again whether a phone is still this person's, and what the answer does to the binding (S52)."""

from dataclasses import dataclass
from enum import Enum, auto

from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_uuid7
from idp.people.rules.identifiers import Phone
from idp.people.rules.phone_binding import is_unused
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
    """No answer: nothing is frozen and nothing passes."""


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

    async def confirm(self, known: KnownPerson, purpose: str, who: Requester) -> Confirmation:
        """Ask register and operator about a person whose own phone it is, and record what follows.

        While the register does not know the person, a number that does not match is left as it is: not the number is in question.
        """
        person_id, phone = known.standing.person_id, known.phone
        if phone is None or not known.has_own_phone or not self._proofing.serves(CheckKind.PHONE):
            return Confirmation(PhoneVerdict.SILENT)
        profile = await self._people.read_profile(person_id)
        if profile.document is None:
            return Confirmation(PhoneVerdict.SILENT)
        case = Case(make_uuid7(self._clock, self._random), profile.name, profile.document, phone, purpose, person_id=person_id)
        inputs = {CheckKind.PHONE: phone.value}
        if self._proofing.serves(CheckKind.IDENTITY):
            inputs[CheckKind.IDENTITY] = ""
        answers = {answer.kind: answer.result for answer in await self._proofing.ask(case, inputs, who)}
        in_register = answers.get(CheckKind.IDENTITY) is not CheckResult.NOT_FOUND
        match answers[CheckKind.PHONE]:
            case CheckResult.MATCH:
                return Confirmation(await self._keep(known, phone), in_register)
            case CheckResult.MISMATCH | CheckResult.NOT_FOUND if in_register:
                return Confirmation(await self._freeze(known, phone, answers[CheckKind.PHONE], who))
            case _:
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
