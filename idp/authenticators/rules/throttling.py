"""Decides how long somebody who guesses has to wait, and when one way is locked at one place (S01)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address

LONGEST_DELAY = 60
"""Seconds; beyond this the lock is the answer."""


class Way(StrEnum):
    """A way of signing in that can be locked by itself, and what else a durable lock closes."""

    PASSWORD = "password"  # noqa: S105 - a way, not a secret
    CODE = "code"
    RESEND = "resend"


@dataclass(frozen=True)
class Limits:
    """Figures of domain.md §1. ``window`` is how long failures are remembered, ``lock`` how long a way stays locked.

    ``per_origin`` is how many attempts of one window may come from one network address for whomever they are.
    """

    before_delay: int = 5
    before_lock: int = 10
    window: timedelta = timedelta(minutes=15)
    lock: timedelta = timedelta(minutes=15)
    per_origin: int = 100


@dataclass(frozen=True)
class Allowed:
    """The attempt may be checked."""


@dataclass(frozen=True)
class Delayed:
    """The attempt is not looked at; the next one may come after ``seconds``."""

    seconds: int


@dataclass(frozen=True)
class Locked:
    """The way is locked at this place until ``until``."""

    until: datetime


Throttle = Allowed | Delayed | Locked


def find_delay(failures: int, limits: Limits) -> int:
    """Return the seconds to wait after this many failures: none, then 2, 4, 8 … up to ``LONGEST_DELAY``."""
    if failures < limits.before_delay:
        return 0
    return min(int(2 ** min(failures - limits.before_delay + 1, 16)), LONGEST_DELAY)


def decide_throttle(
    attempts: int, delayed_until: datetime | None, locked_until: datetime | None, now: datetime, limits: Limits
) -> Throttle:
    """Decide whether an attempt may be checked.

    ``attempts`` counts those already in flight or failed in the window, without this one; so any number of attempts sent
    at once is bounded by the lock. Who knocks during a delay is not counted: the answer costs nothing.
    """
    if locked_until is not None and now < locked_until:
        return Locked(locked_until)
    if delayed_until is not None and now < delayed_until:
        return Delayed(max(1, -int(-(delayed_until - now).total_seconds() // 1)))
    if attempts >= limits.before_lock:
        return Locked(now + limits.lock)
    return Allowed()


def decide_origin(attempts: int, window_ends: datetime, now: datetime, limits: Limits) -> Allowed | Locked:
    """Decide by the attempts of one origin in this window, without this one: beyond the limit it waits until the window ends."""
    if attempts < limits.per_origin:
        return Allowed()
    return Locked(max(window_ends, now + timedelta(seconds=1)))


def judge_failure(failures: int, now: datetime, limits: Limits) -> Throttle:
    """Decide what follows the ``failures``-th wrong attempt: nothing, a delay, or the lock."""
    if failures >= limits.before_lock:
        return Locked(now + limits.lock)
    delay = find_delay(failures, limits)
    return Delayed(delay) if delay else Allowed()


def name_network(address: str) -> str:
    """Return the network that counts as one place: IPv4 /24, IPv6 /48; unreadable addresses share one name."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return parsed.packed[:6].hex()
        parsed = parsed.ipv4_mapped
    return parsed.packed[:3].hex()


def name_origin(address: str) -> str:
    """Return what counts as one sender: an IPv4 address, or the IPv6 /64 that one line is given; unreadable ones share a name."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return parsed.packed[:8].hex()
        parsed = parsed.ipv4_mapped
    return parsed.packed.hex()


def name_subject(way: Way, subject: str, device_hash: bytes | None, address: str) -> str:
    """Return what failures are counted under, ready to be keyed: way, subject, and the known device or else the network.

    A known device has its own count, so a stranger who locks the network does not lock the person's own phone (S01).
    """
    place = "device:" + device_hash.hex() if device_hash is not None else "network:" + name_network(address)
    return f"{way.value}\0{place}\0{subject}"
