"""Decides what a person is asked next: nothing, who they are, only a code or a password (S16), another password (S06)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idp.kernel.levels import ACR_ORDER, Acr, Factor, Proved, find_aal, find_acr, meets

FLOW_LIFE = timedelta(minutes=30)
"""How long a factor shown in a flow that is not finished yet may wait for the next one."""


@dataclass(frozen=True)
class AskIdentifierAndPassword:
    """The person says who they are and proves the password."""


@dataclass(frozen=True)
class AskPassword:
    """Who is here is known, by a code or a session; the password is what is missing."""


@dataclass(frozen=True)
class AskCode:
    """The person types the code that was sent to their phone."""


@dataclass(frozen=True)
class AskNewPassword:
    """The password is one that everybody knows; after all that is asked, and before a session opens, the person chooses another (S06)."""


@dataclass(frozen=True)
class Enough:
    """What was proved reaches ``reached``, which is at least what is wanted."""

    reached: Acr


@dataclass(frozen=True)
class CannotReach:
    """No further factor of this person leads higher; ``reached`` is the best that was proved, None below ``low``."""

    reached: Acr | None


NextStep = AskIdentifierAndPassword | AskPassword | AskCode | AskNewPassword | Enough | CannotReach


@dataclass(frozen=True)
class Subject:
    """What the decision needs to know of the identified person. ``standing_good`` is False for a banned, frozen … account.

    ``must_change`` says that the password has to be replaced; ``recovered_at`` is the last recovery by phone.
    """

    ial: int
    has_phone: bool
    phone_matched_at: datetime | None
    standing_good: bool = True
    has_password: bool = True
    must_change: bool = False
    recovered_at: datetime | None = None


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


def drop_outlived(
    proved: Iterable[Proved], password_of: datetime | None, password_changed_at: datetime | None, recovered_at: datetime | None
) -> tuple[Proved, ...]:
    """Return what still counts of an unfinished flow: a password only while it is the account's, nothing from before a recovery.

    ``password_of`` and ``password_changed_at`` are the instants at which the password that was proved, and the account's, were set.
    """
    kept = (p for p in proved if recovered_at is None or p.at >= recovered_at)
    return tuple(p for p in kept if p.factor is not Factor.PASSWORD or (password_of is not None and password_of == password_changed_at))


def decide_next(wanted: Acr, subject: Subject | None, proved: tuple[Proved, ...], fresh_after: datetime | None, now: datetime) -> NextStep:
    """Decide what to ask next for ``wanted``, given everything ``proved`` by the live session and in this flow.

    ``subject`` is None while nobody is identified. Password and code are asked in either order; one of them is enough for ``low``.
    A person whose account may not sign in gives both before anything is said about it, whatever the department wants (S04), and so does
    whoever has to choose another password (S06).
    """
    counted = count_fresh(proved, fresh_after)
    factors = {p.factor for p in counted}
    if subject is None or not factors:
        return AskIdentifierAndPassword()
    reached = _find_reached(subject, counted, now)
    if Factor.PASSWORD not in factors:
        return _decide_without_password(wanted, subject, counted, reached, now)
    if not subject.standing_good:
        wanted = max(wanted, Acr.SUBSTANTIAL, key=ACR_ORDER.index)
    asks_all = not subject.standing_good or subject.must_change
    enough = reached is not None and meets(reached, wanted)
    if Factor.SMS not in factors and subject.has_phone and (asks_all or not enough):
        with_code = _find_reached(subject, (*counted, Proved(Factor.SMS, now)), now)
        # Also when it does not lead all the way: the department may accept the best that can be reached.
        if asks_all or (with_code is not None and not meets(reached, with_code)):
            return AskCode()
    if subject.must_change and subject.standing_good:
        return AskNewPassword()
    return Enough(reached) if reached is not None and enough else CannotReach(reached)


def _decide_without_password(
    wanted: Acr, subject: Subject, counted: tuple[Proved, ...], reached: Acr | None, now: datetime
) -> AskPassword | Enough | CannotReach:
    if subject.standing_good and reached is not None and meets(reached, wanted):
        return Enough(reached)
    with_password = _find_reached(subject, (*counted, Proved(Factor.PASSWORD, now)), now)
    if subject.has_password and (not subject.standing_good or (with_password is not None and not meets(reached, with_password))):
        return AskPassword()
    return CannotReach(reached)


def wants_phone_match(
    wanted: Acr, subject: Subject | None, proved: tuple[Proved, ...], fresh_after: datetime | None, now: datetime
) -> bool:
    """Tell whether a code would be asked next if only the operator had matched the phone just now."""
    if subject is None or not subject.has_phone:
        return False
    return isinstance(decide_next(wanted, replace(subject, phone_matched_at=now), proved, fresh_after, now), AskCode)


def _find_reached(subject: Subject, proved: tuple[Proved, ...], now: datetime) -> Acr | None:
    return find_acr(subject.ial, find_aal(proved, subject.phone_matched_at, now, subject.recovered_at))
