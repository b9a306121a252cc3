"""Decides how a draft is written before it is sealed: versioned JSON, so that an upgrade loses no registration."""

import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from idp.kernel.checks import CheckKind, CheckResult
from idp.people.rules.identifiers import IdentifierKind, IdNumber, Phone
from idp.people.rules.proofing import CheckAnswer
from idp.people.rules.registration import Draft

FORMAT = 1


def write_draft(draft: Draft) -> bytes:
    """Return the stored form of ``draft``; its id is the row's."""
    return json.dumps(
        {
            "v": FORMAT,
            "case": str(draft.case),
            "touched_at": draft.touched_at.timestamp(),
            "language": draft.language,
            "flow": draft.flow,
            "origin": draft.origin,
            "created_at": draft.created_at.timestamp(),
            "name": draft.name,
            "document": [draft.document.kind.value, draft.document.value],
            "phone": draft.phone.value,
            "sends": draft.sends,
            "phone_proved_at": _write_instant(draft.phone_proved_at),
            "answers": [[a.kind.value, a.result.value, a.at.timestamp()] for a in draft.answers],
            "pending": {kind.value: value for kind, value in draft.pending.items()},
            "correcting": draft.correcting,
            "bank_names_phone": draft.bank_names_phone,
            "verifier": draft.verifier,
            "password_at": _write_instant(draft.password_at),
            "person_id": str(draft.person_id) if draft.person_id else None,
            "raising": draft.raising,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def read_draft(draft_id: UUID, stored: bytes) -> Draft | None:
    """Return the draft of ``write_draft``; None for a format of a later release."""
    raw: dict[str, Any] = json.loads(stored)
    if raw.get("v") != FORMAT:
        return None
    return Draft(
        id=draft_id,
        case=UUID(raw["case"]),
        touched_at=datetime.fromtimestamp(raw["touched_at"], UTC),
        language=raw["language"],
        flow=raw["flow"],
        origin=raw["origin"],
        created_at=datetime.fromtimestamp(raw["created_at"], UTC),
        name=raw["name"],
        document=IdNumber(IdentifierKind(raw["document"][0]), raw["document"][1]),
        phone=Phone(raw["phone"]),
        sends=raw["sends"],
        phone_proved_at=_read_instant(raw["phone_proved_at"]),
        answers=tuple(CheckAnswer(CheckKind(k), CheckResult(r), datetime.fromtimestamp(at, UTC)) for k, r, at in raw["answers"]),
        pending=MappingProxyType({CheckKind(kind): value for kind, value in raw["pending"].items()}),
        correcting=raw["correcting"],
        bank_names_phone=raw["bank_names_phone"],
        verifier=raw["verifier"],
        password_at=_read_instant(raw["password_at"]),
        person_id=UUID(raw["person_id"]) if raw["person_id"] else None,
        raising=raw["raising"],
    )


def _write_instant(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant is not None else None


def _read_instant(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
