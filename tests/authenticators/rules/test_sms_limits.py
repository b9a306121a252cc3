"""Messages cost money and patience: the limits per phone, address, device and in all."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authenticators.rules.sms_limits import (
    Limit,
    Send,
    SmsLimits,
    Wait,
    decide_count,
    decide_phone,
    find_day,
    find_next_day,
    find_open_part,
    find_registration_share,
    find_share,
    keep_last_hour,
    read_sent,
    wants_resend_lock,
    write_sent,
)

FIRST = datetime(2020, 1, 1)  # noqa: DTZ001 - hypothesis draws naive instants
LAST = datetime(2090, 1, 1)  # noqa: DTZ001
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LIMITS = SmsLimits()


def ago(*minutes: float) -> tuple[datetime, ...]:
    return tuple(NOW - timedelta(minutes=m) for m in minutes)


def test_one_message_a_minute() -> None:
    assert decide_phone(ago(0.5), True, NOW, LIMITS) == Wait(Limit.PHONE_MINUTE, NOW + timedelta(seconds=30))
    assert decide_phone(ago(1), True, NOW, LIMITS) == Send()


def test_five_messages_an_hour_and_the_time_of_the_next() -> None:
    assert decide_phone(ago(50, 40, 30, 20), True, NOW, LIMITS) == Send()
    assert decide_phone(ago(50, 40, 30, 20, 10), True, NOW, LIMITS) == Wait(Limit.PHONE_HOUR, NOW + timedelta(minutes=10))


def test_half_is_kept_for_those_who_know_the_password() -> None:
    assert (find_share(5, False), find_share(10, False), find_share(10, True)) == (2, 5, 10)
    assert decide_phone(ago(50, 40), False, NOW, LIMITS) == Wait(Limit.PHONE_HOUR, NOW + timedelta(minutes=10))
    assert decide_phone(ago(50, 40), True, NOW, LIMITS) == Send()
    assert decide_phone(ago(50, 40, 30, 20), False, NOW, LIMITS) == Wait(Limit.PHONE_HOUR, NOW + timedelta(minutes=30))


def test_registrations_have_a_share_of_their_own() -> None:
    assert [(find_open_part(q), find_registration_share(q)) for q in (1, 2, 5, 10)] == [(1, 1), (1, 1), (3, 2), (5, 3)]
    full = ago(50, 40)
    assert decide_phone(full, False, NOW, LIMITS, registering=True) == Wait(Limit.PHONE_HOUR, NOW + timedelta(minutes=10))
    assert decide_phone((), False, NOW, LIMITS, beside=full) == Send(), "what registrations used is not the owner's"
    assert decide_phone(ago(30), False, NOW, LIMITS, beside=full) == Wait(Limit.PHONE_HOUR, NOW + timedelta(minutes=10)), "together three"
    assert decide_phone(ago(30, 20), True, NOW, LIMITS, beside=full) == Send()
    assert isinstance(decide_phone(ago(30, 20, 10), True, NOW, LIMITS, beside=full), Wait)
    assert decide_phone((), False, NOW, LIMITS, beside=ago(0.5)) == Wait(Limit.PHONE_MINUTE, NOW + timedelta(seconds=30))


@given(st.lists(st.integers(0, 7_200), max_size=30), st.booleans())
def test_whoever_waits_as_told_may_send(seconds: list[int], after_password: bool) -> None:
    sent = tuple(sorted(NOW - timedelta(seconds=s) for s in seconds))
    now = NOW
    for _ in range(2):  # the wait of a minute may end in the wait of the hour, and that one in a message
        verdict = decide_phone(sent, after_password, now, LIMITS)
        if isinstance(verdict, Send):
            return
        assert verdict.until > now
        now = verdict.until
    assert decide_phone(sent, after_password, now, LIMITS) == Send()


@given(st.lists(st.integers(0, 86_400), max_size=200))
def test_never_more_than_five_in_any_hour(steps: list[int]) -> None:
    now = NOW
    sent: list[datetime] = []
    for step in steps:
        now += timedelta(seconds=step % 1_200)
        if isinstance(decide_phone(keep_last_hour(sent, now), True, now, LIMITS), Send):
            sent.append(now)
    for index in range(len(sent) - 5):
        assert sent[index + 5] - sent[index] >= timedelta(hours=1)


def test_address_and_budget() -> None:
    assert decide_count(Limit.ADDRESS_HOUR, 20, NOW, LIMITS) == Send()
    assert decide_count(Limit.ADDRESS_HOUR, 21, NOW, LIMITS) == Wait(Limit.ADDRESS_HOUR, NOW + timedelta(hours=1))
    assert decide_count(Limit.NETWORK_HOUR, 100, NOW, LIMITS) == Send()
    assert decide_count(Limit.NETWORK_HOUR, 101, NOW, LIMITS) == Wait(Limit.NETWORK_HOUR, NOW + timedelta(hours=1))
    assert decide_count(Limit.BUDGET, 3_000, NOW, LIMITS) == Send()
    assert decide_count(Limit.BUDGET, 3_001, NOW, LIMITS) == Wait(Limit.BUDGET, NOW + timedelta(minutes=1))


@pytest.mark.parametrize("asked, locks", [(1, False), (4, False), (5, True), (6, True)])
def test_the_fifth_resend_locks(asked: int, locks: bool) -> None:
    assert wants_resend_lock(asked, LIMITS) is locks


def test_days_are_those_of_shanghai() -> None:
    assert find_day(datetime(2026, 3, 1, 15, 59, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert find_day(datetime(2026, 3, 1, 16, 0, tzinfo=UTC)) == date(2026, 3, 2)
    assert find_next_day(NOW) == datetime(2026, 3, 2, 16, 0, tzinfo=UTC)


@given(st.lists(st.datetimes(FIRST, LAST), max_size=10))
def test_written_times_read_back(times: list[datetime]) -> None:
    sent = tuple(at.replace(tzinfo=UTC, microsecond=0) for at in times)
    assert read_sent(write_sent(sent)) == sent
