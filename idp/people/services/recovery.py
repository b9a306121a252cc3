"""Decides what a recovery asks the authorities, and what it changes: one fresh match, a new password, a day of one factor."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from idp.authenticators.rules.password_policy import Personal
from idp.authenticators.services.passwords import Passwords
from idp.kernel.audit_events import AuditEvent, Detail, Kind, Result
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock
from idp.kernel.errors import Refusal
from idp.people.rules.identifiers import Phone
from idp.people.rules.proofing import CheckAnswer, list_matched
from idp.people.rules.proofing_items import ItemPlan
from idp.people.rules.recovery import Recovery, is_proved, is_unknown_to_register, list_awaited
from idp.people.rules.refusals import AuthorityUnavailable, RecoveryUnproved, RegisterUnknown
from idp.people.services.check_limits import refuse_limited
from idp.people.services.directory import KnownPerson, People
from idp.people.services.proofing import Case, Proofing
from idp.people.services.requester import Requester
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction

PURPOSE = "recovery"
"""What its codes and checks are for."""

REASON = "password recovered"
"""Why sessions and grants end."""


@dataclass(frozen=True)
class Asked:
    """What the authorities said: the recovery with their answers, what is to be told when they do not suffice, and this round alone."""

    recovery: Recovery
    refusal: Refusal | None
    answers: tuple[CheckAnswer, ...]


class PersonRecovery:
    """The part of a recovery that is about the person; the flow around it belongs to the sign-in."""

    def __init__(self, database: Database, people: People, passwords: Passwords, proofing: Proofing, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._passwords = passwords
        self._proofing = proofing
        self._audit = audit
        self._clock = clock

    @property
    def plan(self) -> ItemPlan:
        """Return how items are asked for in this province."""
        return self._proofing.plan

    def serves(self, kind: CheckKind) -> bool:
        """Tell whether any authority can be asked this."""
        return self._proofing.serves(kind)

    async def ask(self, recovery: Recovery, items: Mapping[CheckKind, str], who: Requester) -> Asked:
        """Ask the register, the phone's operator and the authorities of ``items`` at once, each until it agreed once.

        Silence and limits count as no answer, and nothing is kept of them.
        """
        matched = list_matched(recovery.answers)
        questions = {kind: value for kind, value in items.items() if kind not in matched}
        if CheckKind.IDENTITY not in matched:
            questions[CheckKind.IDENTITY] = ""
        if CheckKind.PHONE not in matched:
            questions[CheckKind.PHONE] = recovery.phone
        # As the account has it: what was typed may differ in capitals.
        name = await self._people.find_name(recovery.person_id) if recovery.person_id else recovery.name
        case = Case(
            recovery.id,
            name,
            recovery.document,
            Phone(recovery.phone),
            PURPOSE,
            recovery.answers,
            recovery.person_id,
            PURPOSE,
            phone_proven=True,  # its code came back
        )
        answers = await self._proofing.ask(case, questions, who)
        kept = tuple(a for a in answers if a.result not in (CheckResult.UNAVAILABLE, CheckResult.LIMITED))
        asked = replace(recovery, answers=(*recovery.answers, *kept))
        return Asked(asked, None if is_proved(asked.answers) else _explain(answers, self._clock()), answers)

    async def choose_password(self, known: KnownPerson, password: str) -> str:
        """Return the verifier of the new password. Raises PasswordLength, PasswordPersonal, PasswordCommon; Overloaded."""
        profile = await self._people.read_profile(known.standing.person_id)
        phone = known.phone or profile.phone
        document = profile.document.value if profile.document else ""
        return await self._passwords.choose(password, Personal(profile.name, document, phone.value if phone else ""))

    async def complete(self, tx: Transaction, recovery: Recovery, person_id: UUID, verifier: str, who: Requester) -> None:
        """Set the password, begin the day of one factor, and end every session and grant, in the caller's transaction.

        No other factor is touched, and the account's status stays what it is.
        """
        await self._passwords.set(tx, person_id, verifier, self._clock())
        await self._people.note_recovery(tx, person_id, REASON)
        items = ",".join(sorted(kind.value for kind in list_matched(recovery.answers) - {CheckKind.IDENTITY, CheckKind.PHONE}))
        await self._record(tx, Kind.PASSWORD_RECOVERED, Result.DONE, person_id, who, {"items": items, "case": str(recovery.id)})

    async def record_start(self, recovery: Recovery, person_id: UUID | None, who: Requester) -> None:
        """Note that a recovery was begun, for whomever it is about, if for anybody."""
        async with self._database.transaction() as tx:
            await self._record(tx, Kind.RECOVERY_STARTED, Result.DONE, person_id, who, {"case": str(recovery.id)}, actor="visitor")

    async def record_refusal(self, recovery: Recovery, reason: str, person_id: UUID | None, who: Requester) -> None:
        """Note why a recovery ended without a new password."""
        async with self._database.transaction() as tx:
            details: dict[str, Detail] = {"reason": reason, "case": str(recovery.id)}
            await self._record(tx, Kind.RECOVERY_REFUSED, Result.REFUSED, person_id, who, details, actor="visitor")

    async def _record(
        self,
        tx: Transaction,
        kind: Kind,
        result: Result,
        person_id: UUID | None,
        who: Requester,
        details: Mapping[str, Detail],
        actor: str = "",
    ) -> None:
        event = AuditEvent(
            kind,
            result,
            actor=actor or f"person:{person_id}",
            person_id=person_id,
            client_id=who.client_id,
            request_id=who.request_id,
            details=dict(details),
            place=who.place,
        )
        await self._audit.record(tx, event)


def _explain(answers: tuple[CheckAnswer, ...], now: datetime) -> Refusal:
    """Return why this round does not suffice; it never says which item an authority did not agree with."""
    if is_unknown_to_register(answers):
        return RegisterUnknown()
    awaited = list_awaited(answers)
    if awaited:
        return AuthorityUnavailable(kinds=",".join(kind.value for kind in awaited))
    if any(a.result is CheckResult.LIMITED for a in answers):
        return refuse_limited(answers, now)
    return RecoveryUnproved()
