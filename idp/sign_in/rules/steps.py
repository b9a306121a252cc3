"""Decides what a person is asked next: nothing, identifier and password, or only a code (S16), and when no step leads there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.kernel.levels import Acr, Factor, Proved, find_aal, find_acr, meets

FLOW_LIFE = timedelta(minutes=30)
"""How long a factor shown in a flow that is not finished yet may wait for the next one."""


@dataclass(frozen=True)
class AskIdentifierAndPassword:
    """The person says who they are and proves the password."""


@dataclass(frozen=True)
class AskCode:
    """The person types the code that was sent to their phone."""


@dataclass(frozen=True)
class Enough:
    """What was proved reaches ``reached``, which is at least what is wanted."""

    reached: Acr


@dataclass(frozen=True)
class CannotReach:
    """No further factor of this person leads higher; ``reached`` is the best that was proved, None below ``low``."""

    reached: Acr | None


NextStep = AskIdentifierAndPassword | AskCode | Enough | CannotReach


@dataclass(frozen=True)
class Subject:
    """What the decision needs to know of the identified person. ``standing_good`` is False for a banned, frozen … account."""

    ial: int
    has_phone: bool
    phone_matched_at: datetime | None
    standing_good: bool = True


def merge_proved(*groups: Iterable[Proved]) -> tuple[Proved, ...]:
    """Return each factor once with its latest instant, in the order of the instants."""
    latest: dict[Factor, Proved] = {}
    for group in groups:
        for proved in group:
            known = latest.get(proved.factor)
            if known is None or proved.at > known.at:
                latest[proved.factor] = proved
    return tuple(sorted(latest.values(), key=lambda p: (p.at, p.factor.value)))


def count_fresh(proved: Iterable[Proved], fresh_after: datetime | None) -> tuple[Proved, ...]:
    """Return the factors that count for this request: all, or those proved at or after ``fresh_after`` (``prompt=login``, ``max_age``)."""
    if fresh_after is None:
        return tuple(proved)
    return tuple(p for p in proved if p.at >= fresh_after)


def drop_stale(proved: Iterable[Proved], now: datetime) -> tuple[Proved, ...]:
    """Return the factors of an unfinished flow that may still be used: at most FLOW_LIFE old."""
    return tuple(p for p in proved if now - p.at < FLOW_LIFE)


def decide_next(wanted: Acr, subject: Subject | None, proved: tuple[Proved, ...], fresh_after: datetime | None, now: datetime) -> NextStep:
    """Decide what to ask next for ``wanted``, given everything ``proved`` by the live session and in this flow.

    ``subject`` is None while nobody is identified. A person whose account may not sign in gives the second factor before
    anything is said about it, whatever the department wants (S04).
    """
    counted = count_fresh(proved, fresh_after)
    factors = {p.factor for p in counted}
    if subject is None or not factors:
        return AskIdentifierAndPassword()
    reached = _find_reached(subject, counted, now)
    if Factor.PASSWORD not in factors:
        # A fresh code alone proves less than what the session was opened with; the password comes first.
        return Enough(reached) if reached is not None and meets(reached, wanted) and subject.standing_good else AskIdentifierAndPassword()
    if not subject.standing_good:
        wanted = max(wanted, Acr.SUBSTANTIAL, key=list(Acr).index)
    if reached is not None and meets(reached, wanted):
        return Enough(reached)
    if Factor.SMS not in factors and subject.has_phone:
        with_code = _find_reached(subject, (*counted, Proved(Factor.SMS, now)), now)
        # Also when it does not lead all the way: the department may accept the best that can be reached.
        if (with_code is not None and not meets(reached, with_code)) or not subject.standing_good:
            return AskCode()
    return CannotReach(reached)


def _find_reached(subject: Subject, proved: tuple[Proved, ...], now: datetime) -> Acr | None:
    return find_acr(subject.ial, find_aal(proved, subject.phone_matched_at, now))
