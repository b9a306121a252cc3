"""Decides whether one more message may be paid for: per phone, address, device and in all (formats.md §4.3, S02)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from idp.kernel.clock import SHANGHAI


class Limit(StrEnum):
    """Which limit refused; each has its own words."""

    PHONE_MINUTE = "phone_minute"
    PHONE_HOUR = "phone_hour"
    PHONE_DAY = "phone_day"
    ADDRESS_HOUR = "address_hour"
    NETWORK_HOUR = "network_hour"
    DEVICE_DAY = "device_day"
    BUDGET = "budget"
    RESENDS = "resends"


@dataclass(frozen=True)
class SmsLimits:
    """Figures of formats.md §4.3. ``resends`` asked in one interaction lock resending for ``resend_lock``.

    An *address* is an IPv4 address or an IPv6 /64, a *network* an IPv4 /24 or an IPv6 /48.
    """

    phone_gap: timedelta = timedelta(seconds=60)
    phone_hour: int = 5
    phone_day: int = 10
    address_hour: int = 20
    network_hour: int = 100
    device_day: int = 10
    budget_minute: int = 3_000
    resends: int = 5
    resend_lock: timedelta = timedelta(minutes=15)


@dataclass(frozen=True)
class Send:
    """The message may be sent."""


@dataclass(frozen=True)
class Wait:
    """The message may not be sent before ``until``, because of ``limit``."""

    limit: Limit
    until: datetime


Verdict = Send | Wait


def keep_last_hour(sent: Sequence[datetime], now: datetime) -> tuple[datetime, ...]:
    """Return the times of ``sent`` that still count."""
    return tuple(at for at in sent if now - at < timedelta(hours=1))


def find_share(quota: int, after_password: bool) -> int:
    """Return how much of a phone's quota this request may use: half is kept for requests after a correct password."""
    return quota if after_password else quota // 2


def find_open_part(quota: int) -> int:
    """Return how much of a phone's quota all may use together who proved nothing: what is not kept for correct passwords."""
    return quota - quota // 2


def find_registration_share(quota: int) -> int:
    """Return how much of a phone's quota registrations may use: half of the open part, so that the rest is left to sign-in and recovery."""
    part = find_open_part(quota)
    return part - part // 2


def decide_phone(
    sent: Sequence[datetime],
    after_password: bool,
    now: datetime,
    limits: SmsLimits,
    *,
    beside: Sequence[datetime] = (),
    registering: bool = False,
) -> Verdict:
    """Decide by the times of this phone's messages of the last hour, each oldest first.

    ``sent`` are those of this request's own share, registration or everything else, ``beside`` those of the other one.
    """
    recent = keep_last_hour(sent, now)
    everything = sorted((*recent, *keep_last_hour(beside, now)))
    if everything and now - everything[-1] < limits.phone_gap:
        return Wait(Limit.PHONE_MINUTE, everything[-1] + limits.phone_gap)
    if after_password:
        shares: list[tuple[Sequence[datetime], int]] = [(everything, limits.phone_hour)]
    else:
        own = find_registration_share(limits.phone_hour) if registering else find_share(limits.phone_hour, after_password)
        shares = [(recent, own), (everything, find_open_part(limits.phone_hour))]
    freeing = [(times[len(times) - share] if share else now) for times, share in shares if len(times) >= share]
    return Wait(Limit.PHONE_HOUR, max(freeing) + timedelta(hours=1)) if freeing else Send()


def decide_count(limit: Limit, count: int, now: datetime, limits: SmsLimits) -> Verdict:
    """Decide by a counter that already includes this request."""
    allowed, wait = {
        Limit.ADDRESS_HOUR: (limits.address_hour, timedelta(hours=1)),
        Limit.NETWORK_HOUR: (limits.network_hour, timedelta(hours=1)),
        Limit.BUDGET: (limits.budget_minute, timedelta(minutes=1)),
    }[limit]
    return Send() if count <= allowed else Wait(limit, now + wait)


def wants_resend_lock(asked: int, limits: SmsLimits) -> bool:
    """Tell whether the ``asked``-th request for another code in one interaction locks resending."""
    return asked >= limits.resends


def find_day(now: datetime) -> date:
    """Return the calendar day that daily limits count: Asia/Shanghai."""
    return now.astimezone(SHANGHAI).date()


def find_next_day(now: datetime) -> datetime:
    """Return the instant at which daily limits start again."""
    day = find_day(now) + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC)


def write_sent(sent: Sequence[datetime]) -> bytes:
    """Return the stored form of the times."""
    return json.dumps([at.timestamp() for at in sent]).encode()


def read_sent(stored: bytes) -> tuple[datetime, ...]:
    """Return the times of ``write_sent``."""
    return tuple(datetime.fromtimestamp(at, UTC) for at in json.loads(stored))
