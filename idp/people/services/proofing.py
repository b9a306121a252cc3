"""Decides which checks are made and paid for: limits before the question, evidence after the answer, all of one case at once."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from idp.authenticators.rules.sms_limits import find_day
from idp.authenticators.rules.throttling import name_origin
from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_uuid7
from idp.people.rules.identifiers import IdNumber, Phone
from idp.people.rules.proofing import CheckAnswer, list_matched, name_attempt
from idp.people.rules.proofing_items import BANK_PHONE, DAILY, DEFAULT_PLAN, ItemPlan, split_bank_phone
from idp.people.services.requester import Requester
from idp.people.stores import check_counts
from idp.people.stores import evidence as evidences
from idp.people.stores.evidence import Evidence
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.transients import Counted, Transients
from idp.sources.source import Check, Outcome, Source
from keys import BlindIndex, Mac

ADDRESSES: Final = "checks_of_address"
BUDGET: Final = "checks_in_all"
HOUR: Final = 3_600.0
MINUTE: Final = 60.0
ANY_KIND: Final = "any"

Counts = list[tuple[str, bytes, int, str]]


@dataclass(frozen=True)
class CheckLimits:
    """Figures of domain.md "Proofing". ``person`` replaces the table's daily figures when it is given (for a demonstration)."""

    person: int | None = None
    unproven_phone: int = 2
    device_day: int = 30
    address_hour: int = 60
    budget_minute: int = 1_200
    timeout: float = 3.0
    real_person_timeout: float = 8.0

    def find_daily(self, kind: CheckKind) -> int:
        """Return how often one person's ``kind`` may be checked in a day."""
        return self.person if self.person is not None else DAILY.get(kind, 5)


@dataclass(frozen=True, repr=False)
class Case:
    """Whom the checks are about and what they are for. ``answers`` are those of this case so far; results of other cases do not count.

    ``consent`` names the text that the person agreed to, ``operator`` the clerk who asks.
    """

    id: UUID
    name: str
    document: IdNumber
    phone: Phone | None
    purpose: str
    answers: tuple[CheckAnswer, ...] = ()
    person_id: UUID | None = None
    consent: str = ""
    operator: str | None = None


