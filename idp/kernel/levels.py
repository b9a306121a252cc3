"""Decides levels of assurance: how well a person is known (ial), how surely this is that person (aal), the wire's words (acr)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

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
    """Authentication context classes, weakest first (domain.md "Levels"), and those of OpenID that say only how one signed in.

    ``phr`` and ``phrh``: phishing-resistant, and that in hardware (OpenID Connect Extended Authentication Profile ACR Values 1.0 §2).
    """

    LOW = "urn:yizheng:acr:low"
    SUBSTANTIAL = "urn:yizheng:acr:substantial"
    HIGH = "urn:yizheng:acr:high"
    PHR = "phr"
    PHRH = "phrh"


ACR_ORDER = (Acr.LOW, Acr.SUBSTANTIAL, Acr.HIGH)
"""The classes that are more or less than each other; ``phr`` stands beside them."""

ACR_NEEDS = {Acr.LOW: (2, 1, False), Acr.SUBSTANTIAL: (3, 2, False), Acr.HIGH: (4, 2, True)}
"""acr → least (ial, aal), and whether one factor has to be phishing-resistant."""

RESISTANT = frozenset({Acr.HIGH, Acr.PHR, Acr.PHRH})
"""The classes that no factor but a phishing-resistant one reaches. Nothing here proves hardware, so nothing reaches ``phrh``."""


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


def is_resistant(proved: Iterable[Proved], phone_matched_at: datetime | None, now: datetime, recovered_at: datetime | None = None) -> bool:
    """Tell whether a phishing-resistant factor is among those that count; within a day of a recovery none of them does."""
    counted = list_counted(proved, phone_matched_at, now, recovered_at)
    return not _is_held(recovered_at, now) and any(p.factor is Factor.PASSKEY for p in counted)


@lru_cache(maxsize=64)
def find_acr(ial: int, aal: int, resistant: bool = False) -> Acr | None:
    """Return the highest class of ACR_ORDER that is reached, None when not even ``low``."""
    reached = [
        acr for acr, (least_ial, least_aal, demands) in ACR_NEEDS.items() if ial >= least_ial and aal >= least_aal and resistant >= demands
    ]
    return reached[-1] if reached else None


def meets(reached: Acr | None, wanted: Acr) -> bool:
    """Tell whether ``reached`` is at least ``wanted``, both of ACR_ORDER."""
    return reached is not None and ACR_ORDER.index(reached) >= ACR_ORDER.index(wanted)
