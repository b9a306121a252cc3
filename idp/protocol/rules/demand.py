"""Decides what level a request asks for, and what of it the person who is here reaches or could reach (domain.md "Levels")."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from idp.kernel.levels import ACR_ORDER, RESISTANT, Acr, Factor, Proved, find_aal, find_acr, is_resistant, meets
from idp.protocol.rules.authorization_request import AuthorizationRequest
from idp.protocol.rules.client import Client

OFFERED = (Factor.PASSWORD, Factor.SMS)
"""The ways of signing in that everybody has; a passkey is beside them for whoever added one."""

RAISED_IAL = 3
"""What items lead to (domain.md "Levels")."""


class Demand(NamedTuple):
    """What is asked: ``wanted`` of ACR_ORDER, never less than ``floor``; ``resistant``: by a phishing-resistant factor.

    ``insists``: without that factor the client gets an error. ``essential``: one of these classes or an error, in order of preference;
    () otherwise. ``asked``: the class that the client named, None for its own minimum.
    """

    wanted: Acr
    floor: Acr
    resistant: bool
    insists: bool
    essential: tuple[Acr, ...]
    asked: Acr | None


class Person(NamedTuple):
    """What a level is found from. ``has_passkey``: one that could still be used."""

    ial: int
    phone_matched_at: datetime | None
    recovered_at: datetime | None
    has_passkey: bool


class Level(NamedTuple):
    """What was reached: a class of ACR_ORDER or None, by a phishing-resistant factor or not."""

    acr: Acr | None
    aal: int
    resistant: bool

    def serves(self, acr: Acr) -> bool:
        """Tell whether this is at least ``acr``; nothing here proves hardware, so nothing is ``phrh``."""
        if acr in RESISTANT and not self.resistant:
            return False
        return self.acr is not None and acr is not Acr.PHRH and meets(self.acr, place(acr))


def place(acr: Acr) -> Acr:
    """Return the class of ACR_ORDER that goes with one that says only how the person signed in: the lowest."""
    return acr if acr in ACR_ORDER else Acr.LOW


def find_demand(request: AuthorizationRequest, client: Client, person: Person | None, now: datetime) -> Demand:
    """Return what the request asks. Of several essential classes it asks for the first that ``person`` could reach."""
    essential, asked = _order(request.essential, request.wanted), request.wanted
    if essential:
        best = find_attainable(person, now, resists=True) if person is not None else None
        asked = next((acr for acr in essential if best is None or best.serves(acr)), essential[0])
    return _make_demand(client.minimum_acr, asked, essential)


@lru_cache(maxsize=64)
def _make_demand(minimum: Acr, asked: Acr | None, essential: tuple[Acr, ...]) -> Demand:
    # Remembered: nearly every request asks one of a handful.
    named = [minimum] if asked is None else [minimum, asked]
    compulsory = [minimum, asked] if essential and asked is not None else [minimum]
    return Demand(
        wanted=_highest(named),
        floor=_highest(compulsory),
        resistant=any(acr in RESISTANT for acr in named),
        insists=any(acr in RESISTANT for acr in compulsory),
        essential=essential,
        asked=asked,
    )


def find_level(person: Person, proved: Iterable[Proved], now: datetime) -> Level:
    """Return what these factors reach for this person."""
    proved = tuple(proved)
    aal = find_aal(proved, person.phone_matched_at, now, person.recovered_at)
    resistant = is_resistant(proved, person.phone_matched_at, now, person.recovered_at)
    return Level(find_acr(person.ial, aal, resistant), aal, resistant)


def find_attainable(person: Person, now: datetime, *, resists: bool) -> Level:
    """Return what all ways of signing in would reach, with a passkey when the person ``resists`` by one; a recovery's day allows none."""
    offered = (*OFFERED, Factor.PASSKEY) if resists else OFFERED
    return find_level(person, [Proved(factor, now) for factor in offered], now)


def find_raised(person: Person, now: datetime, *, resists: bool) -> Level:
    """Return the same after items that bind the phone: level 3, and a code that counts as a factor again."""
    raised = Person(max(person.ial, RAISED_IAL), now, person.recovered_at, person.has_passkey)
    return find_attainable(raised, now, resists=resists)


def name_reached(demand: Demand, level: Level) -> Acr | None:
    """Return the class that the client is told: what it asked for where that is true, else the highest; None where it may be told none."""
    if demand.essential:
        return next((acr for acr in demand.essential if level.serves(acr)), None)
    if level.resistant and demand.asked in (Acr.PHR, Acr.PHRH):
        return Acr.PHR
    return level.acr


def _order(essential: tuple[Acr, ...], preferred: Acr | None) -> tuple[Acr, ...]:
    return (
        (preferred, *(acr for acr in essential if acr is not preferred)) if preferred in essential and preferred is not None else essential
    )


def _highest(acrs: Iterable[Acr]) -> Acr:
    return max((place(acr) for acr in acrs), key=ACR_ORDER.index)
