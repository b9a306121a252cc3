"""Decides which checks are made and paid for: limits before the question, evidence after the answer, all of one case at once."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from idp.authenticators.rules.waits import say_when
from idp.kernel.audit_events import AuditEvent, Kind, Result
from idp.kernel.checks import CheckKind, CheckResult
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import make_uuid7
from idp.people.rules.identifiers import IdNumber, Phone
from idp.people.rules.item_numbers import equals_document
from idp.people.rules.proofing import CheckAnswer, list_matched, name_attempt
from idp.people.rules.proofing_items import BANK_PHONE, DEFAULT_PLAN, ITEM_OF, ItemPlan, split_bank_phone
from idp.people.rules.refusals import ChecksBusy, ItemIsDocument
from idp.people.rules.registration import Draft
from idp.people.services.check_limits import CheckCounts, CheckLimits, Full, Row
from idp.people.services.requester import Requester
from idp.people.stores import evidence as evidences
from idp.people.stores.evidence import Evidence
from idp.platform.audit_log import AuditLog
from idp.platform.database import Database, Transaction
from idp.platform.transients import Transients
from idp.sources.source import Check, Outcome, Source
from keys import BlindIndex, Mac

ANY_KIND: Final = "any"


@dataclass(frozen=True, repr=False)
class Case:
    """Whom the checks are about and what they are for. ``answers`` are those of this case so far; results of other cases do not count.

    ``consent`` names the text that the person agreed to, ``operator`` the clerk who asks. ``scope`` "claim": whoever asks has proved
    nothing yet, so it is counted apart and never spends the person's own checks. ``phone_proven``: the phone is the person's bound
    identifier, not one that somebody typed.
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
    scope: Literal["person", "claim"] = "person"
    phone_proven: bool = False


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
        self._sources = sources
        self._index = index
        self._mac = mac
        self._audit = audit
        self._clock = clock
        self._random = random
        self._limits = limits
        self._counts = CheckCounts(database, transients, index, clock, limits)
        self.plan = plan

    def serves(self, kind: CheckKind) -> bool:
        """Tell whether any authority is configured that can be asked this."""
        return kind in self._sources.kinds

    async def admit_start(self, who: Requester) -> None:
        """Count one more registration begun from this address and device. Raises StartsLimited."""
        await self._counts.admit_start(who)

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
        """Ask the risk service about a registration: MATCH is acceptable, MISMATCH high risk, UNAVAILABLE when it is silent (S07).

        Raises ChecksBusy when the minute's budget is used up: nobody passes unasked because others ask too much.
        """
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
        taken = await self._counts.take_budget()
        if isinstance(taken, Full):
            now = self._clock()
            raise ChecksBusy(**say_when(taken.until or now, now))
        outcome = await self._sources.check(check, self._limits.deadline)
        case = Case(case_id, "", document, phone, "registration")
        async with self._database.transaction() as tx:
            await self._record(tx, case, check, outcome, who)
        if outcome.result is CheckResult.UNAVAILABLE:
            await self._counts.give_back_shared(taken)
        return outcome.result

    async def _ask_one(self, case: Case, kind: CheckKind, value: str, who: Requester) -> CheckAnswer:
        subject = {"name": case.name, "document_kind": case.document.kind.value, "id_number": case.document.value}
        if kind is not CheckKind.IDENTITY:
            subject |= _write_item(kind, value)
        request_id = self._name_request(case.id, kind, name_attempt(case.answers, kind), subject)
        spent = await self._counts.take(kind.value, request_id, self._list_counts(case, kind, who), who)
        if isinstance(spent, Full):
            return await self._refuse(case, kind, spent.until, who)
        check = Check(request_id, kind, subject, case.purpose, case.consent)
        outcome = await self._sources.check(check, self._limits.deadline)
        silent = outcome.result in (CheckResult.UNAVAILABLE, CheckResult.LIMITED)
        async with self._database.transaction() as tx:
            if silent:
                await self._counts.give_back(tx, spent)
            await self._record(tx, case, check, outcome, who)
        if silent:
            await self._counts.give_back_shared(spent.shared)
        return CheckAnswer(kind, outcome.result, self._clock())

    async def _refuse(self, case: Case, kind: CheckKind, until: datetime | None, who: Requester) -> CheckAnswer:
        """Answer LIMITED ourselves: nobody was asked."""
        async with self._database.transaction() as tx:
            await self._audit.record(tx, _make_event(case, kind, CheckResult.LIMITED, "", who))
        return CheckAnswer(kind, CheckResult.LIMITED, self._clock(), until)

    def _list_counts(self, case: Case, kind: CheckKind, who: Requester) -> tuple[Row, ...]:
        document = f"{case.document.kind.value}\0{case.document.value}"
        most = self._limits.find_daily(kind)
        rows = [Row(case.scope, kind.value, self._index.index("checks_of_person", document), most)]
        if case.phone is not None and not case.phone_proven and CheckKind.PHONE not in list_matched(case.answers):
            # Whoever knows somebody's name and number must not spend that person's checks from a phone that proves nothing.
            owner = document if case.scope == "person" else f"{case.scope}\0{document}"
            phone = self._index.index("checks_of_phone", f"{owner}\0{case.phone.value}")
            rows.append(Row("phone", kind.value, phone, min(most, self._limits.unproven_phone)))
        if who.device_hash is not None:
            device = self._index.index("checks_of_device", who.device_hash.hex())
            rows.append(Row("device", ANY_KIND, device, self._limits.device_day))
        return tuple(rows)

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


def offer_items(items: Mapping[CheckKind, str], draft: Draft) -> dict[CheckKind, str]:
    """Return what a person offers (kind → checked value), with the draft's phone for the phone.

    Raises ItemIsDocument when the document's number was typed again (S54).
    """
    offered = dict(items)
    if CheckKind.PHONE in offered:
        offered[CheckKind.PHONE] = draft.phone.value
    for kind, value in offered.items():
        if equals_document(split_bank_phone(value)[0], draft.document):
            raise ItemIsDocument(field=ITEM_OF[kind].field)
    return offered


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
