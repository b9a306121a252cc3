"""Decides levels of assurance: how well a person is known (ial), how surely this is that person (aal), the wire's words (acr)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PHONE_MATCH_LIFE = timedelta(days=90)
"""How long the operator's match of name, document and phone lets an SMS code count towards aal 2."""

RECOVERY_HOLD = timedelta(hours=24)
"""For so long after recovery by phone nothing counts as more than one factor."""


class Factor(StrEnum):
    """What a person proved in this session, by its ``amr`` value (RFC 8176)."""

    PASSWORD = "pwd"  # noqa: S105 - the RFC's word
    SMS = "sms"
    OTP = "otp"
    PASSKEY = "swk"


class Acr(StrEnum):
    """Authentication context classes, weakest first (domain.md "Levels")."""

    LOW = "urn:yizheng:acr:low"
    SUBSTANTIAL = "urn:yizheng:acr:substantial"
    HIGH = "urn:yizheng:acr:high"


ACR_ORDER = (Acr.LOW, Acr.SUBSTANTIAL, Acr.HIGH)
ACR_NEEDS = {Acr.LOW: (2, 1), Acr.SUBSTANTIAL: (3, 2)}
"""acr → least (ial, aal); ``high`` asks besides for a phishing-resistant factor."""


@dataclass(frozen=True)
class Proved:
    """One factor and the instant it was proved."""

    factor: Factor
    at: datetime


def find_aal(proved: Iterable[Proved], phone_matched_at: datetime | None, now: datetime, recovered_at: datetime | None = None) -> int:
    """Return 0 (nothing), 1 or 2.

    An SMS code is a second factor only while the operator's match is fresh; within a day of ``recovered_at`` nothing is.
    """
    counted = {p.factor for p in list_counted(proved, phone_matched_at, now, recovered_at)}
    if not counted:
        return 0
    return 2 if not _is_held(recovered_at, now) and (len(counted) >= 2 or Factor.PASSKEY in counted) else 1


def list_counted(
    proved: Iterable[Proved], phone_matched_at: datetime | None, now: datetime, recovered_at: datetime | None = None
) -> tuple[Proved, ...]:
    """Return the factors that ``find_aal`` counts, which is all that may be told of them.

    Within a day of a recovery that is the oldest alone; a code without a fresh match counts only while there is nothing else.
    """
    proved = tuple(proved)
    if _is_held(recovered_at, now):
        return tuple(sorted(proved, key=lambda p: (p.factor is Factor.PASSKEY, p.at))[:1])
    if phone_matched_at is not None and now - phone_matched_at < PHONE_MATCH_LIFE:
        return proved
    return tuple(p for p in proved if p.factor is not Factor.SMS) or proved


def _is_held(recovered_at: datetime | None, now: datetime) -> bool:
    return recovered_at is not None and now - recovered_at < RECOVERY_HOLD


def find_acr(ial: int, aal: int) -> Acr | None:
    """Return the highest class that (ial, aal) reaches, None when not even ``low``."""
    reached = [acr for acr, (least_ial, least_aal) in ACR_NEEDS.items() if ial >= least_ial and aal >= least_aal]
    return reached[-1] if reached else None


def meets(reached: Acr | None, wanted: Acr) -> bool:
    """Tell whether ``reached`` is at least ``wanted``."""
    return reached is not None and ACR_ORDER.index(reached) >= ACR_ORDER.index(wanted)
