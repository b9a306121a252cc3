"""Each limit has its own words, and a wait is told in whole seconds, minutes and the time of day."""

from datetime import UTC, datetime, timedelta

import pytest

from idp.authenticators.rules.sms_limits import Limit, Wait
from idp.authenticators.rules.waits import refuse_message, say_when

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "limit,unsent,code",
    [
        (Limit.RESENDS, True, "sending_locked"),
        (Limit.RESENDS, False, "resend_locked"),
        (Limit.PHONE_MINUTE, True, "sms_for_another"),
        (Limit.PHONE_MINUTE, False, "sms_too_soon"),
        (Limit.BUDGET, False, "sms_busy"),
        (Limit.PHONE_HOUR, False, "sms_limit_reached"),
        (Limit.PHONE_DAY, True, "sms_limit_reached"),
        (Limit.ADDRESS_HOUR, False, "sms_limit_reached"),
        (Limit.DEVICE_DAY, False, "sms_limit_reached"),
    ],
)
def test_each_limit_has_its_own_words(limit: Limit, unsent: bool, code: str) -> None:
    assert refuse_message(Wait(limit, NOW + timedelta(minutes=5)), NOW, unsent=unsent).code == code


def test_a_wait_is_told_upwards_and_by_the_clock_of_shanghai() -> None:
    assert say_when(NOW + timedelta(seconds=60.5), NOW) == {"seconds": 61, "minutes": 2, "time": "09:01"}
    assert say_when(NOW - timedelta(seconds=5), NOW)["seconds"] == 1, "never a wait of nothing"
