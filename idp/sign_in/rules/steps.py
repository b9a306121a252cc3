"""Decides what a person is asked next: nothing, who they are, only a code, a password (S16) or a passkey (S12), another password (S06)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idp.kernel.levels import ACR_ORDER, Acr, Factor, Proved, find_aal, find_acr, is_resistant, meets

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
class AskPasskey:
    """Only a passkey leads on; weaker ways are not offered (S12)."""


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


NextStep = AskIdentifierAndPassword | AskPassword | AskCode | AskPasskey | AskNewPassword | Enough | CannotReach


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


def decide_next(
    wanted: Acr,
    subject: Subject | None,
    proved: tuple[Proved, ...],
    fresh_after: datetime | None,
    now: datetime,
    *,
    aal: int = 1,
    resistant: bool = False,
) -> NextStep:
    """Decide what to ask next for ``wanted``, given everything ``proved`` by the live session and in this flow.

    ``aal`` asks for so many different factors whatever the class; ``resistant`` for a passkey, which is two and asks for nothing beside it.
    ``subject`` is None while nobody is identified. Password and code are asked in either order; one of them is enough for ``low``.
    A person whose account may not sign in gives both before anything is said about it, whatever the department wants (S04), and so does
    whoever has to choose another password (S06).
    """
    counted = count_fresh(proved, fresh_after)
    factors = {p.factor for p in counted}
    if resistant and Factor.PASSKEY not in factors:
        return AskPasskey()
    if subject is None or not factors:
        return AskIdentifierAndPassword()
    reached = _find_reached(subject, counted, now)
    enough = reached is not None and meets(reached, wanted) and _find_aal(subject, counted, now) >= aal
    if Factor.PASSWORD not in factors:
        if Factor.PASSKEY in factors:
            return Enough(reached) if reached is not None and enough else CannotReach(reached)
        return _decide_without_password(aal, subject, counted, reached, enough, now)
    if not subject.standing_good:
        wanted = max(wanted, Acr.SUBSTANTIAL, key=ACR_ORDER.index)
        enough = reached is not None and meets(reached, wanted)
    asks_all = not subject.standing_good or subject.must_change
    if Factor.SMS not in factors and subject.has_phone and (asks_all or not enough):
        with_code = (*counted, Proved(Factor.SMS, now))
        # Also when it does not lead all the way: the department may accept the best that can be reached.
        if asks_all or _adds(subject, counted, with_code, aal, now):
            return AskCode()
    if subject.must_change and subject.standing_good:
        return AskNewPassword()
    return Enough(reached) if reached is not None and enough else CannotReach(reached)


def _decide_without_password(
    aal: int, subject: Subject, counted: tuple[Proved, ...], reached: Acr | None, enough: bool, now: datetime
) -> AskPassword | Enough | CannotReach:
    if subject.standing_good and reached is not None and enough:
        return Enough(reached)
    with_password = (*counted, Proved(Factor.PASSWORD, now))
    if subject.has_password and (not subject.standing_good or _adds(subject, counted, with_password, aal, now)):
        return AskPassword()
    return CannotReach(reached)


def _adds(subject: Subject, before: tuple[Proved, ...], after: tuple[Proved, ...], aal: int, now: datetime) -> bool:
    """Tell whether one more factor leads to a higher class, or to the number of factors that is asked for."""
    higher = _find_reached(subject, after, now)
    if higher is not None and not meets(_find_reached(subject, before, now), higher):
        return True
    return _find_aal(subject, before, now) < min(aal, _find_aal(subject, after, now))


def wants_phone_match(
    wanted: Acr, subject: Subject | None, proved: tuple[Proved, ...], fresh_after: datetime | None, now: datetime, *, aal: int = 1
) -> bool:
    """Tell whether a code would be asked next if only the operator had matched the phone just now."""
    if subject is None or not subject.has_phone:
        return False
    return isinstance(decide_next(wanted, replace(subject, phone_matched_at=now), proved, fresh_after, now, aal=aal), AskCode)


def _find_reached(subject: Subject, proved: tuple[Proved, ...], now: datetime) -> Acr | None:
    resistant = is_resistant(proved, subject.phone_matched_at, now, subject.recovered_at)
    return find_acr(subject.ial, _find_aal(subject, proved, now), resistant)


def _find_aal(subject: Subject, proved: tuple[Proved, ...], now: datetime) -> int:
    return find_aal(proved, subject.phone_matched_at, now, subject.recovered_at)
