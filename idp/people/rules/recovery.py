"""Decides what brings somebody back who forgot the password: code, register, operator, and one item that is not the phone (domain.md)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import IdentifierKind, IdNumber
from idp.people.rules.proofing import CheckAnswer, list_matched
from idp.people.rules.proofing_items import ITEMS, ProofingItem

FORMAT: Final = 1

OTHER_ITEMS: Final[tuple[ProofingItem, ...]] = tuple(item for item in ITEMS if item.kind is not CheckKind.PHONE)
"""What may be asked besides the phone, whose code was the first proof."""


class RecoveryStep(StrEnum):
    """What is asked next."""

    CODE = "code"
    ITEM = "item"
    PASSWORD = "password"  # noqa: S105 - a step


@dataclass(frozen=True, repr=False)
class Recovery:
    """A recovery on its way, as it was claimed. ``id`` names its checks; ``person_id`` and ``phone`` are known once the code was right.

    It is kept for a claim that is nobody's as well: then the code never comes.
    """

    id: UUID
    name: str
    document: IdNumber
    started_at: datetime
    sends: int = 0
    person_id: UUID | None = None
    phone: str = ""
    code_at: datetime | None = None
    answers: tuple[CheckAnswer, ...] = ()

    @property
    def step(self) -> RecoveryStep:
        """Return what is asked next."""
        if self.person_id is None or self.code_at is None:
            return RecoveryStep.CODE
        return RecoveryStep.PASSWORD if is_proved(self.answers) else RecoveryStep.ITEM


def fold_name(name: str) -> str:
    """Return a name as two are compared: capitals and spaces do not matter."""
    return "".join(name.casefold().split())


def is_proved(answers: Iterable[CheckAnswer]) -> bool:
    """Tell whether the register, the phone's operator and one item that is not the phone agreed.

    The phone's code says who holds the number today, the operator whose it is. Results of other cases are not among ``answers``.
    """
    matched = list_matched(answers)
    return {CheckKind.IDENTITY, CheckKind.PHONE} <= matched and any(item.kind in matched for item in OTHER_ITEMS)


def list_awaited(answers: Iterable[CheckAnswer]) -> tuple[CheckKind, ...]:
    """Return the kinds that the authorities did not answer, of one round of questions."""
    return tuple(a.kind for a in answers if a.result is CheckResult.UNAVAILABLE)


def is_unknown_to_register(answers: Iterable[CheckAnswer]) -> bool:
    """Tell whether the register has no such person that it may confirm (S21)."""
    return any(a.kind is CheckKind.IDENTITY and a.result is CheckResult.NOT_FOUND for a in answers)


def write_recovery(recovery: Recovery) -> bytes:
    """Return the stored form; it is sealed by the store that keeps it."""
    return json.dumps(
        {
            "v": FORMAT,
            "id": str(recovery.id),
            "name": recovery.name,
            "document": [recovery.document.kind.value, recovery.document.value],
            "started_at": recovery.started_at.timestamp(),
            "sends": recovery.sends,
            "person_id": str(recovery.person_id) if recovery.person_id else None,
            "phone": recovery.phone,
            "code_at": recovery.code_at.timestamp() if recovery.code_at else None,
            "answers": [[a.kind.value, a.result.value, a.at.timestamp()] for a in recovery.answers],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def read_recovery(stored: bytes) -> Recovery | None:
    """Return the recovery of ``write_recovery``; None for a format of another release: the person begins again."""
    raw: dict[str, Any] = json.loads(stored)
    if raw.get("v") != FORMAT:
        return None
    return Recovery(
        id=UUID(raw["id"]),
        name=raw["name"],
        document=IdNumber(IdentifierKind(raw["document"][0]), raw["document"][1]),
        started_at=datetime.fromtimestamp(raw["started_at"], UTC),
        sends=raw["sends"],
        person_id=UUID(raw["person_id"]) if raw["person_id"] else None,
        phone=raw["phone"],
        code_at=datetime.fromtimestamp(raw["code_at"], UTC) if raw["code_at"] else None,
        answers=tuple(
            CheckAnswer(CheckKind(kind), CheckResult(result), datetime.fromtimestamp(at, UTC)) for kind, result, at in raw["answers"]
        ),
    )