class Proofing:
    """Asks authorities about people."""

    def __init__(
        self,
        database: Database,
        transients: Transients,
        sources: Source,
        index: BlindIndex,
        mac: Mac,
        audit: AuditLog,
        clock: Clock,
        random: Random,
        limits: CheckLimits,
        plan: ItemPlan = DEFAULT_PLAN,
    ) -> None:
        self._database = database
        self._transients = transients
        self._sources = sources
        self._index = index
        self._mac = mac
        self._audit = audit
        self._clock = clock
        self._random = random
        self._limits = limits
        self.plan = plan

    def serves(self, kind: CheckKind) -> bool:
        """Tell whether any authority is configured that can be asked this."""
        return kind in self._sources.kinds

    async def ask(self, case: Case, inputs: Mapping[CheckKind, str], who: Requester) -> tuple[CheckAnswer, ...]:
        """Ask all of ``inputs`` (kind → what was typed; the phone in E.164) at once and return one answer a kind, in their order.

        LIMITED without a question when a limit is used up. What is not answered is UNAVAILABLE and costs nobody anything.
        """
        if not inputs:
            return ()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask_one(case, kind, value, who)) for kind, value in inputs.items()]
        return tuple(task.result() for task in tasks)

    async def assess_risk(self, case_id: UUID, document: IdNumber, phone: Phone, who: Requester) -> CheckResult:
        """Ask the risk service about a registration: MATCH is acceptable, MISMATCH high risk, UNAVAILABLE when it is silent (S07)."""
        if not self.serves(CheckKind.REGISTRATION_RISK):
            return CheckResult.MATCH
        subject = {
            "phone": phone.value,
            "document_kind": document.kind.value,
            "address": who.address,
            "device": who.device,
        }
        request_id = self._name_request(case_id, CheckKind.REGISTRATION_RISK, 1, subject)
        check = Check(request_id, CheckKind.REGISTRATION_RISK, subject, "registration")
        outcome = await self._sources.check(check, self._limits.timeout)
        case = Case(case_id, "", document, phone, "registration")
        async with self._database.transaction() as tx:
            await self._record(tx, case, check, outcome, who)
        return outcome.result

    async def _ask_one(self, case: Case, kind: CheckKind, value: str, who: Requester) -> CheckAnswer:
        now = self._clock()
        subject = {"name": case.name, "document_kind": case.document.kind.value, "id_number": case.document.value}
        if kind is not CheckKind.IDENTITY:
            subject |= _write_item(kind, value)
        counted = await self._count(case, kind, who, now)
        if counted is None:
            return await self._refuse(case, kind, who)
        request_id = self._name_request(case.id, kind, name_attempt(case.answers, kind), subject)
        check = Check(request_id, kind, subject, case.purpose, case.consent)
        timeout = self._limits.real_person_timeout if kind is CheckKind.REAL_PERSON else self._limits.timeout
        outcome = await self._sources.check(check, timeout)
        async with self._database.transaction() as tx:
            if outcome.result in (CheckResult.UNAVAILABLE, CheckResult.LIMITED):
                await self._give_back(tx, find_day(now), counted)
            await self._record(tx, case, check, outcome, who)
        return CheckAnswer(kind, outcome.result, self._clock())

    async def _refuse(self, case: Case, kind: CheckKind, who: Requester) -> CheckAnswer:
        """Answer LIMITED ourselves: nobody was asked."""
        async with self._database.transaction() as tx:
            await self._audit.record(tx, _make_event(case, kind, CheckResult.LIMITED, "", who))
        return CheckAnswer(kind, CheckResult.LIMITED, self._clock())

    async def _count(self, case: Case, kind: CheckKind, who: Requester, now: datetime) -> Counts | None:
        """Count the check against every limit; None, and nothing counted, when one is used up."""
        taken: list[tuple[str, str, Counted]] = []
        for store, key, ttl, most in (
            (ADDRESSES, name_origin(who.address), HOUR, self._limits.address_hour),
            (BUDGET, "all", MINUTE, self._limits.budget_minute),
        ):
            counted = await self._transients.count(store, key, ttl)
            taken.append((store, key, counted))
            if counted.number > most:
                await self._withdraw(taken)
                return None
        rows = self._list_counts(case, kind, who)
        try:
            async with self._database.transaction() as tx:
                for scope, subject_hash, most, counted_kind in rows:
                    if not await check_counts.count_check(tx, find_day(now), scope, counted_kind, subject_hash, most):
                        raise _UsedUp
        except _UsedUp:
            await self._withdraw(taken)
            return None
        return rows

    def _list_counts(self, case: Case, kind: CheckKind, who: Requester) -> Counts:
        document = f"{case.document.kind.value}\0{case.document.value}"
        person = self._index.index("checks_of_person", document)
        rows: Counts = [("person", person, self._limits.find_daily(kind), kind.value)]
        if case.phone is not None and CheckKind.PHONE not in list_matched(case.answers):
            # Whoever knows somebody's name and number must not spend that person's checks from a phone that proves nothing.
            phone = self._index.index("checks_of_phone", f"{document}\0{case.phone.value}")
            most = min(self._limits.find_daily(kind), self._limits.unproven_phone)
            rows.append(("phone", phone, most if self._limits.person is None else self._limits.person, kind.value))
        if who.device_hash is not None:
            device = self._index.index("checks_of_device", who.device_hash.hex())
            rows.append(("device", device, self._limits.device_day, ANY_KIND))
        return rows

    async def _withdraw(self, taken: list[tuple[str, str, Counted]]) -> None:
        for store, key, counted in taken:
            await self._transients.uncount(store, key, counted)

    async def _give_back(self, tx: Transaction, day: date, counted: Counts) -> None:
        for scope, subject_hash, _, counted_kind in counted:
            await check_counts.give_back(tx, day, scope, counted_kind, subject_hash)

    def _name_request(self, case_id: UUID, kind: CheckKind, attempt: int, subject: Mapping[str, str]) -> str:
        """Return the name under which the same question of the same case is the same request, also after a crash."""
        text = f"{case_id}\0{kind.value}\0{attempt}\0{_write(subject)}"
        return hashlib.sha256(self._mac.compute(b"request\0" + text.encode())).hexdigest()[:32]

    async def _record(self, tx: Transaction, case: Case, check: Check, outcome: Outcome, who: Requester) -> None:
        """Keep the evidence and its audit row. Silence is no evidence; it is audited, and the same question may be asked again."""
        if outcome.result is not CheckResult.UNAVAILABLE:
            inputs = f"{check.kind.value}\0{_write(check.subject)}".encode()
            evidence = Evidence(
                id=make_uuid7(self._clock, self._random),
                request_id=check.request_id,
                case_id=case.id,
                person_id=case.person_id,
                kind=check.kind.value,
                input_mac=self._mac.compute(inputs),
                key_id=self._mac.current_id,
                result=outcome.result.value,
                source=outcome.source,
                source_reference=outcome.reference,
                source_signature=outcome.signature,
                purpose=case.purpose,
                consent_ref=case.consent,
                operator=case.operator,
                at=self._clock(),
            )
            await evidences.add(tx, evidence)
        await self._audit.record(tx, _make_event(case, check.kind, outcome.result, outcome.source, who))


_NAMES: Final[Mapping[CheckKind, str]] = {CheckKind.REAL_PERSON: "ticket"}
"""Kind → its field in the question, where that is not the kind's own name."""


class _UsedUp(Exception):
    """Rolls the counts back."""


def _write_item(kind: CheckKind, value: str) -> dict[str, str]:
    """Return the fields of a question that say what was typed."""
    if kind is not CheckKind.BANK_CARD:
        return {_NAMES.get(kind, kind.value): value}
    card, phone = split_bank_phone(value)
    return {kind.value: card, BANK_PHONE: phone} if phone else {kind.value: card}


def _write(subject: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(subject.items())), ensure_ascii=False, separators=(",", ":"))


def _make_event(case: Case, kind: CheckKind, result: CheckResult, source: str, who: Requester) -> AuditEvent:
    return AuditEvent(
        Kind.CHECK_MADE,
        Result.DONE if result is CheckResult.MATCH else Result.REFUSED,
        actor=f"person:{case.person_id}" if case.person_id else "visitor",
        person_id=case.person_id,
        client_id=who.client_id,
        request_id=who.request_id,
        details={"kind": kind.value, "result": result.value, "source": source, "purpose": case.purpose, "case": str(case.id)},
        place=who.place,
    )
