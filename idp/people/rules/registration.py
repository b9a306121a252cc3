"""Decides the steps of a registration: what each one needs, what it leaves undone, and what going back forgets (domain.md §1)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final
from uuid import UUID

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import IdNumber, Phone
from idp.people.rules.masking import mask_name
from idp.people.rules.proofing import CheckAnswer, Proved, judge_items, list_matched
from idp.people.rules.proofing_items import split_bank_phone

LIFE: Final = timedelta(hours=72)
"""How long a registration waits for its person (domain.md, account status ``pending``)."""

FINISHED_LIFE: Final = timedelta(minutes=10)
"""How long a finished registration still leads to the session that it earned, should the answer have been lost."""

CLAIM: Final = timedelta(seconds=20)
"""How long one request may be busy asking authorities, a little longer than its deadline."""


STALE: Final = timedelta(minutes=30)
"""After so long without a step somebody else may sit there: the phone is proved anew, and the password chosen anew."""


class Step(StrEnum):
    """One page of the registration."""

    IDENTITY = "identity"
    CODE = "code"
    CHECK = "check"
    ITEMS = "items"
    PASSWORD = "password"  # noqa: S105 - a step's name
    AGREEMENT = "agreement"
    DONE = "done"


@dataclass(frozen=True, repr=False)
class Draft:
    """A registration on its way. It prints masked.

    ``flow`` is the interaction it was last seen in and ``origin`` what the person came for, both opaque here. ``case`` names what is
    asked about this name and document; another person is another case. ``touched_at`` is the last step. ``pending`` are typed
    items whose authority has not answered; ``correcting`` says that the register did not agree with name and number.
    ``raising``: the person has an account (``person_id``) and only adds items to it.
    """

    id: UUID
    case: UUID
    language: str
    flow: str
    origin: str
    created_at: datetime
    touched_at: datetime
    name: str
    document: IdNumber
    phone: Phone
    sends: int = 0
    phone_proved_at: datetime | None = None
    answers: tuple[CheckAnswer, ...] = ()
    pending: Mapping[CheckKind, str] = field(default_factory=lambda: MappingProxyType({}))
    correcting: bool = False
    bank_names_phone: bool = False
    verifier: str | None = None
    password_at: datetime | None = None
    person_id: UUID | None = None
    raising: bool = False

    def __repr__(self) -> str:
        return f"Draft({self.id}, {mask_name(self.name)}, {self.document}, {self.phone})"

    __str__ = __repr__

    @property
    def identity_matched(self) -> bool:
        """Tell whether the register agreed with name and document number."""
        return CheckKind.IDENTITY in list_matched(self.answers)

    @property
    def matched(self) -> frozenset[CheckKind]:
        """Return the items that matched."""
        return list_matched(self.answers)


@dataclass(frozen=True)
class StepRow:
    """One row of the step table: ``done`` tells whether the draft has passed it, ``undo`` forgets it and nothing before it."""

    step: Step
    done: Callable[[Draft], bool]
    undo: Callable[[Draft], Draft]


def _forget_check(draft: Draft) -> Draft:
    return replace(draft, answers=tuple(a for a in draft.answers if a.kind is not CheckKind.IDENTITY))


def _forget_items(draft: Draft) -> Draft:
    kept = tuple(a for a in draft.answers if a.kind is CheckKind.IDENTITY)
    return replace(draft, answers=kept, pending=MappingProxyType({}), bank_names_phone=False)


STEPS: Final = (
    StepRow(Step.IDENTITY, lambda d: not d.correcting, lambda d: replace(d, correcting=True)),
    StepRow(Step.CODE, lambda d: d.phone_proved_at is not None, lambda d: replace(d, phone_proved_at=None, sends=0)),
    StepRow(Step.CHECK, lambda d: d.identity_matched, _forget_check),
    StepRow(
        Step.ITEMS, lambda d: isinstance(judge_items(d.answers, d.pending, bank_names_phone=d.bank_names_phone), Proved), _forget_items
    ),
    StepRow(Step.PASSWORD, lambda d: d.verifier is not None, lambda d: replace(d, verifier=None, password_at=None)),
    StepRow(Step.AGREEMENT, lambda d: d.person_id is not None, lambda d: d),
)
"""The steps of the online registration, in order. A step may be entered when every one before it is done."""

RAISING: Final = (StepRow(Step.ITEMS, lambda d: False, _forget_items),)
"""Somebody who has an account adds items; what is enough is decided with the evidence of the account."""


def find_step(draft: Draft) -> Step:
    """Return the step that the draft stands at: the first that is not done."""
    return next((row.step for row in (RAISING if draft.raising else STEPS) if not row.done(draft)), Step.DONE)


def draw_steps() -> str:
    """Return the step table as a Mermaid state diagram: forward by doing a step, backward by undoing it."""
    course = [*(row.step for row in STEPS), Step.DONE]
    forward = [f"    {a.value} --> {b.value}: done" for a, b in pairwise(course)]
    return "\n".join(["stateDiagram-v2", *forward, f"    {Step.CHECK.value} --> {Step.IDENTITY.value}: the register does not agree"])


def undo_from(draft: Draft, step: Step) -> Draft:
    """Return the draft as it was before ``step``: that step and every later one undone, what was typed before it kept."""
    rows = [row.step for row in STEPS]
    for row in reversed(STEPS[rows.index(step) :]):
        draft = row.undo(draft)
    return draft


def change_applicant(draft: Draft, name: str, document: IdNumber, phone: Phone, case: UUID) -> Draft:
    """Return the draft of somebody who typed the first step again. What does not depend on a changed value stays proved.

    Another name or document is another ``case``: what authorities said about the one before is nothing about this one.
    """
    if (name, document) != (draft.name, draft.document):
        draft = replace(undo_from(draft, Step.CHECK), case=case)
    if phone != draft.phone:
        draft = forget_phone(draft)
        kept = tuple(a for a in draft.answers if a.kind is not CheckKind.PHONE)
        pending: dict[CheckKind, str] = {kind: value for kind, value in draft.pending.items() if kind is not CheckKind.PHONE}
        draft = replace(draft, answers=kept, pending=MappingProxyType(pending), bank_names_phone=False)
    return replace(draft, name=name, document=document, phone=phone, correcting=False)


def forget_phone(draft: Draft) -> Draft:
    """Return the draft of somebody who has to prove the phone anew; what was chosen since goes with it."""
    return replace(draft, phone_proved_at=None, sends=0, verifier=None, password_at=None)


def drop_stale(draft: Draft, now: datetime) -> Draft:
    """Return the draft as it counts ``now``: after a long pause nobody goes on with what was proved by whoever sat there before."""
    if draft.raising or draft.person_id is not None or draft.phone_proved_at is None or now - draft.touched_at < STALE:
        return draft
    return forget_phone(draft)


def add_answers(draft: Draft, answers: tuple[CheckAnswer, ...]) -> Draft:
    """Return the draft with what authorities said.

    One that did not answer leaves its item pending; one that was not asked, since a limit was used up, leaves no trace of the item.
    """
    said = tuple(a for a in answers if a.result not in (CheckResult.UNAVAILABLE, CheckResult.LIMITED))
    over = {a.kind for a in answers if a.result is not CheckResult.UNAVAILABLE}
    pending = {kind: value for kind, value in draft.pending.items() if kind not in over}
    _, bank_phone = split_bank_phone(draft.pending.get(CheckKind.BANK_CARD, ""))
    names = bank_phone == draft.phone.value and CheckKind.BANK_CARD in list_matched(said)
    return replace(draft, answers=draft.answers + said, pending=MappingProxyType(pending), bank_names_phone=draft.bank_names_phone or names)
