"""Decides how a limit of messages is told: which words, and until when the person waits."""

from datetime import datetime
from typing import assert_never

from idp.authenticators.rules import refusals
from idp.authenticators.rules.sms_limits import Limit, Wait
from idp.kernel.clock import SHANGHAI
from idp.kernel.errors import Refusal


def refuse_message(verdict: Wait, now: datetime, *, unsent: bool) -> Refusal:
    """Return why no code is sent. ``unsent``: none was sent in this flow, so nothing that the person has can be used in it."""
    when = say_when(verdict.until, now)
    match verdict.limit:
        case Limit.RESENDS:
            return refusals.SendingLocked(**when) if unsent else refusals.ResendLocked(**when)
        case Limit.PHONE_MINUTE:
            return refusals.SmsForAnother(seconds=when["seconds"]) if unsent else refusals.SmsTooSoon(seconds=when["seconds"])
        case Limit.BUDGET:
            return refusals.SmsBusy()
        case Limit.PHONE_HOUR | Limit.PHONE_DAY | Limit.ADDRESS_HOUR | Limit.NETWORK_HOUR | Limit.DEVICE_DAY:
            return refusals.SmsLimitReached(**when)
    assert_never(verdict.limit)


def say_when(until: datetime, now: datetime) -> dict[str, str | int]:
    """Return the facts of a wait: whole seconds and minutes left, and the time of day in Shanghai."""
    seconds = max(1, -int((now - until).total_seconds() // 1))
    return {"seconds": seconds, "minutes": -(-seconds // 60), "time": f"{until.astimezone(SHANGHAI):%H:%M}"}
